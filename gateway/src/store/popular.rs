//! The popularity list, which answers when the recommender cannot.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, ExprTrait as _,
    QueryFilter as _, QueryOrder as _,
};

use super::entity::{popular, popular_version};
use super::outbox::LOOK_UP;
use super::{Error, Store};

/// Key of the one row that holds the list's version.
const VERSION_ROW: i32 = 1;

/// An item of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopularItem {
    /// The item's id.
    pub item_id: String,
    /// Its place in the list, from 0.
    pub rank: i32,
    /// The encoded item.
    pub payload: Vec<u8>,
}

impl Store {
    /// The version of the list; it grows with every change.
    pub async fn popular_version(&self) -> Result<i64, Error> {
        let row = popular_version::Entity::find_by_id(VERSION_ROW).one(&self.db).await?;
        Ok(row.map_or(0, |row| row.version))
    }

    /// The encoded items, the most popular first.
    pub async fn popular(&self) -> Result<Vec<Vec<u8>>, Error> {
        let rows = popular::Entity::find().order_by_asc(popular::Column::Rank).all(&self.db).await?;
        Ok(rows.into_iter().map(|row| row.payload).collect())
    }

    /// Replaces the list by `items`, unless it has changed since it had `version`; returns whether it was replaced.
    pub async fn replace_popular(&self, items: &[PopularItem], version: i64) -> Result<bool, Error> {
        let transaction = self.begin_change().await?;
        let row = popular_version::Entity::find_by_id(VERSION_ROW).one(&transaction).await?;
        if row.is_none_or(|row| row.version != version + 1) {
            transaction.rollback().await?;
            return Ok(false);
        }
        popular::Entity::delete_many().exec(&transaction).await?;
        put(&transaction, items).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Stores new versions of some items of the list, or further items.
    pub async fn put_popular(&self, items: &[PopularItem]) -> Result<(), Error> {
        let transaction = self.begin_change().await?;
        put(&transaction, items).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes items from the list.
    pub async fn remove_popular(&self, item_ids: &[String]) -> Result<(), Error> {
        let transaction = self.begin_change().await?;
        for ids in item_ids.chunks(LOOK_UP) {
            let named = popular::Column::ItemId.is_in(ids);
            popular::Entity::delete_many().filter(named).exec(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Begins a change of the list. Raising the version first makes changes of several replicas follow each other.
    async fn begin_change(&self) -> Result<DatabaseTransaction, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let next = Expr::col(popular_version::Column::Version).add(1);
        popular_version::Entity::update_many()
            .col_expr(popular_version::Column::Version, next)
            .filter(popular_version::Column::Id.eq(VERSION_ROW))
            .exec(&transaction)
            .await?;
        Ok(transaction)
    }
}

async fn put(transaction: &DatabaseTransaction, items: &[PopularItem]) -> Result<(), Error> {
    for items in items.chunks(LOOK_UP) {
        let rows = items.iter().map(|item| popular::ActiveModel {
            item_id: Set(item.item_id.clone()),
            rank: Set(item.rank),
            payload: Set(item.payload.clone()),
        });
        let replace = OnConflict::column(popular::Column::ItemId)
            .update_columns([popular::Column::Rank, popular::Column::Payload])
            .to_owned();
        popular::Entity::insert_many(rows).on_conflict(replace).exec_without_returning(transaction).await?;
    }
    Ok(())
}
