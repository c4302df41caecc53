use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::offer::{Column, Entity};
use super::{OfferRow, STATEMENT, Store};
use crate::error::Result;

impl Store {
    /// Stores `offers` in one transaction, replacing those of the same id. Ids are distinct.
    pub async fn upsert_offers(&self, offers: Vec<OfferRow>) -> Result<()> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        let replace = OnConflict::column(Column::OfferId)
            .update_columns([Column::StartsAt, Column::EndsAt, Column::Payload])
            .to_owned();
        let rows: Vec<_> = offers.into_iter().map(OfferRow::into_active_model).collect();
        for chunk in rows.chunks(STATEMENT) {
            Entity::insert_many(chunk.to_vec())
                .on_conflict(replace.clone())
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Offers after the id `after`, by id; with `valid_at` those valid at that moment only.
    pub async fn offers(&self, after: &str, most: u64, valid_at: Option<i64>) -> Result<Vec<OfferRow>> {
        let mut query = Entity::find().filter(Column::OfferId.gt(after));
        if let Some(now) = valid_at {
            query = query
                .filter(Condition::any().add(Column::StartsAt.is_null()).add(Column::StartsAt.lte(now)))
                .filter(Condition::any().add(Column::EndsAt.is_null()).add(Column::EndsAt.gt(now)));
        }
        Ok(query.order_by_asc(Column::OfferId).limit(most).all(&self.db).await?)
    }
}
