//! The gateway's own database, and the only place that knows sea-orm.

mod consents;
mod entity;
mod leases;
mod links;
mod log;
mod migration;
mod outbox;
mod popular;
#[cfg(test)]
mod tests;

use chassis::config::Secret;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend};

pub use links::{Link, Linked, Refusal};
pub use log::Stored;
pub use outbox::{Appended, Appending, Kind, Outcome, Row};
pub use popular::{PopularChange, PopularItem};

/// Locks PostgreSQL for one writer of the outbox at a time. A writer that loses its connection in the middle holds the
/// others up for at most the idle timeout.
const ALONE: &str = "SET LOCAL lock_timeout = '5s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '10s'; \
                     SELECT pg_advisory_xact_lock(7310579611849183842)";

/// The database failed.
#[derive(Debug, thiserror::Error)]
#[error("database: {0}")]
pub struct Error(#[from] sea_orm::DbErr);

/// An open database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: DatabaseConnection,
}

impl Store {
    /// Opens the database at `url`, making and migrating it where needed. Replicas that start together migrate one
    /// after the other.
    pub async fn open(url: &Secret) -> Result<Self, Error> {
        let db = chassis::database::open(url).await?;
        chassis::database::migrate::<migration::Migrator>(&db).await?;
        Ok(Self { db })
    }

    /// Begins a transaction that no other writer of the outbox overlaps, in this replica or another.
    async fn begin_alone(&self) -> Result<DatabaseTransaction, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        if self.db.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared(ALONE).await?;
        }
        Ok(transaction)
    }
}
