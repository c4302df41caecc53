use std::collections::HashSet;

use futures::TryStreamExt as _;
use prost::Message as _;
use proto::common::v1::{Event, EventKind, ProductReturn, Purchase};
use sea_orm::sea_query::{Expr, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::event::{ActiveModel, Column, Entity};
use super::entity::link;
use super::links::{Identity, Links, reach_position};
use super::popularity::{Interest, Pairs};
use super::returns::{Kept, Returns, WHOLE};
use super::{Error, STATEMENT, Store};

/// An event as it is stored; ids of people are pseudonyms.
#[derive(Debug, Clone)]
pub struct EventRow(pub Event);

/// An event as models read it: who did what, with which item, when.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// Pseudonym of the person or visitor.
    pub person: String,
    /// What was done.
    pub kind: EventKind,
    /// The item.
    pub item_id: String,
    /// Seconds since 1970.
    pub at: i64,
    /// Value of a RATING, on the shop's scale.
    pub rating: Option<f64>,
    /// Share of a PURCHASE that was not returned, 0 to 1; 1 for other kinds.
    pub kept: f32,
}

impl Deed {
    /// A deed that is neither rated nor returned.
    pub fn new(person: impl Into<String>, kind: EventKind, item_id: impl Into<String>, at: i64) -> Self {
        Self { person: person.into(), kind, item_id: item_id.into(), at, rating: None, kept: 1.0 }
    }
}

/// Position of an event in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// Seconds since 1970.
    pub at: i64,
    /// Id of the event, which orders events of one second.
    pub event_id: String,
}

impl EventKey {
    /// The position of `event`.
    pub fn of(event: &Event) -> Self {
        Self { at: event.occurred_at.as_ref().map_or(0, |at| at.seconds), event_id: event.event_id.clone() }
    }
}

/// What an event says beside its kind, item and time, as it is stored in columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    /// Value of a RATING.
    pub(super) rating: Option<f64>,
    /// Order of a PURCHASE or RETURN; empty where it names none.
    pub(super) order_id: String,
    /// Pieces of a PURCHASE or RETURN.
    pub(super) quantity: i64,
}

impl Line {
    pub(super) fn of(event: &Event) -> Self {
        let (order_id, quantity) = match (&event.purchase, &event.product_return) {
            (Some(Purchase { order_id, quantity, .. }), _)
            | (None, Some(ProductReturn { order_id, quantity, .. })) => {
                (order_id.clone(), i64::from(*quantity))
            }
            (None, None) => (String::new(), 0),
        };
        let rating = event.rating.filter(|_| event.kind() == EventKind::Rating);
        Self { rating, order_id, quantity }
    }
}

/// Columns of an event that [`Net`] reads.
pub(super) const DEED: [Column; 7] = [
    Column::Person,
    Column::Kind,
    Column::ItemId,
    Column::OccurredAt,
    Column::Rating,
    Column::OrderId,
    Column::Quantity,
];

/// A row of [`DEED`].
pub(super) type DeedRow = (String, i32, String, i64, Option<f64>, String, i64);

/// Turns rows into deeds, in order of time: purchases net of the returns that [`Net::returned`] was told of before, and
/// no returns.
#[derive(Debug, Default)]
pub(super) struct Net(Returns);

impl Net {
    /// Takes note of a row where it is a return.
    pub(super) fn returned(&mut self, (person, kind, item, at, _, order, quantity): &DeedRow) {
        if *kind == EventKind::Return as i32 {
            self.0.add(person, order, item, *quantity, *at);
        }
    }

    /// The deed of a row; none of a return.
    pub(super) fn deed(&mut self, row: DeedRow) -> Option<Deed> {
        self.deed_undone_at(row).0
    }

    /// The deed of a row, none of a return; and when the last piece of a purchase was returned.
    pub(super) fn deed_undone_at(&mut self, row: DeedRow) -> (Option<Deed>, Option<i64>) {
        let (person, kind, item_id, at, rating, order, quantity) = row;
        let kind = EventKind::try_from(kind).unwrap_or_default();
        let Kept { share, undone_at } = match kind {
            EventKind::Return => return (None, None),
            EventKind::Purchase => self.0.set_off(&person, &order, &item_id, quantity),
            _ => WHOLE,
        };
        (Some(Deed { person, kind, item_id, at, rating, kept: share }), undone_at)
    }

    /// The deeds of all of `rows`, which are in order of time.
    pub(super) fn of(rows: Vec<DeedRow>) -> Vec<Deed> {
        let mut net = Self::default();
        for row in &rows {
            net.returned(row);
        }
        rows.into_iter().filter_map(|row| net.deed(row)).collect()
    }
}

/// Rows that are acts of a person: neither impressions nor offers shown or withheld nor links. The text is that of the
/// partial indexes, whose databases only recognise it as written.
pub(super) fn are_acts() -> SimpleExpr {
    Expr::cust("kind NOT IN (1, 12, 13, 16)")
}

