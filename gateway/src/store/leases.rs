//! Leases: background work that one replica does at a time.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::{Error, Store};

impl Store {
    /// Takes or renews the lease of `work` for `holder` until `time` from now, by the database's clock. Returns whether
    /// `holder` has it.
    ///
    /// A SQLite file belongs to one gateway, which always has the lease.
    pub async fn lease(&self, work: &str, holder: &str, time: Duration) -> Result<bool, Error> {
        if self.db.get_database_backend() == DbBackend::Sqlite {
            return Ok(true);
        }
        let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let sql = "INSERT INTO gateway_lease (work, holder, expires_at) \
                   VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3) \
                   ON CONFLICT (work) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
                   WHERE gateway_lease.holder = excluded.holder \
                   OR gateway_lease.expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let values = [work.into(), holder.into(), milliseconds.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        Ok(self.db.execute_raw(statement).await?.rows_affected() == 1)
    }

    /// Gives the lease of `work` back where `holder` has it, so that another replica need not wait for its end.
    pub async fn release(&self, work: &str, holder: &str) -> Result<(), Error> {
        if self.db.get_database_backend() == DbBackend::Sqlite {
            return Ok(());
        }
        let sql = "DELETE FROM gateway_lease WHERE work = $1 AND holder = $2";
        let values = [work.into(), holder.into()];
        self.db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        Ok(())
    }
}
