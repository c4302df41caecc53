//! The catalogue, each change of which has a revision.
//!
//! A transaction that changes items first raises the one counter in `recommender_catalogue`, whose row stays locked
//! until it commits: revisions are in order of commit on every database, and a reader that has seen revision n has
//! seen all before it.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use prost::Message as _;
use proto::common::v1::Item;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::item::{ActiveModel, Column, Entity, Model};
use super::entity::{catalogue, removal};
use super::requests::{answered, keep_answer};
use super::{Error, STATEMENT, Store};

/// Microseconds for which a removal is remembered for replicas that have not followed it yet.
const REMOVALS_KEPT: i64 = 24 * 3_600 * 1_000_000;
/// Revisions read in one step; one holds at most the rows of one transaction.
const REVISIONS_PER_STEP: i64 = 16;

/// Changes of the catalogue after a revision.
#[derive(Debug, PartialEq)]
pub enum Changes {
    /// There are none.
    None,
    /// Too many removals were forgotten since: the catalogue must be read as a whole.
    Forgotten,
    /// Items as they are now, and ids of items that are gone.
    Some {
        /// The revision these changes lead to.
        revision: i64,
        /// Items stored since.
        stored: Vec<Item>,
        /// Ids of items removed since.
        removed: Vec<String>,
    },
}

/// Outcome of an update of several items.
#[derive(Debug, PartialEq)]
pub enum Updated<E> {
    /// So many items were changed, all that were named.
    All(u64),
    /// Nothing was changed, as these ids are not in the catalogue.
    Unknown(Vec<String>),
    /// Nothing was changed, as the change was refused.
    Refused(E),
}

/// Names under which answers to requests are kept.
const UPDATE: &str = "UpdateItems";
const DELETE: &str = "DeleteItems";

/// The number in a kept answer.
fn number(answer: &[u8]) -> Result<u64, Error> {
    let bytes =
        answer.try_into().map_err(|_| Error::Corrupt("the answer to a request is no number".into()))?;
    Ok(u64::from_be_bytes(bytes))
}

fn decode(payload: &[u8]) -> Result<Item, Error> {
    Item::decode(payload).map_err(|cause| Error::Corrupt(cause.to_string()))
}

/// Raises the revision of the catalogue and returns it; holds other writers off until the transaction ends.
async fn next_revision(transaction: &DatabaseTransaction) -> Result<i64, Error> {
    let raised = Expr::col(catalogue::Column::Revision).add(1);
    catalogue::Entity::update_many().col_expr(catalogue::Column::Revision, raised).exec(transaction).await?;
    Ok(state(transaction).await?.revision)
}

async fn state(db: &impl ConnectionTrait) -> Result<catalogue::Model, Error> {
    let row = catalogue::Entity::find().one(db).await?;
    row.ok_or_else(|| Error::Corrupt("recommender_catalogue has no row".to_owned()))
}

