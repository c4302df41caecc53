//! Carries what is stored to the services, in order, each from its own cursor.
//!
//! A batch is sent again until it is taken; receivers know what they have by its id. A service that is away
//! delays only itself.

use std::sync::Arc;
use std::time::Duration;

use chassis::deadline;
use chrono::{TimeDelta, Utc};
use futures::future::BoxFuture;
use prost::Message as _;
use proto::common::v1::{Event, Rejection};
use proto::evaluator::v1::{self as evaluator, Decision};
use proto::recommender::v1 as recommender;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Outbox;
use crate::config::OutboxConfig;
use crate::store::{self, Kind, Store, Stored};
use crate::upstream::Upstream;

const DESTINATIONS: [&str; 2] = ["recommender", "evaluator"];
/// A batch that is not taken within this is sent again.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Rows written by another replica show without a notification.
const POLL: Duration = Duration::from_secs(1);
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Starts a relay for each destination; the future ends when all have stopped.
pub async fn start(
    store: &Store,
    upstream: &Upstream,
    outbox: &Outbox,
    config: &OutboxConfig,
    stop: &CancellationToken,
) -> Result<BoxFuture<'static, ()>, store::Error> {
    let mut tasks = Vec::new();
    for destination in DESTINATIONS {
        let relay = Relay {
            destination,
            cursor: store.cursor(destination).await?,
            store: store.clone(),
            upstream: upstream.clone(),
            stored: outbox.stored(),
            most: config.relay_batch,
        };
        let stop = stop.clone();
        tasks.push(tokio::spawn(async move { stop.run_until_cancelled(relay.run()).await.unwrap_or(()) }));
    }
    let pruning = prune(store.clone(), TimeDelta::hours(i64::from(config.keep_hours)));
    let stop = stop.clone();
    tasks.push(tokio::spawn(async move { stop.run_until_cancelled(pruning).await.unwrap_or(()) }));
    Ok(Box::pin(async move {
        futures::future::join_all(tasks).await;
    }))
}

async fn prune(store: Store, keep: TimeDelta) {
    loop {
        tokio::time::sleep(PRUNE_EVERY).await;
        match store.prune(&DESTINATIONS, (Utc::now() - keep).timestamp()).await {
            Ok(rows) => tracing::debug!(rows, "delivered rows dropped"),
            Err(error) => tracing::warn!(%error, "delivered rows could not be dropped"),
        }
    }
}

struct Relay {
    destination: &'static str,
    cursor: i64,
    store: Store,
    upstream: Upstream,
    stored: Arc<Notify>,
    most: u64,
}

impl Relay {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Asked for before the look, so that a row stored in between is not slept through.
            let stored = self.stored.clone();
            let woken = stored.notified();
            match self.step().await {
                Ok(0) => {
                    let _ = tokio::time::timeout(POLL, woken).await;
                }
                Ok(_) => pause = FIRST_PAUSE,
                Err(error) => {
                    let destination = self.destination;
                    tracing::warn!(destination, %error, pause_ms = pause.as_millis(), "not delivered, will be sent again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<usize, Failed> {
        let rows = self.store.after(self.cursor, self.most).await?;
        let Some(last) = rows.last().map(|row| row.sequence) else { return Ok(0) };
        let taken = rows.len();
        let sent = deadline::within(PATIENCE, self.send(rows)).await.map_err(|_| Failed::Late)?;
        for rejection in sent? {
            // Both sides check alike, so this names a difference between versions; the row stays in the outbox.
            let (destination, field, reason) = (self.destination, rejection.field, rejection.reason);
            tracing::error!(destination, row = rejection.id, field, reason, "a stored row was refused");
        }
        self.store.advance(self.destination, last).await?;
        self.cursor = last;
        Ok(taken)
    }

    async fn send(&self, rows: Vec<Stored>) -> Result<Vec<Rejection>, Failed> {
        let (events, decisions) = decode(rows)?;
        if self.destination == "recommender" {
            return Ok(self.to_recommender(events).await?);
        }
        // Decisions first: an event is joined to a decision that is there.
        let mut rejected = self.record(decisions).await?;
        rejected.extend(self.to_evaluator(events).await?);
        Ok(rejected)
    }

    async fn to_recommender(&self, events: Vec<Event>) -> Result<Vec<Rejection>, Status> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let rows = events.into_iter().map(|event| recommender::IngestEventsRequest { event: Some(event), log_position: 0 });
        let answer = self.upstream.recommender().ingest_events(tokio_stream::iter(rows)).await?;
        Ok(answer.into_inner().rejected)
    }

    async fn to_evaluator(&self, events: Vec<Event>) -> Result<Vec<Rejection>, Status> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let rows = events.into_iter().map(|event| evaluator::IngestEventsRequest { event: Some(event), log_position: 0 });
        let answer = self.upstream.decision().ingest_events(tokio_stream::iter(rows)).await?;
        Ok(answer.into_inner().rejected)
    }

    async fn record(&self, decisions: Vec<Decision>) -> Result<Vec<Rejection>, Status> {
        if decisions.is_empty() {
            return Ok(Vec::new());
        }
        let rows = decisions
            .into_iter()
            .map(|decision| evaluator::RecordDecisionsRequest { decision: Some(decision), log_position: 0 });
        let answer = self.upstream.decision().record_decisions(tokio_stream::iter(rows)).await?;
        Ok(answer.into_inner().rejected)
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("{}: {}", .0.code(), .0.message())]
    Refused(#[from] Status),
    #[error("not taken in time")]
    Late,
    #[error("a stored row does not decode: {0}")]
    Corrupt(#[from] prost::DecodeError),
}

fn decode(rows: Vec<Stored>) -> Result<(Vec<Event>, Vec<Decision>), prost::DecodeError> {
    let (mut events, mut decisions) = (Vec::new(), Vec::new());
    for row in rows {
        match row.kind {
            Some(Kind::Event) => events.push(Event::decode(row.payload.as_slice())?),
            Some(Kind::Decision) => decisions.push(Decision::decode(row.payload.as_slice())?),
            None => tracing::error!(
                sequence = row.sequence,
                "a row of an unknown kind is left to a newer version"
            ),
        }
    }
    Ok((events, decisions))
}
