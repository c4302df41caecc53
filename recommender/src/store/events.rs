use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, TransactionTrait as _,
};

use super::entity::event::{ActiveModel, Column, Entity};
use super::{Error, STATEMENT, Store, micros};

/// Who did what, with which item, when.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// Id of the event.
    pub event_id: String,
    /// Pseudonym of the person or visitor.
    pub person: String,
    /// What was done.
    pub kind: EventKind,
    /// The item.
    pub item_id: String,
    /// Microseconds since 1970.
    pub at: i64,
    /// The rating given.
    pub rating: Option<f64>,
}

/// How often people did something with an item in one week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    /// The item.
    pub item_id: String,
    /// What was done.
    pub kind: EventKind,
    /// Weeks since 1970.
    pub week: i64,
    /// How often.
    pub count: i64,
}

const WEEK: i64 = 7 * 24 * 3600 * 1_000_000;

const COLUMNS: [Column; 7] = [
    Column::EventId,
    Column::Person,
    Column::Visitor,
    Column::Kind,
    Column::ItemId,
    Column::OccurredAt,
    Column::Rating,
];
type Columns = (String, String, String, i32, String, i64, Option<f64>);

fn deed((event_id, person, visitor, kind, item_id, at, rating): Columns) -> Deed {
    let kind = EventKind::try_from(kind).unwrap_or_default();
    Deed { event_id, person: if person.is_empty() { visitor } else { person }, kind, item_id, at, rating }
}

/// Rows about any of `people`, whether known or anonymous.
fn about(people: &[String]) -> Condition {
    Condition::any()
        .add(Column::Person.is_in(people.iter().map(String::as_str)))
        .add(Column::Visitor.is_in(people.iter().map(String::as_str)))
}

impl Store {
    /// Stores `events`, whose ids of people are pseudonyms, in one transaction, each once; says how many were new.
    ///
    /// # Errors
    /// The database fails; nothing is stored then.
    pub async fn ingest_events(&self, events: &[Event]) -> Result<u64, Error> {
        let rows: Vec<_> = events
            .iter()
            .map(|event| ActiveModel {
                event_id: Set(event.event_id.clone()),
                person: Set(event.user_id.clone()),
                visitor: Set(event.visitor_id.clone()),
                kind: Set(event.kind),
                item_id: Set(event.item_id.clone()),
                occurred_at: Set(event.occurred_at.as_ref().map_or(0, micros)),
                rating: Set(event.rating),
                payload: Set(event.encode_to_vec()),
            })
            .collect();
        let transaction = self.db.begin().await?;
        let mut fresh = 0;
        for rows in rows.chunks(STATEMENT) {
            let once = OnConflict::column(Column::EventId).do_nothing().to_owned();
            let insert = Entity::insert_many(rows.to_vec()).on_conflict(once);
            fresh += insert.exec_without_returning(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(fresh)
    }

    /// The last `most` deeds of any of `people`, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn history(&self, people: &[String], most: u64) -> Result<Vec<Deed>, Error> {
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let last = Entity::find().select_only().columns(COLUMNS).filter(about(people)).filter(Column::ItemId.ne(""));
        let last = last.order_by_desc(Column::OccurredAt).order_by_desc(Column::EventId).limit(most);
        let rows: Vec<Columns> = last.into_tuple().all(&self.db).await?;
        Ok(rows.into_iter().rev().map(deed).collect())
    }

    /// All deeds with an item, in order of time.
    ///
    /// # Errors
    /// The database fails.
    pub async fn deeds(&self) -> Result<Vec<Deed>, Error> {
        let all = Entity::find().select_only().columns(COLUMNS).filter(Column::ItemId.ne(""));
        let all = all.order_by_asc(Column::OccurredAt).order_by_asc(Column::EventId);
        let rows: Vec<Columns> = all.into_tuple().all(&self.db).await?;
        Ok(rows.into_iter().map(deed).collect())
    }

    /// Items any of `people` has bought.
    ///
    /// # Errors
    /// The database fails.
    pub async fn purchased(&self, people: &[String]) -> Result<Vec<String>, Error> {
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let bought = Entity::find().select_only().column(Column::ItemId).distinct().filter(about(people));
        let bought = bought.filter(Column::Kind.eq(EventKind::Purchase as i32));
        Ok(bought.into_tuple().all(&self.db).await?)
    }

    /// How often each item was met, by kind and week.
    ///
    /// # Errors
    /// The database fails.
    pub async fn crowds(&self) -> Result<Vec<Crowd>, Error> {
        let week = Expr::col(Column::OccurredAt).div(WEEK);
        let counts = Entity::find()
            .select_only()
            .columns([Column::ItemId, Column::Kind])
            .column_as(week, "week")
            .column_as(Column::EventId.count(), "times")
            .filter(Column::ItemId.ne(""))
            .group_by(Column::ItemId)
            .group_by(Column::Kind)
            .group_by(Expr::cust("week"));
        let rows: Vec<(String, i32, i64, i64)> = counts.into_tuple().all(&self.db).await?;
        let crowd = |(item_id, kind, week, count)| {
            let kind = EventKind::try_from(kind).unwrap_or_default();
            Crowd { item_id, kind, week, count }
        };
        Ok(rows.into_iter().map(crowd).collect())
    }

    /// Events of `person`, the last `most` of them where that is given, the oldest first.
    ///
    /// # Errors
    /// The database fails, or a row does not decode.
    pub async fn events_of(&self, person: &str, most: Option<u64>) -> Result<Vec<Event>, Error> {
        let held = Entity::find().select_only().column(Column::Payload).filter(about(&[person.to_owned()]));
        let held = held.order_by_desc(Column::OccurredAt).order_by_desc(Column::EventId).limit(most);
        let rows: Vec<Vec<u8>> = held.into_tuple().all(&self.db).await?;
        let decode = |row: &Vec<u8>| Event::decode(row.as_slice()).map_err(|error| Error::Corrupt(error.to_string()));
        rows.iter().rev().map(decode).collect()
    }

    /// Removes all events of `person`; says how many there were.
    ///
    /// # Errors
    /// The database fails.
    pub async fn erase(&self, person: &str) -> Result<u64, Error> {
        let gone = Entity::delete_many().filter(about(&[person.to_owned()])).exec(&self.db).await?;
        Ok(gone.rows_affected)
    }
}
