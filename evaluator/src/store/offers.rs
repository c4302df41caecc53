use std::collections::{HashMap, HashSet};

use proto::common::v1::{EventKind, Offer};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::event;
use super::entity::offer::{Column, Entity};
use super::{OfferRow, STATEMENT, Store, requests};
use crate::error::Result;

impl Store {
    /// Stores `offers` in one transaction, replacing those of the same id. Ids are distinct.
    pub async fn upsert_offers(&self, offers: Vec<OfferRow>) -> Result<()> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        let replace = OnConflict::column(Column::OfferId)
            .update_columns([Column::StartsAt, Column::EndsAt, Column::DeletedAt, Column::Payload])
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

    /// Marks an offer as deleted and stores `answers` to the request by whether there was one; says so. Its terms stay for
    /// the decisions that made it.
    pub async fn delete_offer(
        &self,
        offer_id: &str,
        (method, request_id): (&str, &str),
        now: i64,
    ) -> Result<bool> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        let deleted = Entity::update_many()
            .col_expr(Column::DeletedAt, Expr::value(now))
            .filter(Column::OfferId.eq(offer_id))
            .filter(Column::DeletedAt.is_null())
            .exec(&transaction)
            .await?;
        let found = deleted.rows_affected > 0;
        requests::keep_answer(&transaction, method, request_id, &found.to_string(), now).await?;
        transaction.commit().await?;
        Ok(found)
    }

    /// The largest price a piece of each item was sold at without an offer, minor units, by item and currency.
    pub async fn prices(&self) -> Result<HashMap<(String, String), i64>> {
        use event::Column::{Currency, ItemId, Kind, OfferId, Quantity, Revenue};
        let price = Expr::col(Revenue).div(Expr::col(Quantity)).max();
        let rows: Vec<(String, String, i64)> = event::Entity::find()
            .select_only()
            .columns([ItemId, Currency])
            .expr_as(price, "price")
            .filter(Kind.eq(EventKind::Purchase as i16))
            .filter(OfferId.eq(""))
            .filter(Quantity.gt(0))
            .filter(Revenue.is_not_null())
            .group_by(Expr::col(ItemId))
            .group_by(Expr::col(Currency))
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|(item, currency, price)| ((item, currency), price)).collect())
    }

    /// Ids of those of `offers` that were deleted or whose newest terms do not hold at `at`; one that was never stored by
    /// itself is not among them.
    pub async fn withdrawn(&self, offers: &[Offer], at: i64) -> Result<HashSet<String>> {
        let over = Condition::any()
            .add(Column::DeletedAt.is_not_null())
            .add(Column::StartsAt.gt(at))
            .add(Column::EndsAt.lte(at));
        let mut found = HashSet::new();
        for chunk in offers.chunks(STATEMENT) {
            let ids: Vec<String> = Entity::find()
                .select_only()
                .column(Column::OfferId)
                .filter(Column::OfferId.is_in(chunk.iter().map(|offer| offer.offer_id.as_str())))
                .filter(over.clone())
                .into_tuple()
                .all(&self.db)
                .await?;
            found.extend(ids);
        }
        Ok(found)
    }

    /// Offers that decisions may have made, deleted ones too, by id.
    pub async fn offers_ever(&self, most: u64) -> Result<Vec<OfferRow>> {
        Ok(Entity::find().order_by_asc(Column::OfferId).limit(most).all(&self.db).await?)
    }

    /// Offers after the id `after`, by id; with `valid_at` those valid at that moment only. Deleted ones are left out.
    pub async fn offers(&self, after: &str, most: u64, valid_at: Option<i64>) -> Result<Vec<OfferRow>> {
        let mut query = Entity::find().filter(Column::OfferId.gt(after)).filter(Column::DeletedAt.is_null());
        if let Some(now) = valid_at {
            query = query
                .filter(Condition::any().add(Column::StartsAt.is_null()).add(Column::StartsAt.lte(now)))
                .filter(Condition::any().add(Column::EndsAt.is_null()).add(Column::EndsAt.gt(now)));
        }
        Ok(query.order_by_asc(Column::OfferId).limit(most).all(&self.db).await?)
    }
}
