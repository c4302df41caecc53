//! Popularity of items, kept up to date in the transaction that changes events.
//!
//! A change of events concerns some pairs of a person and an item. The interest of these pairs is read before the change
//! and after it, and the differences are added to the items' scores. The cost of an event is therefore that of a few
//! look-ups by index, however many events are stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::TryStreamExt as _;
use proto::common::v1::{Event, EventKind};
use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait as _, OnConflict, Order, Query, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QueryResult, QuerySelect as _,
};

use super::entity::popularity::{ActiveModel, Column, Entity, Model};
use super::entity::{event, popularity_basis};
use super::events::{DEED, DeedRow, Net, are_acts};
use super::{Error, STATEMENT, Store};
use crate::popularity::interest;
use crate::signals::Signals;

/// Row of the table of one row.
const BASIS: i32 = 1;

/// Pairs of a person and an item whose events change.
#[derive(Debug, Default)]
pub(super) struct Pairs(BTreeSet<(String, String)>);

/// Whether events of this kind count for the popularity of their item, or against it.
fn counts(kind: EventKind, signals: &Signals) -> bool {
    kind == EventKind::Return || signals.weight(kind) != 0.0
}

impl Pairs {
    /// The pairs of events with their owners, of those that count.
    pub(super) fn of<'a>(events: impl Iterator<Item = (String, &'a Event)>, signals: &Signals) -> Self {
        let counted = events.filter(|(_, event)| counts(event.kind(), signals) && !event.item_id.is_empty());
        Self(counted.map(|(owner, event)| (owner, event.item_id.clone())).collect())
    }

    /// Adds the pairs of all events of `person`.
    pub(super) async fn add_all(
        &mut self,
        transaction: &DatabaseTransaction,
        person: &str,
    ) -> Result<(), Error> {
        let items = items_of(transaction, person).await?;
        self.0.extend(items.into_iter().map(|item| (person.to_owned(), item)));
        Ok(())
    }

    /// Adds the pairs that change when the events of `visitor` become those of `user`.
    pub(super) async fn join(
        &mut self,
        transaction: &DatabaseTransaction,
        visitor: &str,
        user: &str,
    ) -> Result<(), Error> {
        for item in items_of(transaction, visitor).await? {
            self.0.insert((visitor.to_owned(), item.clone()));
            self.0.insert((user.to_owned(), item));
        }
        Ok(())
    }

    fn items(&self) -> Vec<&str> {
        let items: BTreeSet<&str> = self.0.iter().map(|(_, item)| item.as_str()).collect();
        items.into_iter().collect()
    }
}

async fn items_of(transaction: &DatabaseTransaction, person: &str) -> Result<Vec<String>, Error> {
    let items = event::Entity::find()
        .select_only()
        .column(event::Column::ItemId)
        .distinct()
        .filter(event::Column::Person.eq(person))
        .filter(are_acts())
        .filter(event::Column::ItemId.ne(""));
    Ok(items.into_tuple().all(transaction).await?)
}

/// Reads the acts of pairs. A join, as SQLite looks pairs up by index in no other form.
fn of_pairs(pairs: &[&(String, String)]) -> SelectStatement {
    let pair = Alias::new("pair");
    let column = |name: &'static str| Expr::col((pair.clone(), Alias::new(name)));
    let own = |column: event::Column| Expr::col((event::Entity, column));
    let same = Condition::all()
        .add(own(event::Column::Person).eq(column("column1")))
        .add(own(event::Column::ItemId).eq(column("column2")));
    Query::select()
        .columns(DEED.map(|column| (event::Entity, column)))
        .from_values(pairs.iter().map(|(person, item)| (person.clone(), item.clone())), pair.clone())
        .inner_join(event::Entity, same)
        .and_where(are_acts())
        .order_by((event::Entity, event::Column::OccurredAt), Order::Asc)
        .order_by((event::Entity, event::Column::EventId), Order::Asc)
        .to_owned()
}

/// Interest in items, summed over some pairs.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Sum by item, as of `at`.
    by_item: HashMap<String, f64>,
    /// Seconds since 1970.
    at: i64,
}

