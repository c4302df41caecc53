//! Fetches the popularity list periodically.

use std::time::Duration;

use chassis::deadline;
use proto::common::v1::Item;
use proto::recommender::v1::{RecommendRequest, Rules};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{KEPT, Popular, row};
use crate::upstream::Upstream;

/// Interval at which a list stored by another replica is looked for.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// Pause after a fetch that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Pause before a fetch that was asked for, so that many changes cost one fetch.
const GATHER: Duration = Duration::from_millis(300);
/// Time one fetch may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time after which another replica fetches in the place of one that has died.
const LEASE: Duration = Duration::from_secs(30);
/// Time after which every replica of the recommender shows a change of the catalogue; what is fetched later has it.
const SETTLED: Duration = Duration::from_secs(3);
/// Version of a list that nothing has changed yet.
const NEVER_CHANGED: i64 = 1;
const WORK: &str = "popularity";

/// Starts fetching the list every `interval`, and following what other replicas store, until `stop`.
pub fn start(
    popular: &Popular,
    upstream: &Upstream,
    interval: Duration,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let (fetching, following) = (popular.clone(), popular.clone());
    let (upstream, stop) = (upstream.clone(), stop.clone());
    tokio::spawn(async move {
        let both = async { tokio::join!(fetch_every(fetching, upstream, interval), follow(following)) };
        stop.run_until_cancelled(both).await;
    })
}

async fn follow(popular: Popular) {
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        if let Err(error) = popular.follow().await {
            tracing::warn!(%error, "the stored popularity list could not be read");
        }
    }
}

async fn fetch_every(popular: Popular, upstream: Upstream, interval: Duration) {
    let holder = Uuid::new_v4().to_string();
    loop {
        let pause = match fetch(&popular, &upstream, &holder).await {
            Ok(()) => interval,
            Err(cause) => {
                tracing::debug!(cause, "the popularity list was not fetched; it will be tried again");
                RETRY_AFTER
            }
        };
        if tokio::time::timeout(pause, popular.shared.due.notified()).await.is_ok() {
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// Fetches the list once, where no other replica does.
async fn fetch(popular: &Popular, upstream: &Upstream, holder: &str) -> Result<(), String> {
    let store = &popular.shared.store;
    if !store.lease(WORK, holder, LEASE).await.map_err(|error| error.to_string())? {
        return Ok(());
    }
    let before = store.popular_version().await.map_err(|error| error.to_string())?;
    if before > NEVER_CHANGED {
        tokio::time::sleep(SETTLED).await;
    }
    // Sold-out items are kept: whether an item may be listed is decided when it is, and stock changes.
    let request = RecommendRequest {
        limit: u32::try_from(KEPT).unwrap_or(u32::MAX),
        rules: Some(Rules { include_sold_out: true, ..Rules::default() }),
        ..RecommendRequest::default()
    };
    let mut client = upstream.recommender();
    let answer = deadline::within(PATIENCE, client.recommend(request)).await;
    let answer = answer.map_err(|late| late.to_string())?.map_err(|status| status.message().to_owned())?;
    let picks = answer.into_inner().recommendations;
    let items: Vec<Item> = picks.into_iter().filter_map(|pick| pick.item).collect();
    popular.replace(items, before).await
}

impl Popular {
    /// Replaces the list by what was fetched when it had the version `before`; what was changed through a gateway since
    /// stays changed.
    async fn replace(&self, items: Vec<Item>, before: i64) -> Result<(), String> {
        let rows: Vec<_> = items.iter().enumerate().map(|(place, item)| row(place, item)).collect();
        let replaced = self.shared.store.replace_popular(&rows, before).await;
        replaced.map_err(|error| error.to_string())?;
        self.follow().await.map_err(|error| error.to_string())
    }
}
