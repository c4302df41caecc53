//! What people have agreed to.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, sea_query::OnConflict,
};

use super::entity::consent;
use super::links::{self, Link};
use super::outbox::LOOK_UP;
use super::{Error, Store};

impl Store {
    /// What `person` has agreed to, as numbers of the contract; `None` where nothing was ever said.
    pub async fn consent(&self, person: &str) -> Result<Option<Vec<i32>>, Error> {
        read(&self.db, person).await
    }

    /// Stores what the person whom `id` stands for has agreed to; returns that person.
    ///
    /// Reading the link and writing are one transaction, so that nothing said at the moment of a link is lost.
    pub async fn set_consent(&self, id: &str, purposes: &[i32], now: i64) -> Result<String, Error> {
        let transaction = self.begin_alone().await?;
        let person = links::resolve(&transaction, id).await?;
        write(&transaction, &person, purposes, now).await?;
        transaction.commit().await?;
        Ok(person)
    }

    /// Drops what `people` have agreed to; returns how many rows there were.
    pub async fn forget_consents(&self, people: &[String]) -> Result<u64, Error> {
        let mut rows = 0;
        for people in people.chunks(LOOK_UP) {
            let theirs = consent::Column::Person.is_in(people);
            rows += consent::Entity::delete_many().filter(theirs).exec(&self.db).await?.rows_affected;
        }
        Ok(rows)
    }
}

/// Joins what a visitor and a user have agreed to as they become one person: what both have agreed to, or what the one
/// of them has who ever said anything.
pub(super) async fn join(transaction: &DatabaseTransaction, link: &Link, now: i64) -> Result<(), Error> {
    let Some(of_visitor) = read(transaction, &link.visitor).await? else { return Ok(()) };
    let joined = match read(transaction, &link.person).await? {
        Some(of_user) => of_user.into_iter().filter(|purpose| of_visitor.contains(purpose)).collect(),
        None => of_visitor,
    };
    write(transaction, &link.person, &joined, now).await?;
    consent::Entity::delete_by_id(link.visitor.as_str()).exec(transaction).await?;
    Ok(())
}

async fn read(connection: &impl ConnectionTrait, person: &str) -> Result<Option<Vec<i32>>, Error> {
    let row = consent::Entity::find_by_id(person).one(connection).await?;
    Ok(row.map(|row| row.purposes.split(',').filter_map(|number| number.parse().ok()).collect()))
}

async fn write(
    connection: &impl ConnectionTrait,
    person: &str,
    purposes: &[i32],
    now: i64,
) -> Result<(), Error> {
    let purposes: Vec<String> = purposes.iter().map(ToString::to_string).collect();
    let row = consent::ActiveModel {
        person: Set(person.to_owned()),
        purposes: Set(purposes.join(",")),
        since: Set(now),
    };
    let replace = OnConflict::column(consent::Column::Person)
        .update_columns([consent::Column::Purposes, consent::Column::Since])
        .to_owned();
    consent::Entity::insert(row).on_conflict(replace).exec_without_returning(connection).await?;
    Ok(())
}