/// Outcome of storing a batch of events.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Events that were new.
    pub stored: u64,
    /// Ids of LINK events that were refused because their visitor is linked to another user.
    pub refused: Vec<String>,
}

impl Store {
    /// Stores `events` in one transaction, each once and under the person it belongs to, and with them what they change
    /// of the popularity of items and that the sender's log is stored up to `position`; 0: the sender keeps none.
    pub async fn ingest_events(&self, events: &[EventRow], position: u64) -> Result<Ingested, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let links = Links::read(&transaction, events).await?;
        let taken = |event: &&Event| !links.refused.contains(&event.event_id);
        let taken: Vec<&Event> = events.iter().map(|EventRow(event)| event).filter(taken).collect();
        let mut pairs = Pairs::of(taken.iter().map(|event| (links.owner(event), *event)), &self.signals);
        for (visitor, user) in links.made() {
            pairs.join(&transaction, visitor, user).await?;
        }
        let before = Interest::lock(&transaction, &pairs, &self.signals).await?;
        let row = |event: &&Event| {
            let Line { rating, order_id, quantity } = Line::of(event);
            ActiveModel {
                event_id: Set(event.event_id.clone()),
                person: Set(links.owner(event)),
                visitor: Set(event.visitor_id.clone()),
                kind: Set(event.kind),
                item_id: Set(event.item_id.clone()),
                occurred_at: Set(event.occurred_at.as_ref().map_or(0, |at| at.seconds)),
                payload: Set(event.encode_to_vec()),
                rating: Set(rating),
                order_id: Set(order_id),
                quantity: Set(quantity),
            }
        };
        let mut rows: Vec<_> = taken.iter().map(row).collect();
        // In one order for all writers, so that two that store the same events wait for each other instead of locking
        // each other out.
        rows.sort_by(|a, b| a.event_id.as_ref().cmp(b.event_id.as_ref()));
        let mut stored = 0;
        for rows in rows.chunks(STATEMENT) {
            let once = OnConflict::column(Column::EventId).do_nothing().to_owned();
            stored += Entity::insert_many(rows.to_vec())
                .on_conflict(once)
                .exec_without_returning(&transaction)
                .await?;
        }
        links.store(&transaction).await?;
        before.settle(&transaction, &pairs, &self.signals).await?;
        reach_position(&transaction, position).await?;
        transaction.commit().await?;
        Ok(Ingested { stored, refused: links.refused })
    }

    /// The last `most` deeds of `person` that weigh something, with those of `recent` events that are not stored yet;
    /// purchases net of returns, the oldest first. All deeds are the person's, whichever of its ids they were stored under.
    pub async fn history(
        &self,
        person: Option<&Identity>,
        recent: &[Event],
        most: u64,
    ) -> Result<Vec<Deed>, Error> {
        // Asked for first: an event that is being stored meanwhile is read twice and known by its id, and none is missed.
        let mut stored = self.stored_among(recent).await?;
        let mut rows = Vec::new();
        if let Some(person) = person {
            for (event_id, row) in self.deed_rows(person, most).await? {
                stored.insert(event_id);
                rows.push(row);
            }
        }
        let is_new = |event: &&Event| event.kind() != EventKind::Link && !stored.contains(&event.event_id);
        rows.extend(recent.iter().filter(is_new).map(|event| {
            let Line { rating, order_id, quantity } = Line::of(event);
            let at = event.occurred_at.as_ref().map_or(0, |at| at.seconds);
            (String::new(), event.kind, event.item_id.clone(), at, rating, order_id, quantity)
        }));
        let id = person.map(|person| person.id.as_str()).unwrap_or_default();
        for row in &mut rows {
            id.clone_into(&mut row.0);
        }
        rows.sort_by_key(|row| row.3);
        Ok(Net::of(rows))
    }

    /// Ids of those of `events` that are stored.
    async fn stored_among(&self, events: &[Event]) -> Result<HashSet<String>, Error> {
        if events.is_empty() {
            return Ok(HashSet::new());
        }
        let ids = events.iter().map(|event| event.event_id.as_str());
        let stored = Entity::find().select_only().column(Column::EventId).filter(Column::EventId.is_in(ids));
        let stored: Vec<String> = stored.into_tuple().all(&self.db).await?;
        Ok(stored.into_iter().collect())
    }

    /// Rows of the last `most` deeds and returns of `person` with the ids of the events, the oldest first.
    async fn deed_rows(&self, person: &Identity, most: u64) -> Result<Vec<(String, DeedRow)>, Error> {
        type Row = (String, i32, String, i64, Option<f64>, String, i64, String);
        let kinds = self.signals.weighted_kinds().into_iter().chain([EventKind::Return]);
        let mut rows: Vec<Row> = Entity::find()
            .select_only()
            .columns(DEED)
            .column(Column::EventId)
            .filter(person.owns())
            .filter(are_acts())
            .filter(Column::Kind.is_in(kinds.map(|kind| kind as i32)))
            .order_by_desc(Column::OccurredAt)
            .order_by_desc(Column::EventId)
            .limit(most)
            .into_tuple()
            .all(&self.db)
            .await?;
        rows.reverse();
        let split = |(person, kind, item, at, rating, order, quantity, event_id): Row| {
            (event_id, (person, kind, item, at, rating, order, quantity))
        };
        Ok(rows.into_iter().map(split).collect())
    }

    /// Gives all deeds that weigh something to `all`, purchases net of returns, streamed in order of time: the rows are
    /// never held twice.
    pub async fn deeds(&self, all: &mut impl Extend<Deed>) -> Result<(), Error> {
        let mut net = Net::default();
        self.read_returns(&mut net).await?;
        let kinds = self.signals.weighted_kinds().into_iter().map(|kind| kind as i32);
        let rows = Entity::find()
            .select_only()
            .columns(DEED)
            .filter(Column::Kind.is_in(kinds))
            .order_by_asc(Column::OccurredAt)
            .order_by_asc(Column::EventId);
        let mut rows = rows.into_tuple::<DeedRow>().stream(&self.db).await?;
        while let Some(row) = rows.try_next().await? {
            all.extend(net.deed(row));
        }
        Ok(())
    }

    /// Tells `net` of all returns.
    pub(super) async fn read_returns(&self, net: &mut Net) -> Result<(), Error> {
        let returns = Entity::find().select_only().columns(DEED);
        let returns = returns.filter(Column::Kind.eq(EventKind::Return as i32));
        let mut rows = returns.into_tuple::<DeedRow>().stream(&self.db).await?;
        while let Some(row) = rows.try_next().await? {
            net.returned(&row);
        }
        Ok(())
    }

    /// Gives each event of `person` that is an act to `each`, the oldest first; the rows are never held together.
    pub async fn each_act(&self, person: &Identity, mut each: impl FnMut(Event)) -> Result<(), Error> {
        let rows = Entity::find().select_only().column(Column::Payload);
        let rows = rows.filter(person.owns()).filter(are_acts());
        let rows = rows.order_by_asc(Column::OccurredAt).order_by_asc(Column::EventId);
        let mut rows = rows.into_tuple::<Vec<u8>>().stream(&self.db).await?;
        while let Some(payload) = rows.try_next().await? {
            each(Event::decode(payload.as_slice()).map_err(|cause| Error::Corrupt(cause.to_string()))?);
        }
        Ok(())
    }

    /// Items to leave out of a person's lists: those disliked after `disliked_after`, in seconds since 1970, and where
    /// `purchased` says so, those ever bought. An item that was returned counts as bought: whoever sent it back is not
    /// to be offered it again.
    pub async fn left_out(
        &self,
        person: &Identity,
        disliked_after: i64,
        purchased: bool,
    ) -> Result<Vec<String>, Error> {
        let disliked = Condition::all()
            .add(Column::Kind.eq(EventKind::Dislike as i32))
            .add(Column::OccurredAt.gt(disliked_after));
        let mut either = Condition::any().add(disliked);
        if purchased {
            either = either.add(Column::Kind.is_in([EventKind::Purchase as i32, EventKind::Return as i32]));
        }
        let items = Entity::find()
            .select_only()
            .column(Column::ItemId)
            .distinct()
            .filter(person.owns())
            .filter(Expr::cust("kind IN (6, 8, 15)"))
            .filter(either);
        Ok(items.into_tuple().all(&self.db).await?)
    }

    /// The next `most` events of `person` after the event with key `after`, the oldest first.
    pub async fn events_page(
        &self,
        person: &str,
        after: Option<&EventKey>,
        most: u64,
    ) -> Result<Vec<Event>, Error> {
        let mut rows = Entity::find().filter(Column::Person.eq(person));
        if let Some(EventKey { at, event_id }) = after {
            let same_second =
                Condition::all().add(Column::OccurredAt.eq(*at)).add(Column::EventId.gt(event_id));
            rows = rows.filter(Condition::any().add(Column::OccurredAt.gt(*at)).add(same_second));
        }
        let rows = rows.order_by_asc(Column::OccurredAt).order_by_asc(Column::EventId).limit(most);
        let rows = rows.all(&self.db).await?;
        let decode =
            |payload: &[u8]| Event::decode(payload).map_err(|cause| Error::Corrupt(cause.to_string()));
        rows.iter().map(|row| decode(&row.payload)).collect()
    }

    /// Removes all events of `person`, its part in the popularity of items and the links to it; says how many rows of
    /// events and links there were.
    pub async fn erase(&self, person: &str) -> Result<u64, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let mut pairs = Pairs::default();
        pairs.add_all(&transaction, person).await?;
        let before = Interest::lock(&transaction, &pairs, &self.signals).await?;
        let links = link::Entity::delete_many().filter(link::Column::Person.eq(person));
        let links = links.exec(&transaction).await?.rows_affected;
        let events =
            Entity::delete_many().filter(Column::Person.eq(person)).exec(&transaction).await?.rows_affected;
        before.settle(&transaction, &pairs, &self.signals).await?;
        transaction.commit().await?;
        Ok(links + events)
    }
}

#[cfg(test)]
mod tests;
