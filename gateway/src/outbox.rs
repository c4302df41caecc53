//! What must not be lost: events and decisions, on disk before they are acknowledged, then sent on in order.
//!
//! One writer takes what all waiting calls bring and commits it in one transaction (group commit), so that the
//! cost of reaching the disk is shared. A relay for each destination follows with a cursor of its own.

pub mod relay;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::OutboxConfig;
use crate::store::{self, Row, Store};

/// The rows were not stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many calls are waiting for the disk.
    #[error("too many calls are waiting to be written")]
    Overloaded,
    /// The database refused.
    #[error("{0}")]
    Store(Arc<store::Error>),
    /// The gateway is stopping.
    #[error("the outbox is closed")]
    Closed,
}

struct Batch {
    rows: Vec<Row>,
    done: oneshot::Sender<Result<Vec<bool>, Arc<store::Error>>>,
}

/// The way into the outbox; cheap to clone. The writer ends when the last one is dropped.
#[derive(Clone)]
pub struct Outbox {
    batches: mpsc::Sender<Batch>,
    stored: Arc<Notify>,
}

impl Outbox {
    /// Starts the writer.
    pub fn open(store: Store, config: &OutboxConfig) -> (Self, JoinHandle<()>) {
        let (batches, waiting) = mpsc::channel(config.queue);
        let stored = Arc::new(Notify::new());
        let writer = tokio::spawn(write(store, waiting, config.write_batch, stored.clone()));
        (Self { batches, stored }, writer)
    }

    /// Stores `rows`. When this answers they are on disk; the answer says of each whether it is new.
    pub async fn store(&self, rows: Vec<Row>) -> Result<Vec<bool>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (done, outcome) = oneshot::channel();
        self.batches.try_send(Batch { rows, done }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        outcome.await.map_err(|_| Error::Closed)?.map_err(Error::Store)
    }

    /// Wakes relays when rows have been stored.
    pub(crate) fn stored(&self) -> Arc<Notify> {
        self.stored.clone()
    }
}

/// How long a caller should wait when the outbox is full.
pub const RETRY_AFTER: Duration = Duration::from_millis(200);

async fn write(store: Store, mut waiting: mpsc::Receiver<Batch>, most: usize, stored: Arc<Notify>) {
    while let Some(first) = waiting.recv().await {
        let mut batches = vec![first];
        let mut rows = batches[0].rows.len();
        while rows < most
            && let Ok(next) = waiting.try_recv()
        {
            rows += next.rows.len();
            batches.push(next);
        }
        let all: Vec<Row> = batches.iter_mut().flat_map(|batch| batch.rows.iter().cloned()).collect();
        let outcome = store.append(&all, Utc::now().timestamp()).await.map_err(Arc::new);
        stored.notify_waiters();
        let mut fresh = outcome.as_ref().map(|fresh| fresh.iter().copied()).ok();
        for batch in batches {
            let answer = match (&outcome, &mut fresh) {
                (Err(error), _) => Err(error.clone()),
                (Ok(_), fresh) => Ok(fresh.iter_mut().flatten().take(batch.rows.len()).collect()),
            };
            // A caller who has gone away needs no answer; the rows are stored all the same.
            let _ = batch.done.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Kind;
    use chassis::config::Secret;

    fn row(id: String) -> Row {
        Row { id, kind: Kind::Event, person: String::new(), payload: Vec::new() }
    }

    #[tokio::test]
    async fn every_caller_learns_of_its_own_rows() {
        let store = Store::open(&Secret::new("sqlite::memory:")).await.expect("opens");
        let (outbox, writer) = Outbox::open(store.clone(), &OutboxConfig::default());
        outbox.store(vec![row("3".into())]).await.expect("stored");
        let calls = (0..20).map(|n| outbox.store(vec![row(n.to_string()), row((n + 100).to_string())]));
        let answers = futures::future::join_all(calls).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.expect("stored"), [n != 3, true], "call {n}");
        }
        drop(outbox);
        writer.await.expect("ends with the last sender");
        assert_eq!(store.after(0, 100).await.expect("read").len(), 40);
    }
}
