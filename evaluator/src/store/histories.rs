//! Histories of people, one row each, kept in the transaction that changes the log.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{decision, event, history, link};
use super::{DecisionRow, EventRow, STATEMENT, Store, moments, unit};
use crate::error::{Error, Result};
use crate::features::replay::{PastDecision, Replay};
use crate::features::{Activity, History, VERSION};

/// Attribute of an event that states the category of its item.
const CATEGORY: &str = "category";
/// Rows of the log read at once when histories are rebuilt.
const PAGE: u64 = 4_000;

/// Histories by unit.
pub type Histories = BTreeMap<String, History>;

/// What a write adds to histories, by unit.
#[derive(Default)]
pub(super) struct Additions(Histories);

impl Additions {
    /// Adds an event that was not stored before.
    pub(super) fn event(&mut self, row: &EventRow) -> Result<()> {
        let unit = unit(&row.person, &row.visitor);
        self.0.entry(unit).or_default().add(&activity(row)?);
        Ok(())
    }

    /// Adds a decision that was not stored before.
    pub(super) fn decision(&mut self, row: &DecisionRow) {
        if !row.offer_id.is_empty() && !row.in_holdout {
            self.0.entry(unit(&row.person, &row.visitor)).or_default().add_offer(row.decided_at);
        }
    }

    /// Merges them into the stored histories. Writers hold the lock of [`moments::lock`].
    pub(super) async fn store(self, transaction: &DatabaseTransaction) -> Result<()> {
        let units: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let mut merged = read(transaction, &units).await?;
        for (unit, added) in self.0 {
            merged.entry(unit).or_default().merge(added);
        }
        write(transaction, &merged).await
    }
}

/// Merges the histories of newly linked visitors into their users'.
pub(super) async fn join(transaction: &DatabaseTransaction, links: &[link::Model]) -> Result<()> {
    let visitors: Vec<&str> = links.iter().map(|link| link.visitor.as_str()).collect();
    let mut theirs = read(transaction, &visitors).await?;
    let mut joined = Additions::default();
    for link in links {
        if let Some(history) = theirs.remove(&link.visitor) {
            joined.0.entry(link.person.clone()).or_default().merge(history);
        }
    }
    forget(transaction, &visitors).await?;
    joined.store(transaction).await
}

/// Deletes the histories of `units`.
pub(super) async fn forget(transaction: &DatabaseTransaction, units: &[&str]) -> Result<()> {
    for chunk in units.chunks(STATEMENT) {
        let of_units = history::Column::Unit.is_in(chunk.iter().copied());
        history::Entity::delete_many().filter(of_units).exec(transaction).await?;
    }
    Ok(())
}

async fn read(db: &impl ConnectionTrait, units: &[&str]) -> Result<Histories> {
    let mut found = Histories::new();
    for chunk in units.chunks(STATEMENT) {
        let query = history::Entity::find().filter(history::Column::Unit.is_in(chunk.iter().copied()));
        for row in query.all(db).await? {
            let history = decoded(&row)?;
            found.insert(row.unit, history);
        }
    }
    Ok(found)
}

