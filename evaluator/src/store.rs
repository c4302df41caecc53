//! The evaluator's own database, and the only place that knows sea-orm.

mod decisions;
mod entity;
mod erasure;
mod events;
mod experiments;
mod histories;
mod holdout;
mod ledger;
mod links;
mod metrics;
mod migration;
mod models;
mod moments;
mod offers;
mod owed;
mod plans;
mod requests;

use std::sync::Arc;

use chassis::calendar::Calendar;
use chassis::config::Secret;
use sea_orm::{DatabaseConnection, DbBackend, DbErr};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::{Error, Result};

pub use decisions::{PageStart, Recorded};
pub use entity::decision::Model as DecisionRow;
pub use entity::event::Model as EventRow;
pub use entity::offer::Model as OfferRow;
pub use entity::offer_made::Model as OfferMade;
pub use events::Ingested;
pub use histories::Histories;
pub use ledger::{AccountState, Booking, Request};
pub use moments::ByExperiment;
pub use owed::RedeemedOf;

/// Rows written by one statement; databases bound the number of parameters.
const STATEMENT: usize = 250;

/// An open database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: DatabaseConnection,
    /// SQLite takes one writer at a time; waiting here is fair and knows no time-out.
    writer: Option<Arc<Mutex<()>>>,
    /// The shop's calendar: days of facts are counted by it.
    calendar: Calendar,
}

impl Store {
    /// Opens the database at `url` of a shop whose days are UTC's, making and migrating it where needed.
    pub async fn open(url: &Secret) -> Result<Self> {
        Self::open_in(url, Calendar::UTC).await
    }

    /// Opens the database at `url` of a shop with `calendar`, making and migrating it where needed.
    pub async fn open_in(url: &Secret, calendar: Calendar) -> Result<Self> {
        let db = chassis::database::open(url).await?;
        let sqlite = db.get_database_backend() == DbBackend::Sqlite;
        let writer = sqlite.then(|| Arc::new(Mutex::new(())));
        chassis::database::migrate::<migration::Migrator>(&db).await?;
        let store = Self { db, writer, calendar };
        store.build_missing_cells().await?;
        store.build_missing_histories().await?;
        Ok(store)
    }

    async fn writing(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.writer {
            Some(writer) => Some(writer.lock().await),
            None => None,
        }
    }
}

/// Whom a row is about: the person, or the visitor where the person is not known.
fn unit(person: &str, visitor: &str) -> String {
    if person.is_empty() { visitor.to_owned() } else { person.to_owned() }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Self::Store(Box::new(error))
    }
}
