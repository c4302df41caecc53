//! Writing to the outbox: rows are stored once each, in one transaction, in the order of their positions.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QuerySelect as _,
};

use super::entity::outbox;
use super::links::{Link, Linking, Refusal};
use super::{Error, Store, log};

/// Ids looked up in one query; databases bound the number of parameters.
pub(super) const LOOK_UP: usize = 500;

/// What a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `common.v1.Event`.
    Event = 1,
    /// An `evaluator.v1.Decision`.
    Decision = 2,
}

/// A row to be made durable.
#[derive(Debug, Clone)]
pub struct Row {
    /// Unique over all rows: `event:ID` or `decision:ID`.
    pub id: String,
    /// What it holds.
    pub kind: Kind,
    /// Pseudonym of the person it is about.
    pub person: String,
    /// The encoded message.
    pub payload: Vec<u8>,
    /// The link a LINK event makes; `None` for all other rows.
    pub link: Option<Link>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was stored.
    New,
    /// A row of this id was stored before.
    Known,
    /// It is a link that contradicts the links there are; nothing was stored.
    Refused(Refusal),
}

/// What became of some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// One outcome for each row, in order.
    pub outcomes: Vec<Outcome>,
    /// Position at or before which all events among the rows stand; 0 where none of the rows is an event.
    pub position: i64,
}

/// A transaction that may write to the outbox: no other replica's overlaps it.
pub struct Appending(DatabaseTransaction);

impl Appending {
    /// Writes `rows`, with the links they make, and commits. `now` is in seconds since 1970.
    pub async fn append(self, rows: &[Row], now: i64) -> Result<Appended, Error> {
        let Self(transaction) = self;
        let mut seen = known(&transaction, rows).await?;
        let mut linking =
            Linking::load(&transaction, rows.iter().filter_map(|row| row.link.as_ref())).await?;
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut fresh = Vec::new();
        for row in rows {
            let outcome = if seen.contains(&row.id) {
                Outcome::Known
            } else {
                row.link.as_ref().map_or(Outcome::New, |link| linking.add(link))
            };
            if outcome == Outcome::New {
                seen.insert(row.id.clone());
                fresh.push(row);
            }
            outcomes.push(outcome);
        }
        insert(&transaction, &fresh, now).await?;
        let linked: Vec<&Row> = fresh.iter().copied().filter(|row| row.link.is_some()).collect();
        if !linked.is_empty() {
            linking.store(&transaction, &positions(&transaction, &linked).await?, now).await?;
        }
        let has_events = rows.iter().any(|row| row.kind == Kind::Event);
        let position = if has_events { log::newest_event(&transaction).await? } else { 0 };
        transaction.commit().await?;
        Ok(Appended { outcomes, position })
    }
}

impl Store {
    /// Waits until this replica may write to the outbox.
    ///
    /// Transactions of all replicas follow each other, so that positions are given in the order of commits: a reader
    /// that has seen a position has seen all before it.
    pub async fn appending(&self) -> Result<Appending, Error> {
        Ok(Appending(self.begin_alone().await?))
    }

    /// Number of rows about any of `people`.
    pub async fn outbox_of(&self, people: &[String]) -> Result<u64, Error> {
        let mut rows = 0;
        for people in people.chunks(LOOK_UP) {
            let about = outbox::Column::Person.is_in(people);
            rows += outbox::Entity::find().filter(about).count(&self.db).await?;
        }
        Ok(rows)
    }

    /// Drops all rows about any of `people`; returns how many there were.
    pub async fn forget(&self, people: &[String]) -> Result<u64, Error> {
        let mut rows = 0;
        for people in people.chunks(LOOK_UP) {
            let about = outbox::Column::Person.is_in(people);
            rows += outbox::Entity::delete_many().filter(about).exec(&self.db).await?.rows_affected;
        }
        Ok(rows)
    }
}

/// The ids among those of `rows` that are stored.
async fn known(transaction: &DatabaseTransaction, rows: &[Row]) -> Result<HashSet<String>, Error> {
    let mut known = HashSet::new();
    for rows in rows.chunks(LOOK_UP) {
        let ids: Vec<String> = outbox::Entity::find()
            .select_only()
            .column(outbox::Column::Id)
            .filter(outbox::Column::Id.is_in(rows.iter().map(|row| row.id.as_str())))
            .into_tuple()
            .all(transaction)
            .await?;
        known.extend(ids);
    }
    Ok(known)
}

async fn insert(transaction: &DatabaseTransaction, rows: &[&Row], now: i64) -> Result<(), Error> {
    for rows in rows.chunks(LOOK_UP) {
        let models = rows.iter().map(|row| outbox::ActiveModel {
            sequence: NotSet,
            id: Set(row.id.clone()),
            kind: Set(row.kind as i16),
            person: Set(row.person.clone()),
            payload: Set(row.payload.clone()),
            stored_at: Set(now),
        });
        outbox::Entity::insert_many(models)
            .on_conflict(OnConflict::column(outbox::Column::Id).do_nothing().to_owned())
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

/// Position of each of `rows`, which are stored, by the visitor they link.
async fn positions(transaction: &DatabaseTransaction, rows: &[&Row]) -> Result<HashMap<String, i64>, Error> {
    let mut by_id = HashMap::new();
    for rows in rows.chunks(LOOK_UP) {
        let found: Vec<(String, i64)> = outbox::Entity::find()
            .select_only()
            .columns([outbox::Column::Id, outbox::Column::Sequence])
            .filter(outbox::Column::Id.is_in(rows.iter().map(|row| row.id.as_str())))
            .into_tuple()
            .all(transaction)
            .await?;
        by_id.extend(found);
    }
    let of = |row: &&Row| Some((row.link.as_ref()?.visitor.clone(), *by_id.get(&row.id)?));
    Ok(rows.iter().filter_map(of).collect())
}