impl Interest {
    /// The interest of `pairs` before their events change. Their items are locked until the transaction ends, so that
    /// two writers do not both add what only one of them changed.
    pub(super) async fn lock(
        transaction: &DatabaseTransaction,
        pairs: &Pairs,
        signals: &Signals,
    ) -> Result<Self, Error> {
        // SQLite has one writer at a time.
        if transaction.get_database_backend() == DbBackend::Postgres {
            for items in pairs.items().chunks(STATEMENT) {
                let row = |item: &&str| ActiveModel {
                    item_id: Set((*item).to_owned()),
                    score: Set(0.0),
                    at: Set(0),
                };
                let once = OnConflict::column(Column::ItemId).do_nothing().to_owned();
                let rows = Entity::insert_many(items.iter().map(row)).on_conflict(once);
                rows.exec_without_returning(transaction).await?;
                Entity::find()
                    .filter(Column::ItemId.is_in(items.iter().copied()))
                    .order_by_asc(Column::ItemId)
                    .lock_exclusive()
                    .all(transaction)
                    .await?;
            }
        }
        Self::read(transaction, pairs, signals).await
    }

    async fn read(
        transaction: &DatabaseTransaction,
        pairs: &Pairs,
        signals: &Signals,
    ) -> Result<Self, Error> {
        let pairs: Vec<&(String, String)> = pairs.0.iter().collect();
        let mut deeds: BTreeMap<(String, String), Vec<DeedRow>> = BTreeMap::new();
        for pairs in pairs.chunks(STATEMENT) {
            let rows =
                transaction.query_all_raw(transaction.get_database_backend().build(&of_pairs(pairs))).await?;
            let rows = rows.iter().map(QueryResult::try_get_many_by_index::<DeedRow>);
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            for row in rows {
                deeds.entry((row.0.clone(), row.2.clone())).or_default().push(row);
            }
        }
        let at = deeds.values().filter_map(|rows| rows.last()).map(|row| row.3).max().unwrap_or(0);
        let mut by_item: HashMap<String, f64> = HashMap::new();
        for ((_, item), rows) in deeds {
            *by_item.entry(item).or_default() += interest(&Net::of(rows), signals, at);
        }
        Ok(Self { by_item, at })
    }

    /// Adds what has changed of the interest of `pairs` since to the scores of their items.
    pub(super) async fn settle(
        self,
        transaction: &DatabaseTransaction,
        pairs: &Pairs,
        signals: &Signals,
    ) -> Result<(), Error> {
        let after = Self::read(transaction, pairs, signals).await?;
        let at = Ord::max(self.at, after.at);
        let now = |part: &Self, item: &str| {
            part.by_item.get(item).map_or(0.0, |sum| sum * signals.popularity_left(at - part.at))
        };
        for items in pairs.items().chunks(STATEMENT) {
            let stored = Entity::find().filter(Column::ItemId.is_in(items.iter().copied()));
            let stored: HashMap<String, Model> =
                stored.all(transaction).await?.into_iter().map(|row| (row.item_id.clone(), row)).collect();
            let changed = items.iter().filter_map(|item| {
                let change = now(&after, item) - now(&self, item);
                let score = moved(stored.get(*item), change, at, signals)?;
                Some(row((*item).to_owned(), score))
            });
            put(transaction, changed.collect()).await?;
        }
        Ok(())
    }
}

/// A score as of a time.
type Score = (f64, i64);

/// The score of an item after a change as of `at`; none where nothing changes.
fn moved(stored: Option<&Model>, change: f64, at: i64, signals: &Signals) -> Option<Score> {
    if change == 0.0 {
        return None;
    }
    let (score, before) = stored.map_or((0.0, at), |row| (row.score, row.at));
    let newest = Ord::max(at, before);
    let sum =
        score * signals.popularity_left(newest - before) + change * signals.popularity_left(newest - at);
    // What rounding leaves of an interest that is gone is no interest.
    Some((if sum > 1e-12 { sum } else { 0.0 }, newest))
}

fn row(item: String, (score, at): Score) -> ActiveModel {
    ActiveModel { item_id: Set(item), score: Set(score), at: Set(at) }
}

