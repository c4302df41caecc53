use prost::Message as _;
use proto::common::v1::Item;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, TransactionTrait as _,
};

use super::entity::item::{ActiveModel, Column, Entity};
use super::{Error, STATEMENT, Store};

impl Store {
    /// Stores `items` in one transaction, replacing those of the same id; of equal ids the last counts.
    pub async fn upsert_items(&self, items: &[Item], now: i64) -> Result<(), Error> {
        let transaction = self.db.begin().await?;
        let mut last = std::collections::BTreeMap::new();
        last.extend(items.iter().map(|item| (item.item_id.as_str(), item)));
        let rows: Vec<_> = last
            .into_values()
            .map(|item| ActiveModel {
                item_id: Set(item.item_id.clone()),
                payload: Set(item.encode_to_vec()),
                updated_at: Set(now),
            })
            .collect();
        let replace = OnConflict::column(Column::ItemId)
            .update_columns([Column::Payload, Column::UpdatedAt])
            .to_owned();
        for rows in rows.chunks(STATEMENT) {
            let insert = Entity::insert_many(rows.to_vec()).on_conflict(replace.clone());
            insert.exec_without_returning(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Items stored at `since` (microseconds since 1970) or later, by id, and the time of the last of them.
    pub async fn items_since(&self, since: i64) -> Result<(Vec<Item>, i64), Error> {
        let changed = Entity::find().filter(Column::UpdatedAt.gte(since)).order_by_asc(Column::ItemId);
        let rows = changed.all(&self.db).await?;
        let newest = rows.iter().map(|row| row.updated_at).max().unwrap_or(since);
        let decode = |payload: &[u8]| Item::decode(payload).map_err(|cause| Error::Corrupt(cause.to_string()));
        Ok((rows.iter().map(|row| decode(&row.payload)).collect::<Result<_, _>>()?, newest))
    }

    /// Time of the last change of an item, microseconds since 1970; 0 where there is none.
    pub async fn items_changed(&self) -> Result<i64, Error> {
        let newest = Entity::find().select_only().column_as(Column::UpdatedAt.max(), "newest");
        let newest: Option<Option<i64>> = newest.into_tuple().one(&self.db).await?;
        Ok(newest.flatten().unwrap_or_default())
    }
}
