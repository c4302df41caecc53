use std::collections::{BTreeMap, HashSet};

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::{cursor, outbox};
use super::{Error, Store};

/// Ids looked up in one query; databases bound the number of parameters.
const LOOK_UP: usize = 500;

/// What a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `common.v1.Event`.
    Event = 1,
    /// An `evaluator.v1.Decision`.
    Decision = 2,
}

/// A row to be made durable.
#[derive(Debug, Clone)]
pub struct Row {
    /// Unique over all rows: `event:ID` or `decision:ID`.
    pub id: String,
    /// What it holds.
    pub kind: Kind,
    /// Pseudonym of the person it is about.
    pub person: String,
    /// The encoded message.
    pub payload: Vec<u8>,
}

/// A row as stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its place in the order of storing.
    pub sequence: i64,
    /// What it holds; `None` for a kind this version does not know.
    pub kind: Option<Kind>,
    /// The encoded message.
    pub payload: Vec<u8>,
}

impl Store {
    /// Writes `rows` in one transaction; says of each whether it is new.
    pub async fn append(&self, rows: &[Row], now: i64) -> Result<Vec<bool>, Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        let mut seen = HashSet::new();
        for ids in rows.chunks(LOOK_UP) {
            let known: Vec<String> = outbox::Entity::find()
                .select_only()
                .column(outbox::Column::Id)
                .filter(outbox::Column::Id.is_in(ids.iter().map(|row| row.id.as_str())))
                .into_tuple()
                .all(&transaction)
                .await?;
            seen.extend(known);
        }
        let fresh: Vec<bool> = rows.iter().map(|row| seen.insert(row.id.clone())).collect();
        let models: Vec<_> = rows
            .iter()
            .zip(&fresh)
            .filter(|(_, fresh)| **fresh)
            .map(|(row, _)| outbox::ActiveModel {
                sequence: NotSet,
                id: Set(row.id.clone()),
                kind: Set(row.kind as i16),
                person: Set(row.person.clone()),
                payload: Set(row.payload.clone()),
                stored_at: Set(now),
            })
            .collect();
        for models in models.chunks(LOOK_UP) {
            outbox::Entity::insert_many(models.to_vec())
                .on_conflict(OnConflict::column(outbox::Column::Id).do_nothing().to_owned())
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(fresh)
    }

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

    /// Up to where `destination` has been served; 0 for a new one.
    pub async fn cursor(&self, destination: &str) -> Result<i64, Error> {
        let row = cursor::Entity::find_by_id(destination).one(&self.db).await?;
        Ok(row.map_or(0, |row| row.sequence))
    }

    /// Notes that `destination` has been served up to `sequence`.
    pub async fn advance(&self, destination: &str, sequence: i64) -> Result<(), Error> {
        let row = cursor::ActiveModel { destination: Set(destination.to_owned()), sequence: Set(sequence) };
        cursor::Entity::insert(row)
            .on_conflict(
                OnConflict::column(cursor::Column::Destination)
                    .update_column(cursor::Column::Sequence)
                    .to_owned(),
            )
            .exec_without_returning(&self.db)
            .await?;
        Ok(())
    }

    /// Drops rows that every one of `destinations` has and that were stored before `before`.
    pub async fn prune(&self, destinations: &[&str], before: i64) -> Result<u64, Error> {
        let cursors = cursor::Entity::find().all(&self.db).await?;
        let cursors: BTreeMap<_, _> =
            cursors.into_iter().map(|row| (row.destination, row.sequence)).collect();
        let served =
            destinations.iter().map(|name| cursors.get(*name).copied().unwrap_or(0)).min().unwrap_or(0);
        let dropped = outbox::Entity::delete_many()
            .filter(outbox::Column::Sequence.lte(served))
            .filter(outbox::Column::StoredAt.lt(before))
            .exec(&self.db)
            .await?;
        Ok(dropped.rows_affected)
    }

    /// Rows about `person`.
    pub async fn outbox_of(&self, person: &str) -> Result<u64, Error> {
        Ok(outbox::Entity::find().filter(outbox::Column::Person.eq(person)).count(&self.db).await?)
    }

    /// Drops all rows about `person`; says how many there were.
    pub async fn forget(&self, person: &str) -> Result<u64, Error> {
        let dropped =
            outbox::Entity::delete_many().filter(outbox::Column::Person.eq(person)).exec(&self.db).await?;
        Ok(dropped.rows_affected)
    }
}

fn stored(row: outbox::Model) -> Stored {
    let kind = match row.kind {
        1 => Some(Kind::Event),
        2 => Some(Kind::Decision),
        _ => None,
    };
    Stored { sequence: row.sequence, kind, payload: row.payload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::config::Secret;

    fn row(id: &str) -> Row {
        Row { id: id.into(), kind: Kind::Event, person: "p".into(), payload: id.into() }
    }

    #[tokio::test]
    async fn rows_are_kept_once_and_in_order_over_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = Secret::new(format!("sqlite://{}/o.db?mode=rwc", folder.path().display()));
        let store = Store::open(&url).await.expect("opens");
        let first = store.append(&[row("a"), row("b"), row("a")], 0).await.expect("stored");
        assert_eq!(first, [true, true, false]);
        store.advance("here", 1).await.expect("advanced");
        drop(store);

        let store = Store::open(&url).await.expect("opens again");
        assert_eq!(store.append(&[row("b"), row("c")], 0).await.expect("stored"), [false, true]);
        let cursor = store.cursor("here").await.expect("kept");
        let rest: Vec<_> =
            store.after(cursor, 10).await.expect("read").into_iter().map(|r| r.payload).collect();
        assert_eq!(rest, [b"b", b"c"]);
    }

    #[tokio::test]
    async fn only_rows_that_all_have_are_pruned() {
        let store = Store::open(&Secret::new("sqlite::memory:")).await.expect("opens");
        store.append(&[row("a"), row("b")], 10).await.expect("stored");
        store.advance("one", 2).await.expect("advanced");
        assert_eq!(store.prune(&["one", "two"], 100).await.expect("pruned"), 0, "two has seen nothing");
        store.advance("two", 1).await.expect("advanced");
        assert_eq!(store.prune(&["one", "two"], 100).await.expect("pruned"), 1);
        assert_eq!(store.prune(&["one", "two"], 5).await.expect("pruned"), 0, "too young");
    }
}
