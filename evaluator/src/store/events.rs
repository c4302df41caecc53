use std::collections::{BTreeSet, HashMap, HashSet};

use chassis::calendar::Calendar;
use futures::TryStreamExt as _;
use proto::common::v1::{Channel, EventKind};
use sea_orm::sea_query::{Expr, OnConflict, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _, FromQueryResult,
    IntoActiveModel as _, Order, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use tokio::sync::mpsc::Sender;

use super::entity::event::{Column, Entity};
use super::histories::{self, Additions};
use super::links::{self, Admitted};
use super::{EventRow, STATEMENT, Store, moments, requests, unit};
use crate::error::Result;
use crate::metric::fact::{Fact, Sale};

/// The columns of a fact.
const FACT: [Column; 17] = [
    Column::EventId,
    Column::Person,
    Column::Visitor,
    Column::Kind,
    Column::OccurredAt,
    Column::Channel,
    Column::CampaignId,
    Column::DecisionId,
    Column::OfferId,
    Column::ItemId,
    Column::Quantity,
    Column::OrderId,
    Column::Currency,
    Column::Revenue,
    Column::Cost,
    Column::Tax,
    Column::Rating,
];

#[derive(FromQueryResult)]
pub(super) struct Row {
    pub(super) event_id: String,
    person: String,
    visitor: String,
    kind: i16,
    occurred_at: i64,
    channel: i16,
    campaign_id: String,
    decision_id: String,
    offer_id: String,
    item_id: String,
    quantity: i64,
    order_id: String,
    currency: String,
    revenue: Option<i64>,
    cost: Option<i64>,
    tax: Option<i64>,
    rating: Option<f64>,
}

/// Outcome of storing a batch of events.
#[derive(Debug, PartialEq, Eq)]
pub struct Ingested {
    /// Number of events that were not stored before.
    pub fresh: u64,
    /// Ids of LINK events that were refused, since their visitor is linked to another user.
    pub refused: Vec<String>,
}

/// Selects what people did. A LINK event says who somebody is and is no behaviour.
pub(super) fn behaviour() -> Select<Entity> {
    Entity::find().select_only().columns(FACT).filter(Column::Kind.ne(EventKind::Link as i16))
}

impl Store {
    /// Stores `events` in one transaction, each once, and with them the `position` that the sender's log is stored up to.
    /// A LINK event moves what is stored under its visitor to its user.
    pub async fn ingest_events(&self, events: Vec<EventRow>, position: u64) -> Result<Ingested> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        // Before links are read: another replica may be adding some.
        moments::lock(&transaction).await?;
        requests::advance(&transaction, position).await?;
        let Admitted { events, added, refused } = links::admit(&transaction, events).await?;
        let mut units: BTreeSet<String> =
            events.iter().map(|event| unit(&event.person, &event.visitor)).collect();
        units.extend(added.iter().map(|link| link.visitor.clone()));
        let decisions =
            events.iter().map(|event| event.decision_id.clone()).filter(|id| !id.is_empty()).collect();
        let units = moments::concerned_by_events(&transaction, units, &decisions).await?;
        let before = moments::before(&transaction, self.calendar, units).await?;
        let additions = unknown(&transaction, &events).await?;
        histories::join(&transaction, &added).await?;
        links::add(&transaction, added).await?;
        additions.store(&transaction).await?;
        let mut fresh = 0;
        let rows: Vec<_> = events.into_iter().map(EventRow::into_active_model).collect();
        for chunk in rows.chunks(STATEMENT) {
            fresh += Entity::insert_many(chunk.to_vec())
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&transaction)
                .await?;
        }
        moments::settle(&transaction, before).await?;
        transaction.commit().await?;
        Ok(Ingested { fresh, refused })
    }

    /// What happened from `from` and before `until`, in order of time. `kinds` empty takes all.
    pub async fn facts(
        &self,
        from: Option<i64>,
        until: Option<i64>,
        kinds: &[EventKind],
    ) -> Result<Vec<Fact>> {
        let mut query = behaviour();
        if let Some(from) = from {
            query = query.filter(Column::OccurredAt.gte(from));
        }
        if let Some(until) = until {
            query = query.filter(Column::OccurredAt.lt(until));
        }
        if !kinds.is_empty() {
            query = query.filter(Column::Kind.is_in(kinds.iter().map(|kind| *kind as i16)));
        }
        let query = query.order_by_asc(Column::OccurredAt).order_by_asc(Column::EventId);
        let rows = query.into_model::<Row>().all(&self.db).await?;
        Ok(rows.into_iter().map(|row| fact(row, self.calendar)).collect())
    }
}

/// What those of `events` that are not stored yet add to histories.
async fn unknown(transaction: &DatabaseTransaction, events: &[EventRow]) -> Result<Additions> {
    let mut seen = HashSet::new();
    for chunk in events.chunks(STATEMENT) {
        let known: Vec<String> = Entity::find()
            .select_only()
            .column(Column::EventId)
            .filter(Column::EventId.is_in(chunk.iter().map(|row| row.event_id.as_str())))
            .into_tuple()
            .all(transaction)
            .await?;
        seen.extend(known);
    }
    let mut additions = Additions::default();
    for row in events {
        if seen.insert(row.event_id.clone()) {
            additions.event(row)?;
        }
    }
    Ok(additions)
}