async fn put(transaction: &DatabaseTransaction, rows: Vec<ActiveModel>) -> Result<(), Error> {
    let replace = OnConflict::column(Column::ItemId).update_columns([Column::Score, Column::At]).to_owned();
    for rows in rows.chunks(STATEMENT) {
        let insert = Entity::insert_many(rows.to_vec()).on_conflict(replace.clone());
        insert.exec_without_returning(transaction).await?;
    }
    Ok(())
}

impl Store {
    /// Items with their popularity, the most popular first; items that nobody shows interest in are left out. Scores
    /// are comparable within one answer.
    pub async fn popularity(&self) -> Result<Vec<(String, f64)>, Error> {
        let rows = Entity::find().filter(Column::Score.gt(0.0)).all(&self.db).await?;
        let newest = rows.iter().map(|row| row.at).max().unwrap_or(0);
        let score = |row: Model| (row.item_id, row.score * self.signals.popularity_left(newest - row.at));
        let mut scores: Vec<(String, f64)> = rows.into_iter().map(score).collect();
        scores.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(scores)
    }

    /// Computes the popularity of all items from all events where it was computed with other settings or never; says
    /// whether it was. Events are read once in order of person and item; writers of events wait meanwhile.
    pub async fn settle_popularity(&self) -> Result<bool, Error> {
        let Signals { rating_min, rating_max, returned, popularity_half_life_days, .. } = *self.signals;
        let settings = [rating_min, rating_max, f64::from(returned), popularity_half_life_days];
        let basis = serde_json::to_string(&(self.signals.weights(), settings));
        let basis = basis.map_err(|cause| Error::Corrupt(cause.to_string()))?;
        let stored = popularity_basis::Entity::find_by_id(BASIS);
        if stored.clone().one(&self.db).await?.is_some_and(|row| row.basis == basis) {
            return Ok(false);
        }
        let transaction = chassis::database::begin(&self.db).await?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction
                .execute_unprepared("LOCK TABLE recommender_popularity IN SHARE ROW EXCLUSIVE MODE")
                .await?;
        }
        if stored.one(&transaction).await?.is_some_and(|row| row.basis == basis) {
            transaction.rollback().await?;
            return Ok(false);
        }
        let totals = totals(&transaction, &self.signals).await?;
        Entity::delete_many().exec(&transaction).await?;
        put(&transaction, totals.into_iter().map(|(item, score)| row(item, score)).collect()).await?;
        let row = popularity_basis::ActiveModel { id: Set(BASIS), basis: Set(basis) };
        let replace = OnConflict::column(popularity_basis::Column::Id)
            .update_column(popularity_basis::Column::Basis)
            .to_owned();
        popularity_basis::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// The score of every item, from all events.
async fn totals(
    transaction: &DatabaseTransaction,
    signals: &Signals,
) -> Result<BTreeMap<String, Score>, Error> {
    use event::Column;
    let newest: Option<Option<i64>> = event::Entity::find()
        .select_only()
        .column_as(Column::OccurredAt.max(), "newest")
        .into_tuple()
        .one(transaction)
        .await?;
    let at = newest.flatten().unwrap_or(0);
    let mut rows = event::Entity::find()
        .select_only()
        .columns(DEED)
        .filter(are_acts())
        .filter(Column::ItemId.ne(""))
        .order_by_asc(Column::Person)
        .order_by_asc(Column::ItemId)
        .order_by_asc(Column::OccurredAt)
        .order_by_asc(Column::EventId)
        .into_tuple::<DeedRow>()
        .stream(transaction)
        .await?;
    let mut totals: BTreeMap<String, Score> = BTreeMap::new();
    let mut add = |pair: &mut Vec<DeedRow>| {
        let Some(item) = pair.first().map(|row| row.2.clone()) else { return };
        let interest = interest(&Net::of(std::mem::take(pair)), signals, at);
        if interest > 0.0 {
            totals.entry(item).or_insert((0.0, at)).0 += interest;
        }
    };
    let mut pair: Vec<DeedRow> = Vec::new();
    while let Some(row) = rows.try_next().await? {
        if pair.last().is_some_and(|last| (&last.0, &last.2) != (&row.0, &row.2)) {
            add(&mut pair);
        }
        pair.push(row);
    }
    add(&mut pair);
    Ok(totals)
}

#[cfg(test)]
mod tests;