async fn write(transaction: &DatabaseTransaction, histories: &Histories) -> Result<()> {
    let rows: Vec<_> = histories
        .iter()
        .map(|(unit, history)| {
            let payload =
                serde_json::to_string(history).map_err(|error| Error::Internal(error.to_string()))?;
            let version = VERSION.cast_signed();
            Ok(history::Model { unit: unit.clone(), version, payload }.into_active_model())
        })
        .collect::<Result<_>>()?;
    let replace = OnConflict::column(history::Column::Unit)
        .update_columns([history::Column::Version, history::Column::Payload])
        .to_owned();
    for chunk in rows.chunks(STATEMENT) {
        history::Entity::insert_many(chunk.to_vec())
            .on_conflict(replace.clone())
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

fn decoded(row: &history::Model) -> Result<History> {
    if row.version != VERSION.cast_signed() {
        let text = format!("evaluator_history is of version {}, {VERSION} is needed: restart", row.version);
        return Err(Error::Internal(text));
    }
    serde_json::from_str(&row.payload)
        .map_err(|error| Error::Internal(format!("evaluator_history.payload: {error}")))
}

/// An event as it counts for features.
fn activity(row: &EventRow) -> Result<Activity> {
    let whole = Event::decode(row.payload.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
    let mut attributes = whole.attributes;
    Ok(Activity {
        event_id: row.event_id.clone(),
        kind: EventKind::try_from(i32::from(row.kind)).unwrap_or_default(),
        at: row.occurred_at,
        channel: row.channel,
        decision_id: row.decision_id.clone(),
        offer_id: row.offer_id.clone(),
        order_id: row.order_id.clone(),
        quantity: row.quantity,
        currency: row.currency.clone(),
        revenue: row.revenue,
        category: attributes.remove(CATEGORY).unwrap_or_default(),
    })
}

impl Store {
    /// Returns the history of `unit` as of `at`. Where nothing lies after `at`, which is the rule, that is one indexed read;
    /// otherwise the unit's log is played back.
    pub async fn history(&self, unit: &str, at: i64) -> Result<History> {
        let Some(row) = history::Entity::find_by_id(unit).one(&self.db).await? else {
            return Ok(History::default());
        };
        let history = decoded(&row)?;
        if !history.reaches(at) {
            return Ok(history);
        }
        let mut replays = self.replays(&[unit]).await?;
        Ok(replays.remove(unit).map(|mut replay| replay.before(at).clone()).unwrap_or_default())
    }

    /// Returns the logs of `units`, ready to be played back.
    pub async fn replays(&self, units: &[&str]) -> Result<BTreeMap<String, Replay>> {
        let mut logs: BTreeMap<String, (Vec<Activity>, Vec<PastDecision>)> = BTreeMap::new();
        for chunk in units.chunks(STATEMENT) {
            let of_events = Condition::any().add(event::Column::Person.is_in(chunk.iter().copied())).add(
                Condition::all()
                    .add(event::Column::Person.eq(""))
                    .add(event::Column::Visitor.is_in(chunk.iter().copied())),
            );
            for row in event::Entity::find().filter(of_events).all(&self.db).await? {
                logs.entry(unit(&row.person, &row.visitor)).or_default().0.push(activity(&row)?);
            }
            let of_decisions =
                Condition::any().add(decision::Column::Person.is_in(chunk.iter().copied())).add(
                    Condition::all()
                        .add(decision::Column::Person.eq(""))
                        .add(decision::Column::Visitor.is_in(chunk.iter().copied())),
                );
            let rows: Vec<(String, String, String, i64, String, bool)> = decision::Entity::find()
                .select_only()
                .columns([
                    decision::Column::DecisionId,
                    decision::Column::Person,
                    decision::Column::Visitor,
                    decision::Column::DecidedAt,
                    decision::Column::OfferId,
                    decision::Column::InHoldout,
                ])
                .filter(of_decisions)
                .into_tuple()
                .all(&self.db)
                .await?;
            for (decision_id, person, visitor, at, offer_id, in_holdout) in rows {
                let offered = !offer_id.is_empty() && !in_holdout;
                let decision = PastDecision { decision_id, at, offered };
                logs.entry(unit(&person, &visitor)).or_default().1.push(decision);
            }
        }
        Ok(logs
            .into_iter()
            .map(|(unit, (events, decisions))| (unit, Replay::new(events, &decisions)))
            .collect())
    }

    /// Rebuilds all histories from the log in one transaction; returns what was kept before and what is now.
    pub async fn rebuild_histories(&self) -> Result<(Histories, Histories)> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        moments::lock(&transaction).await?;
        let current = history::Column::Version.eq(VERSION.cast_signed());
        let rows = history::Entity::find().filter(current).all(&transaction).await?;
        let old = rows
            .into_iter()
            .map(|row| Ok((row.unit.clone(), decoded(&row)?)))
            .collect::<Result<Histories>>()?;
        history::Entity::delete_many().exec(&transaction).await?;
        add_events(&transaction).await?;
        add_decisions(&transaction).await?;
        let mut new = Histories::new();
        for row in history::Entity::find().all(&transaction).await? {
            new.insert(row.unit.clone(), decoded(&row)?);
        }
        transaction.commit().await?;
        Ok((old, new))
    }

    /// Builds the histories of a log that is older than they are or than this version of them.
    pub(super) async fn build_missing_histories(&self) -> Result<()> {
        let other = history::Column::Version.ne(VERSION.cast_signed());
        let outdated = history::Entity::find().filter(other).one(&self.db).await?.is_some();
        let none = history::Entity::find().one(&self.db).await?.is_none();
        let logged = event::Entity::find().one(&self.db).await?.is_some()
            || decision::Entity::find().one(&self.db).await?.is_some();
        if outdated || (none && logged) {
            self.rebuild_histories().await?;
        }
        Ok(())
    }
}

/// Adds all stored events, unit after unit.
async fn add_events(transaction: &DatabaseTransaction) -> Result<()> {
    use event::Column::{EventId, Person, Visitor};
    for (owner, known) in [(Person, Person.ne("")), (Visitor, Person.eq(""))] {
        let mut after: Option<(String, String)> = None;
        loop {
            let mut query = event::Entity::find().filter(known.clone());
            if let Some((unit, id)) = &after {
                let same = Condition::all().add(owner.eq(unit)).add(EventId.gt(id));
                query = query.filter(Condition::any().add(owner.gt(unit)).add(same));
            }
            let rows = query.order_by_asc(owner).order_by_asc(EventId).limit(PAGE).all(transaction).await?;
            let Some(last) = rows.last() else { break };
            after = Some((unit(&last.person, &last.visitor), last.event_id.clone()));
            let mut additions = Additions::default();
            rows.iter().try_for_each(|row| additions.event(row))?;
            additions.store(transaction).await?;
        }
    }
    Ok(())
}

/// Adds all stored decisions with an offer.
async fn add_decisions(transaction: &DatabaseTransaction) -> Result<()> {
    use decision::Column::{DecidedAt, DecisionId, OfferId};
    let mut after: Option<(i64, String)> = None;
    loop {
        let mut query = decision::Entity::find().filter(OfferId.ne(""));
        if let Some((at, id)) = &after {
            let same = Condition::all().add(DecidedAt.eq(*at)).add(DecisionId.gt(id));
            query = query.filter(Condition::any().add(DecidedAt.gt(*at)).add(same));
        }
        let rows =
            query.order_by_asc(DecidedAt).order_by_asc(DecisionId).limit(PAGE).all(transaction).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some((last.decided_at, last.decision_id.clone()));
        let mut additions = Additions::default();
        for row in &rows {
            additions.decision(row);
        }
        additions.store(transaction).await?;
    }
}