/// Rows sent on at once.
const SENT: usize = 4_096;

impl Store {
    /// Sends what happened from `from` and before `until` on, person after person, each in order of time; ends early
    /// where nobody takes it any more. All facts of a person come in one piece. Of purchases before `from` it sends those
    /// that something returned in the span belongs to: a return says little itself of where it was bought.
    pub async fn send_facts(
        &self,
        from: Option<i64>,
        until: Option<i64>,
        to: Sender<Vec<Fact>>,
    ) -> Result<()> {
        let mut query = behaviour();
        let mut earlier = HashMap::new();
        if let Some(from) = from {
            query = query.filter(Column::OccurredAt.gte(from));
            earlier = self.returned_later(from, until).await?;
        }
        if let Some(until) = until {
            query = query.filter(Column::OccurredAt.lt(until));
        }
        // The person, or the visitor where the person is not known; as `unit` says.
        let unit =
            Expr::case(Column::Person.eq(""), Expr::col(Column::Visitor)).finally(Expr::col(Column::Person));
        let query = query
            .order_by(SimpleExpr::Case(Box::new(unit)), Order::Asc)
            .order_by_asc(Column::OccurredAt)
            .order_by_asc(Column::EventId);
        let mut rows = query.into_model::<Row>().stream(&self.db).await?;
        let mut batch: Vec<Fact> = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let next = fact(row, self.calendar);
            let whole = batch.len() >= SENT && batch.last().is_some_and(|last| last.unit != next.unit);
            if whole && to.send(std::mem::take(&mut batch)).await.is_err() {
                return Ok(());
            }
            batch.extend(earlier.remove(&next.unit).unwrap_or_default());
            batch.push(next);
        }
        // The last piece is wanted or not; there is nothing left to stop.
        let _ = to.send(batch).await;
        Ok(())
    }
}

impl Store {
    /// Purchases before `from`, by unit and in order of time, of which a line was returned from then on and before `until`.
    async fn returned_later(&self, from: i64, until: Option<i64>) -> Result<HashMap<String, Vec<Fact>>> {
        let returned: Vec<(String, String, String)> = Entity::find()
            .select_only()
            .columns([Column::Person, Column::Visitor, Column::OrderId])
            .filter(Column::OccurredAt.gte(from))
            .filter(Condition::all().add_option(until.map(|until| Column::OccurredAt.lt(until))))
            .filter(Column::Kind.eq(EventKind::Return as i16))
            .filter(Column::OrderId.ne(""))
            .into_tuple()
            .all(&self.db)
            .await?;
        let lines: BTreeSet<(String, String)> =
            returned.into_iter().map(|(person, visitor, order)| (unit(&person, &visitor), order)).collect();
        let units: BTreeSet<&str> = lines.iter().map(|(unit, _)| unit.as_str()).collect();
        let units: Vec<&str> = units.into_iter().collect();
        let mut found: HashMap<String, Vec<Fact>> = HashMap::new();
        for chunk in units.chunks(STATEMENT) {
            // By the people, for whom there is an index, rather than by orders.
            let of_them = |column: Column| column.is_in(chunk.iter().copied());
            let anonymous = Condition::all().add(Column::Person.eq("")).add(of_them(Column::Visitor));
            let query = behaviour()
                .filter(Condition::any().add(of_them(Column::Person)).add(anonymous))
                .filter(Column::Kind.eq(EventKind::Purchase as i16))
                .filter(Column::OccurredAt.lt(from))
                .order_by_asc(Column::OccurredAt)
                .order_by_asc(Column::EventId);
            for row in query.into_model::<Row>().all(&self.db).await? {
                let bought = fact(row, self.calendar);
                let order = bought.sale.as_ref().map(|sale| sale.order.clone()).unwrap_or_default();
                if lines.contains(&(bought.unit.clone(), order)) {
                    found.entry(bought.unit.clone()).or_default().push(bought);
                }
            }
        }
        Ok(found)
    }
}

/// The fact a row tells; its day is counted in the shop's time zone.
pub(super) fn fact(row: Row, shop: Calendar) -> Fact {
    let sale = row.revenue.map(|revenue| Sale {
        order: row.order_id,
        item: row.item_id,
        quantity: row.quantity,
        currency: row.currency,
        revenue,
        cost: row.cost,
        tax: row.tax,
    });
    Fact {
        unit: if row.person.is_empty() { row.visitor } else { row.person },
        kind: EventKind::try_from(i32::from(row.kind)).unwrap_or_default(),
        at: row.occurred_at,
        day: shop.day_number(row.occurred_at),
        channel: Channel::try_from(i32::from(row.channel)).unwrap_or_default(),
        campaign: row.campaign_id,
        decision: row.decision_id,
        offer: row.offer_id,
        sale,
        rating: row.rating,
    }
}
