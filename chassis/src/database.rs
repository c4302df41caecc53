//! A service's own database: opened alike everywhere, and written without surprises.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait;

use crate::config::Secret;

/// Connections of one replica.
const CONNECTIONS: u32 = 8;

/// Opens the database at `url`.
///
/// SQLite runs with a write-ahead log, so that readers never wait for a writer. Every commit reaches the disk
/// before it returns (`synchronous` is FULL unless a connection is told otherwise): what is acknowledged survives
/// a power cut. A SQLite file that is missing is created.
///
/// # Errors
/// The database cannot be reached, or its file not be opened; the error names the file.
pub async fn open(url: &Secret) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(created(url.expose()));
    // A database in memory belongs to its connection.
    let in_memory = url.expose().contains(":memory:");
    options.sqlx_logging(false).max_connections(if in_memory { 1 } else { CONNECTIONS });
    let database = Database::connect(options).await.map_err(|cause| match file_of(url.expose()) {
        Some(file) => DbErr::Custom(format!(
            "the SQLite file {file} cannot be opened ({cause}): its folder must exist and be writable"
        )),
        None => cause,
    })?;
    if database.get_database_backend() == DbBackend::Sqlite {
        database.execute_unprepared("PRAGMA journal_mode=WAL").await?;
    }
    Ok(database)
}

/// `url` with the mode that creates a SQLite file, unless it names a mode itself.
fn created(url: &str) -> String {
    if file_of(url).is_none() || url.contains("mode=") {
        return url.to_owned();
    }
    format!("{url}{}mode=rwc", if url.contains('?') { '&' } else { '?' })
}

/// The path of the SQLite file that `url` names; `None` for other databases and for one in memory.
fn file_of(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && !url.contains(":memory:")).then_some(path)
}

/// Key of the PostgreSQL advisory lock that one migration at a time holds, of whichever service.
const MIGRATING: &str = "SELECT pg_advisory_xact_lock(7310579611849183843)";

/// Attempts to migrate a SQLite file, and the pause between two.
const MIGRATION_ATTEMPTS: u32 = 40;
const MIGRATION_PAUSE: Duration = Duration::from_millis(250);

/// Brings the schema of `database` up to date. Replicas that start together on one PostgreSQL database migrate one after
/// the other, each wholly or not at all.
pub async fn migrate<M: MigratorTrait>(database: &DatabaseConnection) -> Result<(), DbErr> {
    if database.get_database_backend() == DbBackend::Postgres {
        let transaction = begin(database).await?;
        transaction.execute_unprepared(MIGRATING).await?;
        M::up(&transaction, None).await?;
        transaction.commit().await
    } else {
        // Processes that start together on one file get in each other's way: one migrates, and the others fail until it is
        // done.
        let mut attempt = 1;
        while let Err(cause) = M::up(database, None).await {
            if attempt == MIGRATION_ATTEMPTS {
                return Err(cause);
            }
            attempt += 1;
            tokio::time::sleep(MIGRATION_PAUSE).await;
        }
        Ok(())
    }
}

/// Begins a transaction that will write.
///
/// SQLite takes its write lock at once. Taken later, after a read, it fails outright (`SQLITE_BUSY_SNAPSHOT`)
/// where another connection has written in between, and waiting would not help.
pub async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let sqlite = database.get_database_backend() == DbBackend::Sqlite;
    let options = TransactionOptions {
        sqlite_transaction_mode: sqlite.then_some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    database.begin_with_options(options).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_file_is_created_and_a_missing_folder_named() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, prefix) in [("a.db", "sqlite:"), ("b.db", "sqlite://")] {
            let file = folder.path().join(name);
            open(&Secret::new(format!("{prefix}{}", file.display()))).await.expect("opens");
            assert!(file.exists(), "{name}");
        }
        let missing = folder.path().join("none/c.db");
        let error = open(&Secret::new(format!("sqlite:{}", missing.display()))).await.expect_err("no folder");
        assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
        assert_eq!(created("sqlite:x.db?mode=ro"), "sqlite:x.db?mode=ro", "as it was asked for");
        assert_eq!(created("sqlite::memory:"), "sqlite::memory:");
        assert_eq!(created("postgres://h/d"), "postgres://h/d");
    }

    #[tokio::test]
    async fn writers_that_read_first_wait_for_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = Secret::new(format!("sqlite://{}/d.db?mode=rwc", folder.path().display()));
        let database = open(&url).await.expect("opens");
        database
            .execute_unprepared("CREATE TABLE n (n INTEGER); INSERT INTO n VALUES (0)")
            .await
            .expect("made");
        let raise = || async {
            let transaction = begin(&database).await?;
            let row = transaction.query_one_raw(statement("SELECT n FROM n")).await?.expect("a row");
            let n: i64 = row.try_get("", "n")?;
            transaction.execute_unprepared(&format!("UPDATE n SET n = {}", n + 1)).await?;
            transaction.commit().await
        };
        for outcome in futures::future::join_all((0..20).map(|_| raise())).await {
            outcome.expect("written");
        }
        let row = database.query_one_raw(statement("SELECT n FROM n")).await.expect("read").expect("a row");
        assert_eq!(row.try_get::<i64>("", "n").expect("a number"), 20);
    }

    fn statement(sql: &str) -> sea_orm::Statement {
        sea_orm::Statement::from_string(DbBackend::Sqlite, sql)
    }
}
