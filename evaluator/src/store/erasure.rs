//! Erasure of a person with all visitors linked to that person.

use std::collections::BTreeSet;

use prost::Message as _;
use proto::common::v1::Event;
use proto::evaluator::v1::Decision;
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, Condition, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};

use super::entity::{assignment, decision, event, link};
use super::{STATEMENT, Store, histories, links, moments, unit};
use crate::error::{Error, Result};

impl Store {
    /// Deletes all rows of `person` and of the visitors linked to that person, with the links, in one transaction;
    /// `person` may be a visitor. Returns the number of rows deleted. Rows of other users that name one of these
    /// visitors stay, without the visitor.
    pub async fn erase(&self, person: &str) -> Result<u64> {
        let _held = self.writing().await;
        let transaction = chassis::database::begin(&self.db).await?;
        moments::lock(&transaction).await?;
        let user = links::linked_user(&transaction, person).await?.unwrap_or_else(|| person.to_owned());
        let mut ids = links::visitors_of(&transaction, &user).await?;
        ids.push(user.clone());

        let decided = Condition::any()
            .add(decision::Column::Person.eq(&user))
            .add(decision::Column::Person.eq("").and(decision::Column::Visitor.is_in(&ids)));
        let happened = Condition::any()
            .add(event::Column::Person.eq(&user))
            .add(event::Column::Person.eq("").and(event::Column::Visitor.is_in(&ids)));
        let decisions: Vec<(String, String, String)> = decision::Entity::find()
            .select_only()
            .columns([decision::Column::DecisionId, decision::Column::Person, decision::Column::Visitor])
            .filter(decided.clone())
            .into_tuple()
            .all(&transaction)
            .await?;
        let events: Vec<(String, String, String)> = event::Entity::find()
            .select_only()
            .columns([event::Column::DecisionId, event::Column::Person, event::Column::Visitor])
            .filter(happened.clone())
            .into_tuple()
            .all(&transaction)
            .await?;

        let units = decisions.iter().chain(&events).map(|(_, person, visitor)| unit(person, visitor));
        let units = units.chain(ids.iter().cloned()).collect();
        let answered = events.into_iter().map(|(decision, ..)| decision).filter(|id| !id.is_empty());
        let made: BTreeSet<String> = decisions.into_iter().map(|(id, ..)| id).collect();
        let units = moments::concerned_by_events(&transaction, units, &answered.collect()).await?;
        let units = moments::concerned_by_decisions(&transaction, self.calendar, units, &made).await?;
        let before = moments::before(&transaction, self.calendar, units).await?;

        let mut deleted = 0;
        let made: Vec<&str> = made.iter().map(String::as_str).collect();
        for chunk in made.chunks(STATEMENT) {
            let of_decisions = assignment::Column::DecisionId.is_in(chunk.iter().copied());
            let query = assignment::Entity::delete_many().filter(of_decisions);
            deleted += query.exec(&transaction).await?.rows_affected;
        }
        let of_units = assignment::Column::Unit.is_in(&ids);
        deleted += assignment::Entity::delete_many().filter(of_units).exec(&transaction).await?.rows_affected;
        deleted += decision::Entity::delete_many().filter(decided).exec(&transaction).await?.rows_affected;
        deleted += event::Entity::delete_many().filter(happened).exec(&transaction).await?.rows_affected;
        let linked = link::Column::Person.eq(&user);
        deleted += link::Entity::delete_many().filter(linked).exec(&transaction).await?.rows_affected;
        // Sums of what was deleted, and counted with it.
        let units: Vec<&str> = ids.iter().map(String::as_str).collect();
        histories::forget(&transaction, &units).await?;
        forget_visitors(&transaction, &ids).await?;
        moments::settle(&transaction, before).await?;
        transaction.commit().await?;
        Ok(deleted)
    }
}

/// Removes `visitors` from the rows that belong to other users: shared devices.
async fn forget_visitors(transaction: &DatabaseTransaction, visitors: &[String]) -> Result<()> {
    let broken = |error: prost::DecodeError| Error::Internal(error.to_string());
    let query = decision::Entity::find().filter(decision::Column::Visitor.is_in(visitors));
    for row in query.all(transaction).await? {
        let mut message = Decision::decode(row.payload.as_slice()).map_err(broken)?;
        message.visitor_id.clear();
        let mut row = row.into_active_model();
        (row.visitor, row.payload) = (Set(String::new()), Set(message.encode_to_vec()));
        row.update(transaction).await?;
    }
    let query = event::Entity::find().filter(event::Column::Visitor.is_in(visitors));
    for row in query.all(transaction).await? {
        let mut message = Event::decode(row.payload.as_slice()).map_err(broken)?;
        message.visitor_id.clear();
        let mut row = row.into_active_model();
        (row.visitor, row.payload) = (Set(String::new()), Set(message.encode_to_vec()));
        row.update(transaction).await?;
    }
    Ok(())
}
