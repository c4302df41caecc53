//! Running experiments, kept in memory for a moment: every decision needs them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::experiment::definition::Registered;
use crate::store::Store;

/// Running experiments, by id.
pub(crate) struct Moment {
    pub(crate) experiments: Vec<Registered>,
}

/// The latest moment, read anew when it is old or something changed here.
pub(crate) struct Snapshots {
    lasts: Duration,
    latest: RwLock<Option<(Instant, Arc<Moment>)>>,
    changes: AtomicU64,
}

impl Snapshots {
    pub(crate) fn new(cache_ms: u64) -> Self {
        Self { lasts: Duration::from_millis(cache_ms), latest: RwLock::new(None), changes: AtomicU64::new(0) }
    }

    pub(crate) async fn moment(&self, store: &Store) -> Result<Arc<Moment>> {
        let kept = self.latest.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((taken, moment)) = kept
            && taken.elapsed() < self.lasts
        {
            return Ok(moment);
        }
        let changes = self.changes.load(Ordering::Acquire);
        let taken = Instant::now();
        let moment = Arc::new(Moment { experiments: store.running_experiments().await? });
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        // What was read before a change is not kept after it.
        if self.changes.load(Ordering::Acquire) == changes {
            *latest = Some((taken, moment.clone()));
        }
        Ok(moment)
    }

    pub(crate) fn changed(&self) {
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::AcqRel);
        *latest = None;
    }
}
