use futures::TryStreamExt as _;
use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::event::{ActiveModel, Column, Entity};
use super::entity::link;
use super::links::{Links, reach_position};
use super::{Error, STATEMENT, Store};

/// An event as it is stored; ids of people are pseudonyms.
#[derive(Debug, Clone)]
pub struct EventRow(pub Event);

/// Who did what, with which item, when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Pseudonym of the person or visitor.
    pub person: String,
    /// What was done.
    pub kind: EventKind,
    /// The item.
    pub item_id: String,
    /// Seconds since 1970.
    pub at: i64,
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

type Columns = (String, String, i32, String, i64);

fn deed((person, visitor, kind, item_id, at): Columns) -> Deed {
    let kind = EventKind::try_from(kind).unwrap_or_default();
    Deed { person: if person.is_empty() { visitor } else { person }, kind, item_id, at }
}

/// Rows that belong to any of `people`. What another user did in the same browser is not among a visitor's.
fn about(people: &[String]) -> Condition {
    Condition::all().add(Column::Person.is_in(people.iter().map(String::as_str)))
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
    /// Stores `events` in one transaction, each once and under the person it belongs to, and with them that the
    /// sender's log is stored up to `position`; 0: the sender keeps none.
    pub async fn ingest_events(&self, events: &[EventRow], position: u64) -> Result<Ingested, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let links = Links::read(&transaction, events).await?;
        let rows: Vec<_> = events
            .iter()
            .filter(|EventRow(event)| !links.refused.contains(&event.event_id))
            .map(|EventRow(event)| ActiveModel {
                event_id: Set(event.event_id.clone()),
                person: Set(links.owner(event)),
                visitor: Set(event.visitor_id.clone()),
                kind: Set(event.kind),
                item_id: Set(event.item_id.clone()),
                occurred_at: Set(event.occurred_at.as_ref().map_or(0, |at| at.seconds)),
                payload: Set(event.encode_to_vec()),
            })
            .collect();
        let mut stored = 0;
        for rows in rows.chunks(STATEMENT) {
            let once = OnConflict::column(Column::EventId).do_nothing().to_owned();
            stored += Entity::insert_many(rows.to_vec())
                .on_conflict(once)
                .exec_without_returning(&transaction)
                .await?;
        }
        links.store(&transaction).await?;
        reach_position(&transaction, position).await?;
        transaction.commit().await?;
        Ok(Ingested { stored, refused: links.refused })
    }

    /// The last `most` deeds of any of `people`, the oldest first.
    pub async fn history(&self, people: &[String], most: u64) -> Result<Vec<Deed>, Error> {
        let rows: Vec<Columns> = Entity::find()
            .select_only()
            .columns([Column::Person, Column::Visitor, Column::Kind, Column::ItemId, Column::OccurredAt])
            .filter(about(people))
            .order_by_desc(Column::OccurredAt)
            .order_by_desc(Column::EventId)
            .limit(most)
            .into_tuple()
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().rev().map(deed).collect())
    }

    /// Gives all deeds with an item to `all`, streamed in order of time: the rows are never held twice.
    pub async fn deeds(&self, all: &mut impl Extend<Deed>) -> Result<(), Error> {
        let rows = Entity::find()
            .select_only()
            .columns([Column::Person, Column::Visitor, Column::Kind, Column::ItemId, Column::OccurredAt])
            .filter(Column::ItemId.ne(""))
            .order_by_asc(Column::OccurredAt)
            .order_by_asc(Column::EventId)
            .into_tuple::<Columns>();
        let mut rows = rows.stream(&self.db).await?;
        while let Some(row) = rows.try_next().await? {
            all.extend([deed(row)]);
        }
        Ok(())
    }

    /// Items any of `people` has bought.
    pub async fn purchased(&self, people: &[String]) -> Result<Vec<String>, Error> {
        let items = Entity::find()
            .select_only()
            .column(Column::ItemId)
            .distinct()
            .filter(about(people))
            .filter(Column::Kind.eq(EventKind::Purchase as i32));
        Ok(items.into_tuple().all(&self.db).await?)
    }

    /// Items by number of people who did something with them, the most first.
    pub async fn popularity(&self) -> Result<Vec<(String, i64)>, Error> {
        let count = Expr::col(Column::Person).count_distinct();
        let items = Entity::find()
            .select_only()
            .column(Column::ItemId)
            .column_as(count, "people")
            .filter(Column::ItemId.ne(""))
            .group_by(Column::ItemId);
        let mut rows: Vec<(String, i64)> = items.into_tuple().all(&self.db).await?;
        rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(rows)
    }

    /// All events of `person`, the oldest first.
    pub async fn events_of(&self, person: &str) -> Result<Vec<Event>, Error> {
        let rows = Entity::find()
            .filter(about(&[person.to_owned()]))
            .order_by_asc(Column::OccurredAt)
            .order_by_asc(Column::EventId)
            .all(&self.db)
            .await?;
        let decode =
            |payload: &[u8]| Event::decode(payload).map_err(|cause| Error::Corrupt(cause.to_string()));
        rows.iter().map(|row| decode(&row.payload)).collect()
    }

    /// The next `most` events of `person` after the event with key `after`, the oldest first.
    pub async fn events_page(
        &self,
        person: &str,
        after: Option<&EventKey>,
        most: u64,
    ) -> Result<Vec<Event>, Error> {
        let mut rows = Entity::find().filter(about(&[person.to_owned()]));
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

    /// Removes all events of `person` and the links to it; says how many there were.
    pub async fn erase(&self, person: &str) -> Result<u64, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let links = link::Entity::delete_many().filter(link::Column::Person.eq(person));
        let links = links.exec(&transaction).await?.rows_affected;
        let events = Entity::delete_many().filter(about(&[person.to_owned()])).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(links + events.rows_affected)
    }
}
