use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proto::common::v1::EventKind;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::{assignment, decision, event};
use super::histories::Additions;
use super::{DecisionRow, EventRow, OfferMade, STATEMENT, Store, links, moments, owed, requests, unit};
use crate::effect::NONE;
use crate::effect::log::Decided;
use crate::effect::moment::with_channel;
use crate::error::Result;
use crate::metric::fact::Assigned;
use crate::policy::Logged;

/// A decision to store.
pub struct Recorded {
    /// The decision.
    pub row: DecisionRow,
    /// Experiment and variant of each assignment that put the unit into a variant.
    pub assignments: Vec<(String, String)>,
    /// Number of the channel.
    pub channel: i16,
    /// Segment of the unit; empty: not known.
    pub segment: String,
    /// The plan that decided; empty: none.
    pub plan_id: String,
    /// The plan's offer, owed from now on.
    pub made: Option<OfferMade>,
}

/// Time and id of the last row of the page before; `None` before the first page.
pub type PageStart = Option<(i64, String)>;

/// Restricts a query ordered by `time`, then `id`, to the rows after `start`.
fn after<C: sea_orm::ColumnTrait>(time: C, id: C, start: PageStart) -> Condition {
    let Some((at, last)) = start else { return Condition::all() };
    Condition::any().add(time.gt(at)).add(Condition::all().add(time.eq(at)).add(id.gt(last)))
}

