//! Links of visitors to users: from its link on, a visitor and its user are one person.

use std::collections::HashMap;

use proto::common::v1::{Event, EventKind};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Query, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait as _,
    QueryFilter as _, QuerySelect as _,
};

use super::entity::link::{ActiveModel, Column, Entity};
use super::entity::{event, log};
use super::{Error, EventRow, STATEMENT, Store};

/// Key of the PostgreSQL advisory lock that new links hold alone and other events share: an event of a visitor must not
/// be stored between the moment its link is stored and the moment the visitor's earlier events are given to the user.
const LINK_LOCK: i64 = 7_346_125_209;

/// The person whose events a query reads: named by an id of a user or a visitor, and by visitors whose links to it are
/// on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Pseudonym of the user or visitor.
    pub id: String,
    /// Pseudonyms of visitors that belong to the user although their links are not stored yet.
    pub visitors: Vec<String>,
}

impl Identity {
    /// The person that `id` stands for, by the links that are stored.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), visitors: Vec::new() }
    }

    /// Rows of events whose person this is. The link is resolved in the statement that reads the rows: were it resolved
    /// before, a link stored in between would hide the rows it moves.
    pub(super) fn owns(&self) -> SimpleExpr {
        let linked = Query::select()
            .column(Column::Person)
            .from(Entity)
            .and_where(Column::Visitor.eq(self.id.as_str()))
            .to_owned();
        let linked = SimpleExpr::SubQuery(None, Box::new(linked.into()));
        let user: SimpleExpr = Func::coalesce([linked, Expr::value(self.id.as_str())]).into();
        let person = Expr::col((event::Entity, event::Column::Person));
        // An equality, so that rows come from the index in the order of time.
        if self.visitors.is_empty() {
            return person.eq(user);
        }
        let visitors = self.visitors.iter().map(|visitor| Expr::value(visitor.as_str()));
        person.is_in(std::iter::once(user).chain(visitors))
    }
}

/// Links of a batch of events.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// User of each linked visitor that the batch names.
    person_of: HashMap<String, String>,
    /// Links that the batch makes.
    new: Vec<(String, String)>,
    /// Ids of LINK events whose visitor is linked to another user.
    pub(super) refused: Vec<String>,
}

fn is_link(event: &Event) -> bool {
    event.kind() == EventKind::Link
}

impl Links {
    /// Reads the links of the visitors in `events` and adds those that its LINK events make. Holds the lock that links
    /// need until the transaction ends, so that it must come first in it.
    pub(super) async fn read(transaction: &DatabaseTransaction, events: &[EventRow]) -> Result<Self, Error> {
        if transaction.get_database_backend() == DbBackend::Postgres {
            let links = events.iter().any(|EventRow(event)| is_link(event));
            let lock = if links { "pg_advisory_xact_lock" } else { "pg_advisory_xact_lock_shared" };
            transaction.execute_unprepared(&format!("SELECT {lock}({LINK_LOCK})")).await?;
        }
        let named = events.iter().map(|EventRow(event)| event);
        let named = named.filter(|event| event.user_id.is_empty() || is_link(event));
        let mut visitors: Vec<&str> = named.map(|event| event.visitor_id.as_str()).collect();
        visitors.sort_unstable();
        visitors.dedup();
        let mut links = Self { person_of: stored(transaction, &visitors).await?, ..Self::default() };
        for EventRow(event) in events.iter().filter(|EventRow(event)| is_link(event)) {
            let (visitor, user) = (&event.visitor_id, &event.user_id);
            match links.person_of.get(visitor) {
                Some(person) if person == user => {}
                Some(_) => links.refused.push(event.event_id.clone()),
                None => {
                    links.person_of.insert(visitor.clone(), user.clone());
                    links.new.push((visitor.clone(), user.clone()));
                }
            }
        }
        Ok(links)
    }

    /// Links that the batch makes: visitor and user.
    pub(super) fn made(&self) -> impl Iterator<Item = (&str, &str)> {
        self.new.iter().map(|(visitor, user)| (visitor.as_str(), user.as_str()))
    }

    /// The person to whom an event belongs: its user, the user its visitor is linked to, or the visitor.
    pub(super) fn owner(&self, event: &Event) -> String {
        if event.user_id.is_empty() {
            self.person_of.get(&event.visitor_id).unwrap_or(&event.visitor_id).clone()
        } else {
            event.user_id.clone()
        }
    }

    /// Stores the new links and gives the visitors' events to their users.
    pub(super) async fn store(&self, transaction: &DatabaseTransaction) -> Result<(), Error> {
        for (visitor, user) in &self.new {
            let row = ActiveModel { visitor: Set(visitor.clone()), person: Set(user.clone()) };
            Entity::insert(row).exec_without_returning(transaction).await?;
            event::Entity::update_many()
                .col_expr(event::Column::Person, Expr::value(user.as_str()))
                .filter(event::Column::Person.eq(visitor.as_str()))
                .exec(transaction)
                .await?;
        }
        Ok(())
    }
}

/// User of each of `visitors` that is linked.
async fn stored(db: &impl ConnectionTrait, visitors: &[&str]) -> Result<HashMap<String, String>, Error> {
    let mut person_of = HashMap::new();
    for visitors in visitors.chunks(STATEMENT) {
        let rows = Entity::find().filter(Column::Visitor.is_in(visitors.iter().copied())).all(db).await?;
        person_of.extend(rows.into_iter().map(|row| (row.visitor, row.person)));
    }
    Ok(person_of)
}

/// Raises the stored position of the sender's log to `position`.
pub(super) async fn reach_position(transaction: &DatabaseTransaction, position: u64) -> Result<(), Error> {
    if position > 0 {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        log::Entity::update_many()
            .col_expr(log::Column::Position, Expr::value(position))
            .filter(log::Column::Position.lt(position))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

impl Store {
    /// The persons that `ids`, of users or visitors, stand for, in order: a linked visitor is its user.
    pub async fn persons(&self, ids: &[String]) -> Result<Vec<String>, Error> {
        let asked: Vec<&str> = ids.iter().map(String::as_str).collect();
        let person_of = stored(&self.db, &asked).await?;
        Ok(ids.iter().map(|id| person_of.get(id).unwrap_or(id).clone()).collect())
    }

    /// The person that this id of a user or a visitor stands for.
    pub async fn person(&self, id: &str) -> Result<String, Error> {
        let found = Entity::find_by_id(id).one(&self.db).await?;
        Ok(found.map_or_else(|| id.to_owned(), |row| row.person))
    }

    /// The largest position of the sender's log whose event is stored here.
    pub async fn log_position(&self) -> Result<u64, Error> {
        let position: Option<i64> = log::Entity::find()
            .select_only()
            .column(log::Column::Position)
            .into_tuple()
            .one(&self.db)
            .await?;
        Ok(position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0))
    }
}
