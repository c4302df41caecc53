//! The generator's own database, and the only place that knows sea-orm.

mod copies;
mod entity;
mod migration;

use chassis::config::Secret;
use sea_orm::DatabaseConnection;

pub use copies::{Click, Written};

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
        let db = chassis::database::open(url).await?;
        chassis::database::migrate::<migration::Migrator>(&db).await?;
        Ok(Self { db })
    }
}