impl Store {
    /// Stores `decisions` in one transaction, each once, and with them the `position` that the sender's log is stored up
    /// to; returns how many were new.
    pub async fn record_decisions(&self, mut decisions: Vec<Recorded>, position: u64) -> Result<u64> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        // Before links are read: another replica may be adding some.
        moments::lock(&transaction).await?;
        requests::advance(&transaction, position).await?;
        let anonymous = decisions.iter().map(|decision| &decision.row).filter(|row| row.person.is_empty());
        let users = links::users_of(&transaction, anonymous.map(|row| row.visitor.as_str())).await?;
        for Recorded { row, .. } in &mut decisions {
            links::resolve(&users, &mut row.person, &row.visitor);
        }
        let made = decisions.iter_mut().filter_map(|decision| decision.made.take()).collect();
        owed::add(&transaction, made).await?;
        let mut seen = HashSet::new();
        for chunk in decisions.chunks(STATEMENT) {
            let known: Vec<String> = decision::Entity::find()
                .select_only()
                .column(decision::Column::DecisionId)
                .filter(decision::Column::DecisionId.is_in(chunk.iter().map(|d| d.row.decision_id.as_str())))
                .into_tuple()
                .all(&transaction)
                .await?;
            seen.extend(known);
        }
        let (mut rows, mut assignments) = (Vec::new(), Vec::new());
        let (mut units, mut made) = (BTreeSet::new(), BTreeSet::new());
        let mut additions = Additions::default();
        for decision in decisions {
            if !seen.insert(decision.row.decision_id.clone()) {
                continue;
            }
            let row = &decision.row;
            additions.decision(row);
            let unit = unit(&row.person, &row.visitor);
            if !decision.assignments.is_empty() {
                units.insert(unit.clone());
                made.insert(row.decision_id.clone());
            }
            assignments.extend(decision.assignments.into_iter().map(|(experiment_id, variant_id)| {
                assignment::Model {
                    decision_id: row.decision_id.clone(),
                    experiment_id,
                    variant_id,
                    unit: unit.clone(),
                    decided_at: row.decided_at,
                    channel: decision.channel,
                    segment: decision.segment.clone(),
                }
                .into_active_model()
            }));
            rows.push(decision.row.into_active_model());
        }
        let fresh = rows.len() as u64;
        let before = if assignments.is_empty() {
            None
        } else {
            let units = moments::concerned_by_decisions(&transaction, self.calendar, units, &made).await?;
            Some(moments::before(&transaction, self.calendar, units).await?)
        };
        let once = OnConflict::new().do_nothing().to_owned();
        for chunk in rows.chunks(STATEMENT) {
            decision::Entity::insert_many(chunk.to_vec())
                .on_conflict(once.clone())
                .exec_without_returning(&transaction)
                .await?;
        }
        for chunk in assignments.chunks(STATEMENT) {
            assignment::Entity::insert_many(chunk.to_vec())
                .on_conflict(once.clone())
                .exec_without_returning(&transaction)
                .await?;
        }
        additions.store(&transaction).await?;
        if let Some(before) = before {
            moments::settle(&transaction, before).await?;
        }
        transaction.commit().await?;
        Ok(fresh)
    }

    /// All decisions made in an experiment, by unit and time.
    pub async fn assigned_in(&self, experiment_id: &str) -> Result<Vec<Assigned>> {
        let query = assignment::Entity::find()
            .filter(assignment::Column::ExperimentId.eq(experiment_id))
            .order_by_asc(assignment::Column::Unit)
            .order_by_asc(assignment::Column::DecidedAt)
            .order_by_asc(assignment::Column::DecisionId);
        Ok(query.all(&self.db).await?.into_iter().map(moments::row_assigned).collect())
    }

    /// The offer of each decision that made one.
    pub async fn offers_decided(&self) -> Result<HashMap<String, String>> {
        let rows: Vec<(String, String)> = decision::Entity::find()
            .select_only()
            .columns([decision::Column::DecisionId, decision::Column::OfferId])
            .filter(decision::Column::OfferId.ne(""))
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// What was decided in a span outside hold-outs and what it brought: the offer or "none", its propensity, and 1
    /// where a purchase answers the decision; with what it was decided by.
    pub async fn logged(
        &self,
        from: Option<i64>,
        until: Option<i64>,
    ) -> Result<Vec<(Logged, BTreeMap<String, f64>)>> {
        let decided = self.decided_within(from, until).await?;
        let bought: Vec<String> = event::Entity::find()
            .select_only()
            .column(event::Column::DecisionId)
            .filter(event::Column::Kind.eq(EventKind::Purchase as i16))
            .filter(event::Column::DecisionId.ne(""))
            .into_tuple()
            .all(&self.db)
            .await?;
        let bought: HashSet<String> = bought.into_iter().collect();
        let logged = |decided: Decided| {
            let logged = Logged {
                reward: f64::from(u8::from(bought.contains(&decided.decision_id))),
                action: if decided.offer_id.is_empty() { NONE.to_owned() } else { decided.offer_id },
                propensity: decided.propensity,
            };
            (logged, with_channel(decided.features, decided.channel))
        };
        Ok(decided.into_iter().map(logged).collect())
    }

    /// Returns at most `limit` decisions about `person` after `start`, the oldest first.
    pub async fn decisions_about(
        &self,
        person: &str,
        start: PageStart,
        limit: u64,
    ) -> Result<Vec<DecisionRow>> {
        use decision::Column::{DecidedAt, DecisionId, Person, Visitor};
        let query = decision::Entity::find()
            .filter(Condition::any().add(Person.eq(person)).add(Visitor.eq(person)))
            .filter(after(DecidedAt, DecisionId, start));
        Ok(query.order_by_asc(DecidedAt).order_by_asc(DecisionId).limit(limit).all(&self.db).await?)
    }

    /// Returns at most `limit` events about `person` after `start`, the oldest first.
    pub async fn events_about(&self, person: &str, start: PageStart, limit: u64) -> Result<Vec<EventRow>> {
        use event::Column::{EventId, OccurredAt, Person, Visitor};
        let query = event::Entity::find()
            .filter(Condition::any().add(Person.eq(person)).add(Visitor.eq(person)))
            .filter(after(OccurredAt, EventId, start));
        Ok(query.order_by_asc(OccurredAt).order_by_asc(EventId).limit(limit).all(&self.db).await?)
    }
}
