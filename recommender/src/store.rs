//! The recommender's own database, and the only place that knows sea-orm.

mod entity;
mod events;
mod items;
mod migration;
mod models;

use chassis::config::Secret;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sea_orm_migration::MigratorTrait as _;

pub use events::{Crowd, Deed};
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
}

impl Store {
    /// Opens the database at `url`, making and migrating it where needed.
    pub async fn open(url: &Secret) -> Result<Self, Error> {
        let mut options = ConnectOptions::new(url.expose());
        options.sqlx_logging(false).max_connections(8).map_sqlx_sqlite_opts(|sqlite| {
            // An acknowledged row survives a power cut: every commit reaches the disk.
            sqlite
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("busy_timeout", "10000")
                .pragma("mmap_size", "268435456")
        });
        let db = Database::connect(options).await?;
        migration::Migrator::up(&db, None).await?;
        Ok(Self { db })
    }
}

/// Microseconds since 1970.
pub(crate) fn micros(at: &pbjson_types::Timestamp) -> i64 {
    at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000)
}
