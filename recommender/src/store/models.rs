use std::collections::BTreeMap;

use proto::recommender::v1::Algorithm;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::model::{self, ActiveModel, Column, Entity};
use super::{Error, Store};

/// What is known of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Id of the model.
    pub model_id: String,
    /// The request that asked for it; empty: none was named.
    pub request_id: String,
    /// How it was found.
    pub algorithm: Algorithm,
    /// With which parameters.
    pub parameters: BTreeMap<String, f64>,
    /// How good it is, by metric.
    pub metrics: BTreeMap<String, f64>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Whether it serves.
    pub promoted: bool,
}

fn card(row: model::Model) -> Result<Card, Error> {
    let read = |text: &str| serde_json::from_str(text).map_err(|cause| Error::Corrupt(cause.to_string()));
    Ok(Card {
        parameters: read(&row.parameters)?,
        metrics: read(&row.metrics)?,
        algorithm: Algorithm::try_from(row.algorithm).unwrap_or_default(),
        model_id: row.model_id,
        request_id: row.request_id,
        created_at: row.created_at,
        promoted: row.promoted,
    })
}

impl Store {
    /// Notes a model that is in the object store.
    pub async fn add_model(&self, card: &Card) -> Result<(), Error> {
        let write = |map: &BTreeMap<String, f64>| {
            serde_json::to_string(map).map_err(|cause| Error::Corrupt(cause.to_string()))
        };
        let row = ActiveModel {
            model_id: Set(card.model_id.clone()),
            request_id: Set(card.request_id.clone()),
            algorithm: Set(card.algorithm.into()),
            parameters: Set(write(&card.parameters)?),
            metrics: Set(write(&card.metrics)?),
            created_at: Set(card.created_at),
            promoted: Set(false),
        };
        Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// Lets `model_id` serve, and no other; false where there is no such model.
    pub async fn promote(&self, model_id: &str) -> Result<bool, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let others = Entity::update_many().col_expr(Column::Promoted, Expr::value(false));
        others.filter(Column::ModelId.ne(model_id)).exec(&transaction).await?;
        let one = Entity::update_many().col_expr(Column::Promoted, Expr::value(true));
        let found = one.filter(Column::ModelId.eq(model_id)).exec(&transaction).await?.rows_affected == 1;
        if found {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(found)
    }

    /// The model that serves.
    pub async fn promoted(&self) -> Result<Option<Card>, Error> {
        Entity::find().filter(Column::Promoted.eq(true)).one(&self.db).await?.map(card).transpose()
    }

    /// The model of this id.
    pub async fn model(&self, model_id: &str) -> Result<Option<Card>, Error> {
        Entity::find_by_id(model_id).one(&self.db).await?.map(card).transpose()
    }

    /// The model that `request_id` asked for.
    pub async fn model_asked_by(&self, request_id: &str) -> Result<Option<Card>, Error> {
        Entity::find().filter(Column::RequestId.eq(request_id)).one(&self.db).await?.map(card).transpose()
    }

    /// Models from `offset` on, the newest first.
    pub async fn models(&self, offset: u64, most: u64) -> Result<Vec<Card>, Error> {
        let newest = Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::ModelId);
        newest.offset(offset).limit(most).all(&self.db).await?.into_iter().map(card).collect()
    }
}
