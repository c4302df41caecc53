//! What must not be lost: events and decisions, on disk before they are acknowledged, then sent on in order.
//!
//! One writer takes what all waiting calls bring and commits it in one transaction (group commit), so that the
//! cost of reaching the disk is shared. A relay for each destination follows with a cursor of its own; of several
//! replicas one holds the lease of a destination and relays for all.

mod delivery;
pub mod relay;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::OutboxConfig;
use crate::store::{self, Appended, Kind, Outcome, Row, Store};

/// A service that consumes the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Takes events.
    Recommender,
    /// Takes decisions and events.
    Evaluator,
}

impl Destination {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Recommender, Self::Evaluator];

    /// Its name: of its cursor, of its lease, and in GetDeliveryStatus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recommender => "recommender",
            Self::Evaluator => "evaluator",
        }
    }
}

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
    done: oneshot::Sender<Result<Appended, Arc<store::Error>>>,
}

impl Batch {
    /// Whether the caller has gone and the rows are of no use without an answer: a decision whose token nobody was
    /// given. Events are stored all the same.
    fn is_abandoned(&self) -> bool {
        self.done.is_closed() && self.rows.iter().all(|row| row.kind == Kind::Decision)
    }
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

    /// Stores `rows`. When this returns they are on disk; returns what became of each.
    pub async fn store(&self, rows: Vec<Row>) -> Result<Appended, Error> {
        if rows.is_empty() {
            return Ok(Appended { outcomes: Vec::new(), position: 0 });
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
        // The database first: calls that come while it is waited for share the transaction, and decisions whose callers
        // give up meanwhile are not stored.
        let appending = store.appending().await.map_err(Arc::new);
        let mut rows = first.rows.len();
        let mut batches = vec![first];
        while rows < most
            && let Ok(next) = waiting.try_recv()
        {
            rows += next.rows.len();
            batches.push(next);
        }
        batches.retain(|batch| !batch.is_abandoned());
        if batches.is_empty() {
            continue;
        }
        let all: Vec<Row> = batches.iter().flat_map(|batch| batch.rows.iter().cloned()).collect();
        let appended = match appending {
            Ok(appending) => appending.append(&all, Utc::now().timestamp()).await.map_err(Arc::new),
            Err(error) => Err(error),
        };
        stored.notify_waiters();
        let mut outcomes = appended.iter().flat_map(|appended| appended.outcomes.iter().copied());
        for batch in batches {
            let mine: Vec<Outcome> = outcomes.by_ref().take(batch.rows.len()).collect();
            let answer = match &appended {
                Ok(appended) => Ok(Appended { outcomes: mine, position: appended.position }),
                Err(error) => Err(error.clone()),
            };
            // A caller who has gone away needs no answer; the rows are stored all the same.
            let _ = batch.done.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::config::Secret;

    fn row(id: String) -> Row {
        Row { id, kind: Kind::Event, person: String::new(), payload: Vec::new(), link: None }
    }

    #[tokio::test]
    async fn every_caller_learns_of_its_own_rows() {
        let store = Store::open(&Secret::new("sqlite::memory:")).await.expect("opens");
        let (outbox, writer) = Outbox::open(store.clone(), &OutboxConfig::default());
        outbox.store(vec![row("3".into())]).await.expect("stored");
        let calls = (0..20).map(|n| outbox.store(vec![row(n.to_string()), row((n + 100).to_string())]));
        let answers = futures::future::join_all(calls).await;
        for (n, answer) in answers.into_iter().enumerate() {
            let first = if n == 3 { Outcome::Known } else { Outcome::New };
            assert_eq!(answer.expect("stored").outcomes, [first, Outcome::New], "call {n}");
        }
        drop(outbox);
        writer.await.expect("ends with the last sender");
        assert_eq!(store.after(0, 100).await.expect("read").len(), 40);
    }

    #[tokio::test]
    async fn a_decision_whose_caller_has_gone_is_not_stored_and_an_event_is() {
        let store = Store::open(&Secret::new("sqlite::memory:")).await.expect("opens");
        let (outbox, writer) = Outbox::open(store.clone(), &OutboxConfig::default());
        // Nothing is written before the first await: both calls end before the writer has run.
        for kind in [Kind::Decision, Kind::Event] {
            let row = Row { kind, ..row(format!("{kind:?}")) };
            let _ = futures::FutureExt::now_or_never(outbox.store(vec![row]));
        }
        drop(outbox);
        writer.await.expect("ends with the last sender");
        let kinds: Vec<_> = store.after(0, 10).await.expect("read").into_iter().map(|row| row.kind).collect();
        assert_eq!(kinds, [Some(Kind::Event)]);
    }
}
