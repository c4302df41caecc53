//! The generator's own database, and the only place that knows sea-orm.

mod copies;
mod entity;
mod migration;

use chassis::config::Secret;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend};
use sea_orm_migration::MigratorTrait as _;

pub use copies::Written;

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
    /// Opens the database at `url`, making and migrating it where needed.
    pub async fn open(url: &Secret) -> Result<Self, Error> {
        // A database in memory belongs to its connection.
        let in_memory = url.expose().contains(":memory:");
        let mut options = ConnectOptions::new(url.expose());
        options.sqlx_logging(false).max_connections(if in_memory { 1 } else { 8 });
        let db = Database::connect(options).await?;
        if db.get_database_backend() == DbBackend::Sqlite {
            // What a power cut takes is written anew: this is a cache.
            db.execute_unprepared(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000;",
            )
            .await?;
        }
        migration::Migrator::up(&db, None).await?;
        Ok(Self { db })
    }
}
