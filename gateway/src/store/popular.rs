//! The popularity list, which answers when the recommender cannot.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    ExprTrait as _, QueryFilter as _, QueryOrder as _,
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

/// A change of the list under way; no other replica's overlaps it.
pub struct PopularChange {
    transaction: DatabaseTransaction,
    /// Version that the change makes.
    pub version: i64,
}

impl PopularChange {
    /// The list that is changed: the encoded items, the most popular first.
    pub async fn list(&self) -> Result<Vec<Vec<u8>>, Error> {
        listed(&self.transaction).await
    }

    /// Stores new versions of some items of the list or further items, removes others, and commits.
    pub async fn commit(self, stored: &[PopularItem], removed: &[String]) -> Result<(), Error> {
        let gone = removed.iter().map(|id| PopularItem { item_id: id.clone(), rank: 0, payload: Vec::new() });
        put(&self.transaction, stored, self.version).await?;
        put(&self.transaction, &gone.collect::<Vec<_>>(), self.version).await?;
        Ok(self.transaction.commit().await?)
    }
}

impl Store {
    /// The version of the list; it grows with every change.
    pub async fn popular_version(&self) -> Result<i64, Error> {
        version(&self.db).await
    }

    /// The encoded items, the most popular first.
    pub async fn popular(&self) -> Result<Vec<Vec<u8>>, Error> {
        listed(&self.db).await
    }

    /// Begins a change of the list. Raising the version first makes changes of several replicas follow each other.
    pub async fn change_popular(&self) -> Result<PopularChange, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let next = Expr::col(popular_version::Column::Version).add(1);
        popular_version::Entity::update_many()
            .col_expr(popular_version::Column::Version, next)
            .filter(popular_version::Column::Id.eq(VERSION_ROW))
            .exec(&transaction)
            .await?;
        let version = version(&transaction).await?;
        Ok(PopularChange { transaction, version })
    }

    /// Replaces the list by `items`, which were fetched when it had `version`. Items that were changed or removed since
    /// stay as they are now.
    pub async fn replace_popular(&self, items: &[PopularItem], version: i64) -> Result<(), Error> {
        let change = self.change_popular().await?;
        let changed = popular::Entity::find()
            .filter(popular::Column::ChangedIn.gt(version))
            .order_by_asc(popular::Column::Rank)
            .all(&change.transaction)
            .await?;
        popular::Entity::delete_many().exec(&change.transaction).await?;
        put(&change.transaction, items, FETCHED).await?;
        let places: HashMap<&str, i32> =
            items.iter().map(|item| (item.item_id.as_str(), item.rank)).collect();
        let behind = i32::try_from(items.len()).unwrap_or(i32::MAX);
        for popular::Model { item_id, payload, changed_in, .. } in changed {
            let rank = places.get(item_id.as_str()).copied().unwrap_or(behind);
            put(&change.transaction, &[PopularItem { item_id, rank, payload }], changed_in).await?;
        }
        Ok(change.transaction.commit().await?)
    }
}

/// What a row of the last fetch carries as the version that changed it.
const FETCHED: i64 = 0;

async fn version(connection: &impl ConnectionTrait) -> Result<i64, Error> {
    let row = popular_version::Entity::find_by_id(VERSION_ROW).one(connection).await?;
    Ok(row.map_or(0, |row| row.version))
}

/// Encoded items in order; a removed item is a row without one until the next fetch.
async fn listed(connection: &impl ConnectionTrait) -> Result<Vec<Vec<u8>>, Error> {
    let rows = popular::Entity::find()
        .order_by_asc(popular::Column::Rank)
        .order_by_asc(popular::Column::ItemId)
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| row.payload).filter(|payload| !payload.is_empty()).collect())
}

async fn put(transaction: &DatabaseTransaction, items: &[PopularItem], version: i64) -> Result<(), Error> {
    for items in items.chunks(LOOK_UP) {
        let rows = items.iter().map(|item| popular::ActiveModel {
            item_id: Set(item.item_id.clone()),
            rank: Set(item.rank),
            payload: Set(item.payload.clone()),
            changed_in: Set(version),
        });
        let replace = OnConflict::column(popular::Column::ItemId)
            .update_columns([popular::Column::Rank, popular::Column::Payload, popular::Column::ChangedIn])
            .to_owned();
        popular::Entity::insert_many(rows).on_conflict(replace).exec_without_returning(transaction).await?;
    }
    Ok(())
}