async fn store_items(
    transaction: &DatabaseTransaction,
    items: impl IntoIterator<Item = &Item>,
    now: i64,
) -> Result<(), Error> {
    let last: BTreeMap<&str, &Item> = items.into_iter().map(|item| (item.item_id.as_str(), item)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let revision = next_revision(transaction).await?;
    let row = |item: &Item| ActiveModel {
        item_id: Set(item.item_id.clone()),
        payload: Set(item.encode_to_vec()),
        updated_at: Set(now),
        revision: Set(revision),
    };
    let replace = OnConflict::column(Column::ItemId)
        .update_columns([Column::Payload, Column::UpdatedAt, Column::Revision])
        .to_owned();
    let all: Vec<&Item> = last.into_values().collect();
    for items in all.chunks(STATEMENT) {
        let insert = Entity::insert_many(items.iter().map(|item| row(item))).on_conflict(replace.clone());
        insert.exec_without_returning(transaction).await?;
        let ids = items.iter().map(|item| item.item_id.as_str());
        removal::Entity::delete_many().filter(removal::Column::ItemId.is_in(ids)).exec(transaction).await?;
    }
    Ok(())
}

impl Store {
    /// Stores `items` in one transaction, replacing those of the same id; of equal ids the last counts. `now` is in
    /// microseconds.
    pub async fn upsert_items(&self, items: &[Item], now: i64) -> Result<(), Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        store_items(&transaction, items, now).await?;
        Ok(transaction.commit().await?)
    }

    /// Changes stored items in one transaction: `change` is given the items of `item_ids` by id, and what it leaves is
    /// stored. All are changed, or none; a request that was answered before changes nothing.
    pub async fn update_items<E>(
        &self,
        request_id: &str,
        item_ids: &[String],
        now: i64,
        change: impl FnOnce(&mut BTreeMap<String, Item>) -> Result<(), E>,
    ) -> Result<Updated<E>, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        // Taken before the items are read: no other writer changes them in between.
        let _ = next_revision(&transaction).await?;
        if let Some(count) = answered(&transaction, UPDATE, request_id).await? {
            transaction.rollback().await?;
            return Ok(Updated::All(number(&count)?));
        }
        let mut items = BTreeMap::new();
        for ids in item_ids.chunks(STATEMENT) {
            let rows = Entity::find().filter(Column::ItemId.is_in(ids.iter().map(String::as_str)));
            for row in rows.all(&transaction).await? {
                items.insert(row.item_id, decode(&row.payload)?);
            }
        }
        let mut unknown: Vec<String> = Vec::new();
        for id in item_ids.iter().filter(|id| !items.contains_key(*id)) {
            if !unknown.contains(id) {
                unknown.push(id.clone());
            }
        }
        let outcome = if unknown.is_empty() {
            change(&mut items).map_or_else(Updated::Refused, |()| Updated::All(items.len() as u64))
        } else {
            Updated::Unknown(unknown)
        };
        if let Updated::All(count) = outcome {
            store_items(&transaction, items.values(), now).await?;
            let answer = count.to_be_bytes().to_vec();
            keep_answer(&transaction, (UPDATE, request_id), answer, now).await?;
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(outcome)
    }

    /// Removes items and returns how many there were; a request that was answered before removes nothing and returns
    /// the same. `now` is in microseconds.
    pub async fn delete_items(&self, request_id: &str, item_ids: &[String], now: i64) -> Result<u64, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let revision = next_revision(&transaction).await?;
        if let Some(count) = answered(&transaction, DELETE, request_id).await? {
            transaction.rollback().await?;
            return number(&count);
        }
        let mut deleted = 0;
        for ids in item_ids.chunks(STATEMENT) {
            let there = Column::ItemId.is_in(ids.iter().map(String::as_str));
            let found: Vec<String> = Entity::find()
                .select_only()
                .column(Column::ItemId)
                .filter(there.clone())
                .into_tuple()
                .all(&transaction)
                .await?;
            if found.is_empty() {
                continue;
            }
            deleted += Entity::delete_many().filter(there).exec(&transaction).await?.rows_affected;
            let row = |item_id| removal::ActiveModel {
                item_id: Set(item_id),
                revision: Set(revision),
                removed_at: Set(now),
            };
            let rows = found.into_iter().map(row);
            removal::Entity::insert_many(rows).exec_without_returning(&transaction).await?;
        }
        forget_removals(&transaction, now - REMOVALS_KEPT).await?;
        keep_answer(&transaction, (DELETE, request_id), deleted.to_be_bytes().to_vec(), now).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    /// Reads the whole catalogue into `items` and returns the revision from which on changes must be followed.
    pub async fn items(&self, items: &mut impl Extend<Item>) -> Result<i64, Error> {
        let revision = state(&self.db).await?.revision;
        let mut rows = Entity::find().order_by_asc(Column::ItemId).stream(&self.db).await?;
        while let Some(row) = rows.try_next().await? {
            items.extend([decode(&row.payload)?]);
        }
        Ok(revision)
    }

    /// What changed after `revision`, a bounded number of revisions at a time: call again until there is nothing.
    pub async fn item_changes(&self, revision: i64) -> Result<Changes, Error> {
        let state = state(&self.db).await?;
        if state.revision <= revision {
            return Ok(Changes::None);
        }
        if revision < state.pruned {
            return Ok(Changes::Forgotten);
        }
        let end = Ord::min(state.revision, revision.saturating_add(REVISIONS_PER_STEP));
        let rows: Vec<Model> = Entity::find()
            .filter(Column::Revision.gt(revision).and(Column::Revision.lte(end)))
            .all(&self.db)
            .await?;
        let stored = rows.iter().map(|row| decode(&row.payload)).collect::<Result<_, _>>()?;
        let since = removal::Column::Revision.gt(revision).and(removal::Column::Revision.lte(end));
        let removed = removal::Entity::find()
            .select_only()
            .column(removal::Column::ItemId)
            .filter(since)
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(Changes::Some { revision: end, stored, removed })
    }

    /// The item of this id.
    pub async fn item(&self, item_id: &str) -> Result<Option<Item>, Error> {
        Entity::find_by_id(item_id).one(&self.db).await?.map(|row| decode(&row.payload)).transpose()
    }

    /// Up to `limit` items in order of their ids, those after `after`; empty: from the first.
    pub async fn items_after(&self, after: &str, limit: u64) -> Result<Vec<Item>, Error> {
        let page = Entity::find().filter(Column::ItemId.gt(after)).order_by_asc(Column::ItemId).limit(limit);
        page.all(&self.db).await?.iter().map(|row| decode(&row.payload)).collect()
    }
}

/// Forgets removals before `time`, in microseconds; a replica that has not followed them reads all items again.
async fn forget_removals(transaction: &DatabaseTransaction, time: i64) -> Result<(), Error> {
    let old = removal::Column::RemovedAt.lt(time);
    let last: Option<Option<i64>> = removal::Entity::find()
        .select_only()
        .column_as(removal::Column::Revision.max(), "last")
        .filter(old.clone())
        .into_tuple()
        .one(transaction)
        .await?;
    if let Some(last) = last.flatten() {
        removal::Entity::delete_many().filter(old).exec(transaction).await?;
        catalogue::Entity::update_many()
            .col_expr(catalogue::Column::Pruned, Expr::value(last))
            .exec(transaction)
            .await?;
    }
    Ok(())
}
