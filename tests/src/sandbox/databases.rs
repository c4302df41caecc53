//! One database for each service: files in a folder, or databases of their own on PostgreSQL.

use std::path::PathBuf;

use anyhow::Context as _;
use chassis::config::Secret;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};

/// The server that `make test` starts where there is none.
const SERVER: &str = "postgres://postgres@127.0.0.1:5432";
/// Services that have a database.
const SERVICES: [&str; 4] = ["gateway", "recommender", "generator", "evaluator"];

/// Where the services keep their tables.
#[derive(Debug, Clone)]
pub(super) enum Databases {
    /// SQLite files in this folder.
    Files(PathBuf),
    /// Databases on PostgreSQL whose names begin so.
    Postgres(String),
}

impl Databases {
    /// Makes a database for each service on PostgreSQL, under a name nobody else has.
    pub(super) async fn on_postgres() -> anyhow::Result<Self> {
        let prefix = format!("sandbox_{}", uuid::Uuid::new_v4().simple());
        let server = server().await?;
        for service in SERVICES {
            server.execute_unprepared(&format!("CREATE DATABASE {prefix}_{service}")).await?;
        }
        server.close().await?;
        Ok(Self::Postgres(prefix))
    }

    /// URL of a service's database.
    pub(super) fn url(&self, service: &str) -> Secret {
        Secret::new(match self {
            Self::Files(folder) => {
                format!("sqlite://{}?mode=rwc", folder.join(format!("{service}.db")).display())
            }
            Self::Postgres(prefix) => format!("{SERVER}/{prefix}_{service}"),
        })
    }

    /// Removes the databases; files go with their folder.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        let Self::Postgres(prefix) = self else { return Ok(()) };
        let server = server().await?;
        for service in SERVICES {
            server
                .execute_unprepared(&format!("DROP DATABASE IF EXISTS {prefix}_{service} WITH (FORCE)"))
                .await?;
        }
        server.close().await.context("the connection to PostgreSQL does not close")
    }
}

async fn server() -> anyhow::Result<DatabaseConnection> {
    Database::connect(format!("{SERVER}/postgres")).await.context("PostgreSQL at 127.0.0.1:5432")
}
