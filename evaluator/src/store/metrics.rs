use std::sync::Arc;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use super::entity::metric::{Column, Entity, Model};
use super::{Store, moments};
use crate::error::{Error, Result};
use crate::metric::Known;
use crate::metric::definition::Definition;

/// Most metrics of one's own: each has sums in every experiment.
const MOST: usize = 200;

impl Store {
    /// Stores a new metric and makes its sums in all experiments from the log, in one transaction; one that is there
    /// already with the same content stays as it is. Says when it was defined.
    pub async fn define_metric(&self, definition: &Definition, now: i64) -> Result<i64> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        moments::lock(&transaction).await?;
        if let Some(known) = Entity::find_by_id(&definition.name).one(&transaction).await? {
            if parsed(&known)? == *definition {
                return Ok(known.created_at);
            }
            return Err(Error::AlreadyExists { kind: "metric", id: definition.name.clone() });
        }
        if definitions(&transaction).await?.len() >= MOST {
            return Err(Error::precondition("TOO_MANY_METRICS", format!("there are {MOST} metrics already")));
        }
        let row = Model {
            name: definition.name.clone(),
            created_at: now,
            definition: serde_json::to_string(definition)
                .map_err(|error| Error::Internal(error.to_string()))?,
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&transaction).await?;
        moments::fill(&transaction, self.calendar, &definition.name).await?;
        transaction.commit().await?;
        Ok(now)
    }

    /// All metrics there are.
    pub async fn known_metrics(&self) -> Result<Known> {
        Ok(Known::new(definitions(&self.db).await?))
    }

    /// Metrics somebody defined and when, by name, after the one named `after`.
    pub async fn metrics(&self, after: &str, most: u64) -> Result<Vec<(Definition, i64)>> {
        let query = Entity::find().filter(Column::Name.gt(after)).order_by_asc(Column::Name).limit(most);
        query.all(&self.db).await?.iter().map(|row| Ok((parsed(row)?, row.created_at))).collect()
    }
}

/// All metrics somebody defined, by name.
pub(super) async fn definitions(db: &impl ConnectionTrait) -> Result<Vec<Arc<Definition>>> {
    let rows = Entity::find().order_by_asc(Column::Name).all(db).await?;
    rows.iter().map(|row| parsed(row).map(Arc::new)).collect()
}

fn parsed(row: &Model) -> Result<Definition> {
    serde_json::from_str(&row.definition)
        .map_err(|error| Error::Internal(format!("evaluator_metric.definition of {}: {error}", row.name)))
}
