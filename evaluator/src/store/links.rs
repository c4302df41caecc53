//! Links of visitors to users: one visitor is one user for ever, a user may have many visitors.

use std::collections::{BTreeSet, HashMap};

use proto::common::v1::EventKind;
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};

use super::entity::{assignment, decision, event, link};
use super::{EventRow, STATEMENT, Store};
use crate::error::Result;

/// User of each linked visitor.
pub(super) type Users = HashMap<String, String>;

/// A batch of events whose links were checked.
pub(super) struct Admitted {
    /// The events to store, each under the user where its visitor is linked.
    pub(super) events: Vec<EventRow>,
    /// Links that the batch adds.
    pub(super) added: Vec<link::Model>,
    /// Ids of LINK events whose visitor is linked to another user.
    pub(super) refused: Vec<String>,
}

impl Store {
    /// Returns the user that the visitor `unit` is linked to, and `unit` itself where it is linked to none.
    pub async fn linked_user(&self, unit: String) -> Result<String> {
        Ok(linked_user(&self.db, &unit).await?.unwrap_or(unit))
    }
}

/// Returns the user that `visitor` is linked to.
pub(super) async fn linked_user(db: &impl ConnectionTrait, visitor: &str) -> Result<Option<String>> {
    Ok(link::Entity::find_by_id(visitor).one(db).await?.map(|link| link.person))
}

/// Returns the users of those of `visitors` that are linked.
pub(super) async fn users_of(
    db: &impl ConnectionTrait,
    visitors: impl IntoIterator<Item = &str>,
) -> Result<Users> {
    let visitors: Vec<&str> = visitors.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut users = Users::new();
    for chunk in visitors.chunks(STATEMENT) {
        let query = link::Entity::find().filter(link::Column::Visitor.is_in(chunk.iter().copied()));
        users.extend(query.all(db).await?.into_iter().map(|link| (link.visitor, link.person)));
    }
    Ok(users)
}

/// Returns the visitors linked to `person`.
pub(super) async fn visitors_of(db: &impl ConnectionTrait, person: &str) -> Result<Vec<String>> {
    let query = link::Entity::find().select_only().column(link::Column::Visitor);
    Ok(query.filter(link::Column::Person.eq(person)).into_tuple().all(db).await?)
}

/// Checks the LINK events of a batch and resolves the visitors of all others. Of two users that one batch links to the
/// same visitor, the first is kept.
pub(super) async fn admit(transaction: &DatabaseTransaction, events: Vec<EventRow>) -> Result<Admitted> {
    let is_link = |row: &EventRow| row.kind == EventKind::Link as i16;
    let visitors = events.iter().filter(|row| is_link(row) || row.person.is_empty());
    let mut users = users_of(transaction, visitors.map(|row| row.visitor.as_str())).await?;
    let (mut admitted, mut added, mut refused) = (Vec::with_capacity(events.len()), Vec::new(), Vec::new());
    for row in events {
        // An id used for both names one unit already.
        if is_link(&row) && row.person != row.visitor {
            match users.get(&row.visitor) {
                Some(user) if *user == row.person => {}
                Some(_) => {
                    refused.push(row.event_id);
                    continue;
                }
                None => {
                    users.insert(row.visitor.clone(), row.person.clone());
                    added.push(link::Model {
                        visitor: row.visitor.clone(),
                        person: row.person.clone(),
                        linked_at: row.occurred_at,
                    });
                }
            }
        }
        admitted.push(row);
    }
    for row in &mut admitted {
        resolve(&users, &mut row.person, &row.visitor);
    }
    Ok(Admitted { events: admitted, added, refused })
}

/// Sets an empty `person` to the user that `visitor` is linked to.
pub(super) fn resolve(users: &Users, person: &mut String, visitor: &str) {
    if person.is_empty()
        && let Some(user) = users.get(visitor)
    {
        person.clone_from(user);
    }
}

/// Stores `links` and moves what is stored under their visitors to the users: decisions, assignments and events. Rows
/// that name a user already belong to that user, whichever visitor they name too.
pub(super) async fn add(transaction: &DatabaseTransaction, links: Vec<link::Model>) -> Result<()> {
    for link in &links {
        let (visitor, person) = (link.visitor.as_str(), link.person.as_str());
        let anonymous =
            Condition::all().add(decision::Column::Person.eq("")).add(decision::Column::Visitor.eq(visitor));
        let theirs = Query::select()
            .column(decision::Column::DecisionId)
            .from(decision::Entity)
            .cond_where(anonymous.clone())
            .take();
        assignment::Entity::update_many()
            .col_expr(assignment::Column::Unit, Expr::value(person))
            .filter(assignment::Column::Unit.eq(visitor))
            .filter(assignment::Column::DecisionId.in_subquery(theirs))
            .exec(transaction)
            .await?;
        decision::Entity::update_many()
            .col_expr(decision::Column::Person, Expr::value(person))
            .filter(anonymous)
            .exec(transaction)
            .await?;
        event::Entity::update_many()
            .col_expr(event::Column::Person, Expr::value(person))
            .filter(event::Column::Person.eq(""))
            .filter(event::Column::Visitor.eq(visitor))
            .exec(transaction)
            .await?;
    }
    let once = OnConflict::new().do_nothing().to_owned();
    for chunk in links.chunks(STATEMENT) {
        link::Entity::insert_many(chunk.iter().cloned().map(link::Model::into_active_model))
            .on_conflict(once.clone())
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}
