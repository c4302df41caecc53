//! The recommender's own database, and the only place that knows sea-orm.

mod entity;
mod events;
mod items;
mod links;
mod migration;
mod models;
mod people;
mod popularity;
mod requests;
mod returns;

use std::sync::Arc;

use chassis::config::Secret;
use sea_orm::DatabaseConnection;

use crate::signals::Signals;

pub use events::{Deed, EventKey, EventRow, Ingested};
pub use items::{Changes, Updated};
pub use links::Identity;
pub use models::Card;

/// Rows of one statement; databases bound the number of parameters.
const STATEMENT: usize = 500;

/// The database failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused.
    #[error("database: {0}")]
    Database(#[from] sea_orm::DbErr),
    /// A stored row does not decode.
    #[error("a stored row does not decode: {0}")]
    Corrupt(String),
}

/// An open database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: DatabaseConnection,
    /// Weights of events.
    signals: Arc<Signals>,
}

impl Store {
    /// Opens the database at `url`, making and migrating it where needed. Events weigh what `signals` say.
    pub async fn open(url: &Secret, signals: Arc<Signals>) -> Result<Self, Error> {
        let db = chassis::database::open(url).await?;
        chassis::database::migrate::<migration::Migrator>(&db).await?;
        Ok(Self { db, signals })
    }
}
