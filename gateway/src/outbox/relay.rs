//! Carries what is stored to the services, in order, each from its own cursor.
//!
//! A batch is sent again until it is taken; receivers know what they have by its id. A service that is away delays
//! only itself. Of several replicas the one that holds the lease of a destination relays to it. A replica that loses
//! its lease while it sends does no harm: it sends rows that another sends too, and cursors never go back.

use std::sync::Arc;
use std::time::Duration;

use chassis::deadline;
use chrono::{TimeDelta, Utc};
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::delivery::{self, Batch};
use super::{Destination, Outbox};
use crate::config::OutboxConfig;
use crate::store::{self, Store};
use crate::upstream::Upstream;

/// A batch that is not taken within this time is sent again.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Interval at which rows written by another replica are looked for; rows of this one come with a notification.
const POLL: Duration = Duration::from_millis(250);
/// Time after which the work of a replica that has died is taken over.
const LEASE: Duration = Duration::from_secs(6);
/// Interval at which a lease is renewed while a batch is under way.
const RENEW: Duration = Duration::from_secs(2);
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// Starts a relay for each destination; the future ends when all have stopped and given their leases back.
pub fn start(
    store: &Store,
    upstream: &Upstream,
    outbox: &Outbox,
    config: &OutboxConfig,
    stop: &CancellationToken,
) -> BoxFuture<'static, ()> {
    let holder = Uuid::new_v4().to_string();
    let mut tasks = Vec::new();
    for destination in Destination::ALL {
        let relay = Relay {
            destination,
            holder: holder.clone(),
            cursor: None,
            store: store.clone(),
            upstream: upstream.clone(),
            stored: outbox.stored(),
            most: config.relay_batch,
        };
        let (stop, store, holder) = (stop.clone(), store.clone(), holder.clone());
        tasks.push(tokio::spawn(async move {
            stop.run_until_cancelled(relay.run()).await.unwrap_or(());
            if let Err(error) = store.release(destination.name(), &holder).await {
                tracing::warn!(%error, "a lease was not given back; another replica takes it when it ends");
            }
        }));
    }
    let pruning = prune(store.clone(), TimeDelta::hours(i64::from(config.keep_hours)));
    let stop = stop.clone();
    tasks.push(tokio::spawn(async move { stop.run_until_cancelled(pruning).await.unwrap_or(()) }));
    Box::pin(async move {
        futures::future::join_all(tasks).await;
    })
}

async fn prune(store: Store, keep: TimeDelta) {
    let destinations = Destination::ALL.map(Destination::name);
    loop {
        tokio::time::sleep(PRUNE_EVERY).await;
        match store.prune(&destinations, (Utc::now() - keep).timestamp()).await {
            Ok(rows) => tracing::debug!(rows, "delivered rows dropped"),
            Err(error) => tracing::warn!(%error, "delivered rows could not be dropped"),
        }
    }
}

struct Relay {
    destination: Destination,
    /// Name under which this replica holds leases.
    holder: String,
    /// Position up to which everything is delivered; `None` while another replica may be relaying.
    cursor: Option<i64>,
    store: Store,
    upstream: Upstream,
    stored: Arc<Notify>,
    most: u64,
}

impl Relay {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Registers for notifications before polling, so that a row stored in between is not missed.
            let stored = self.stored.clone();
            let woken = stored.notified();
            match self.step().await {
                Ok(Step::Sent) => pause = FIRST_PAUSE,
                Ok(Step::CaughtUp) => {
                    let _ = tokio::time::timeout(POLL, woken).await;
                }
                Ok(Step::NotMine) => tokio::time::sleep(POLL).await,
                Err(error) => {
                    let destination = self.destination.name();
                    tracing::warn!(destination, %error, pause_ms = pause.as_millis(), "not delivered, will be sent again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Step, Failed> {
        if !self.renew().await? {
            self.cursor = None;
            return Ok(Step::NotMine);
        }
        let cursor = match self.cursor {
            Some(cursor) => cursor,
            None => self.store.cursor(self.destination.name()).await?,
        };
        self.cursor = Some(cursor);
        let rows = self.store.after(cursor, self.most).await?;
        let Some(last) = rows.last().map(|row| row.sequence) else { return Ok(Step::CaughtUp) };
        let batch = Batch::decode(rows)?;
        let sending = delivery::send(&self.upstream, self.destination, batch);
        let sent = tokio::select! {
            sent = deadline::within(PATIENCE, sending) => sent.map_err(|_| Failed::Late)?,
            error = self.keep() => return Err(error.into()),
        };
        for rejection in sent? {
            // Both sides check alike, so this names a difference between versions.
            let (destination, field, reason) = (self.destination.name(), rejection.field, rejection.reason);
            tracing::error!(destination, field, reason, "a stored row was refused");
        }
        self.store.advance(self.destination.name(), last).await?;
        self.cursor = Some(last);
        Ok(Step::Sent)
    }

    async fn renew(&self) -> Result<bool, store::Error> {
        self.store.lease(self.destination.name(), &self.holder, LEASE).await
    }

    /// Renews the lease until that fails.
    async fn keep(&self) -> store::Error {
        loop {
            tokio::time::sleep(RENEW).await;
            if let Err(error) = self.renew().await {
                return error;
            }
        }
    }
}

/// What a relay found to do.
enum Step {
    /// A batch was delivered; there may be more.
    Sent,
    /// Everything is delivered.
    CaughtUp,
    /// Another replica relays.
    NotMine,
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
