//! Links of anonymous visitors to users. All ids are pseudonyms.
//!
//! A visitor is linked to one user for ever, and links do not form chains: who is linked as a visitor is nobody's user,
//! so that one step resolves an id.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, QueryOrder as _,
};

use super::entity::link;
use super::outbox::{LOOK_UP, Outcome};
use super::{Error, Store, consents};

/// A visitor who was recognised as a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Pseudonym of the visitor.
    pub visitor: String,
    /// Pseudonym of the user.
    pub person: String,
}

/// Why a link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The visitor is linked to another user.
    LinkedElsewhere,
    /// The user's id is itself a visitor that is linked to another user.
    UserIsVisitor,
    /// The visitor's id is itself a user to whom visitors are linked.
    VisitorIsUser,
}

/// A linked visitor of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Pseudonym of the visitor.
    pub visitor: String,
    /// Position of the LINK event in the outbox.
    pub sequence: i64,
}

impl Store {
    /// The user whom `id` stands for: the user a visitor is linked to, otherwise `id` itself.
    pub async fn resolve(&self, id: &str) -> Result<String, Error> {
        resolve(&self.db, id).await
    }

    /// The visitors linked to `person`, by id.
    pub async fn visitors_of(&self, person: &str) -> Result<Vec<Linked>, Error> {
        let rows = link::Entity::find()
            .filter(link::Column::Person.eq(person))
            .order_by_asc(link::Column::Visitor)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(|row| Linked { visitor: row.visitor, sequence: row.sequence }).collect())
    }

    /// Drops the links of `person`; returns how many there were.
    pub async fn forget_links(&self, person: &str) -> Result<u64, Error> {
        let of_person = link::Column::Person.eq(person);
        Ok(link::Entity::delete_many().filter(of_person).exec(&self.db).await?.rows_affected)
    }
}

/// The user whom `id` stands for, as seen by `connection`.
pub(super) async fn resolve(connection: &impl ConnectionTrait, id: &str) -> Result<String, Error> {
    let row = link::Entity::find_by_id(id).one(connection).await?;
    Ok(row.map_or_else(|| id.to_owned(), |row| row.person))
}

/// Links being added in one transaction.
pub(super) struct Linking {
    /// User of each visitor that matters here.
    person_of: HashMap<String, String>,
    /// A linked visitor of each user that matters here.
    visitor_of: HashMap<String, String>,
    added: Vec<Link>,
}

impl Linking {
    /// Reads what is stored about the ids of `links`.
    pub(super) async fn load(
        transaction: &DatabaseTransaction,
        links: impl Iterator<Item = &Link>,
    ) -> Result<Self, Error> {
        let ids: Vec<&str> = links.flat_map(|link| [link.visitor.as_str(), link.person.as_str()]).collect();
        let mut linking = Self { person_of: HashMap::new(), visitor_of: HashMap::new(), added: Vec::new() };
        for ids in ids.chunks(LOOK_UP) {
            let as_visitors = link::Column::Visitor.is_in(ids.iter().copied());
            for row in link::Entity::find().filter(as_visitors).all(transaction).await? {
                linking.person_of.insert(row.visitor, row.person);
            }
            let as_users = link::Column::Person.is_in(ids.iter().copied());
            for row in link::Entity::find().filter(as_users).all(transaction).await? {
                linking.visitor_of.insert(row.person, row.visitor);
            }
        }
        Ok(linking)
    }

    /// Adds `link` where it contradicts none that is there.
    pub(super) fn add(&mut self, link: &Link) -> Outcome {
        match self.person_of.get(&link.visitor) {
            Some(person) if *person == link.person => return Outcome::Known,
            Some(_) => return Outcome::Refused(Refusal::LinkedElsewhere),
            None => {}
        }
        if self.person_of.contains_key(&link.person) {
            return Outcome::Refused(Refusal::UserIsVisitor);
        }
        if self.visitor_of.contains_key(&link.visitor) {
            return Outcome::Refused(Refusal::VisitorIsUser);
        }
        self.person_of.insert(link.visitor.clone(), link.person.clone());
        self.visitor_of.insert(link.person.clone(), link.visitor.clone());
        self.added.push(link.clone());
        Outcome::New
    }

    /// Stores the links added, with the positions of their events, and joins what the two had agreed to.
    pub(super) async fn store(
        self,
        transaction: &DatabaseTransaction,
        positions: &HashMap<String, i64>,
        now: i64,
    ) -> Result<(), Error> {
        for added in self.added {
            consents::join(transaction, &added, now).await?;
            let row = link::ActiveModel {
                sequence: Set(positions.get(&added.visitor).copied().unwrap_or_default()),
                visitor: Set(added.visitor),
                person: Set(added.person),
                since: Set(now),
            };
            link::Entity::insert(row).exec_without_returning(transaction).await?;
        }
        Ok(())
    }
}
