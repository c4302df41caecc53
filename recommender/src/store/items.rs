use prost::Message as _;
use proto::common::v1::Item;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use super::entity::item::{ActiveModel, Column, Entity};
use super::{Error, STATEMENT, Store};

impl Store {
    /// Stores `items` in one transaction, replacing those of the same id; of equal ids the last counts.
    pub async fn upsert_items(&self, items: &[Item], now: i64) -> Result<(), Error> {
        let transaction = chassis::database::begin(&self.db).await?;
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

    /// Removes items; says how many there were.
    pub async fn delete_items(&self, item_ids: &[String]) -> Result<u64, Error> {
        let ids = item_ids.iter().map(String::as_str);
        let gone = Entity::delete_many().filter(Column::ItemId.is_in(ids)).exec(&self.db).await?;
        Ok(gone.rows_affected)
    }

    /// All items, by id.
    pub async fn items(&self) -> Result<Vec<Item>, Error> {
        let rows = Entity::find().order_by_asc(Column::ItemId).all(&self.db).await?;
        let decode =
            |payload: &[u8]| Item::decode(payload).map_err(|cause| Error::Corrupt(cause.to_string()));
        rows.iter().map(|row| decode(&row.payload)).collect()
    }

    /// Something that changes whenever items do: their number and the time of the last change.
    pub async fn items_version(&self) -> Result<(u64, i64), Error> {
        let count = Entity::find().count(&self.db).await?;
        let newest: Option<Option<i64>> = Entity::find()
            .select_only()
            .column_as(Column::UpdatedAt.max(), "newest")
            .into_tuple()
            .one(&self.db)
            .await?;
        Ok((count, newest.flatten().unwrap_or_default()))
    }
}
