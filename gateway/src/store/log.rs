//! Reading the outbox: rows in order, and how far each consumer has come.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, ExprTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{cursor, link, outbox};
use super::outbox::Kind;
use super::{Error, Store};

/// A row as stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its position.
    pub sequence: i64,
    /// What it holds; `None` for a kind this version does not know.
    pub kind: Option<Kind>,
    /// The encoded message.
    pub payload: Vec<u8>,
}

impl Store {
    /// Rows after `sequence`, in order.
    pub async fn after(&self, sequence: i64, most: u64) -> Result<Vec<Stored>, Error> {
        let rows = outbox::Entity::find()
            .filter(outbox::Column::Sequence.gt(sequence))
            .order_by_asc(outbox::Column::Sequence)
            .limit(most)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(stored).collect())
    }

    /// Rows about any of `people` after `sequence`, at most `most`, in order.
    pub async fn rows_of(&self, people: &[String], sequence: i64, most: u64) -> Result<Vec<Stored>, Error> {
        let rows = outbox::Entity::find()
            .filter(outbox::Column::Person.is_in(people))
            .filter(outbox::Column::Sequence.gt(sequence))
            .order_by_asc(outbox::Column::Sequence)
            .limit(most)
            .all(&self.db)
            .await?;
        Ok(rows.into_iter().map(stored).collect())
    }

    /// The newest events of `person` and of the visitors linked to it that `destination` has not confirmed, at most
    /// `most`, the oldest first.
    pub async fn undelivered(
        &self,
        destination: &str,
        person: &str,
        most: u64,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let visitors = Query::select()
            .column(link::Column::Visitor)
            .from(link::Entity)
            .and_where(link::Column::Person.eq(person))
            .to_owned();
        // The cursor is read first: a row delivered in between is returned although it has arrived, and none is missed.
        let cursor = self.cursor(destination).await?;
        let mut rows: Vec<(i64, Vec<u8>)> = outbox::Entity::find()
            .select_only()
            .columns([outbox::Column::Sequence, outbox::Column::Payload])
            .filter(
                Condition::any()
                    .add(outbox::Column::Person.eq(person))
                    .add(outbox::Column::Person.in_subquery(visitors)),
            )
            .filter(outbox::Column::Sequence.gt(cursor))
            .filter(outbox::Column::Kind.eq(Kind::Event as i16))
            .order_by_desc(outbox::Column::Sequence)
            .limit(most)
            .into_tuple()
            .all(&self.db)
            .await?;
        rows.reverse();
        Ok(rows.into_iter().map(|(_, payload)| payload).collect())
    }

    /// Position of the newest event; 0 where there is none.
    pub async fn head(&self) -> Result<i64, Error> {
        newest_event(&self.db).await
    }

    /// Position up to which `destination` has confirmed everything; 0 for a new one.
    pub async fn cursor(&self, destination: &str) -> Result<i64, Error> {
        let row = cursor::Entity::find_by_id(destination).one(&self.db).await?;
        Ok(row.map_or(0, |row| row.sequence))
    }

    /// Stores that `destination` has confirmed everything up to `sequence`. A cursor never goes back.
    pub async fn advance(&self, destination: &str, sequence: i64) -> Result<(), Error> {
        let row = cursor::ActiveModel { destination: Set(destination.to_owned()), sequence: Set(sequence) };
        let forward = Expr::col((cursor::Entity, cursor::Column::Sequence)).lt(sequence);
        cursor::Entity::insert(row)
            .on_conflict(
                OnConflict::column(cursor::Column::Destination)
                    .update_column(cursor::Column::Sequence)
                    .action_and_where(forward)
                    .to_owned(),
            )
            .exec_without_returning(&self.db)
            .await?;
        Ok(())
    }

    /// Drops rows that every one of `destinations` has confirmed and that were stored before `before`, in seconds since
    /// 1970. The newest event stays, since its position is the head of the log.
    pub async fn prune(&self, destinations: &[&str], before: i64) -> Result<u64, Error> {
        let cursors = cursor::Entity::find().all(&self.db).await?;
        let cursors: BTreeMap<_, _> =
            cursors.into_iter().map(|row| (row.destination, row.sequence)).collect();
        let confirmed =
            destinations.iter().map(|name| cursors.get(*name).copied().unwrap_or(0)).min().unwrap_or(0);
        let dropped = outbox::Entity::delete_many()
            .filter(outbox::Column::Sequence.lte(confirmed))
            .filter(outbox::Column::Sequence.ne(self.head().await?))
            .filter(outbox::Column::StoredAt.lt(before))
            .exec(&self.db)
            .await?;
        Ok(dropped.rows_affected)
    }
}

/// Position of the newest event, as seen by `connection`; 0 where there is none.
pub(super) async fn newest_event(connection: &impl ConnectionTrait) -> Result<i64, Error> {
    let newest: Option<i64> = outbox::Entity::find()
        .select_only()
        .column(outbox::Column::Sequence)
        .filter(outbox::Column::Kind.eq(Kind::Event as i16))
        .order_by_desc(outbox::Column::Sequence)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(newest.unwrap_or(0))
}

fn stored(row: outbox::Model) -> Stored {
    let kind = match row.kind {
        1 => Some(Kind::Event),
        2 => Some(Kind::Decision),
        _ => None,
    };
    Stored { sequence: row.sequence, kind, payload: row.payload }
}
