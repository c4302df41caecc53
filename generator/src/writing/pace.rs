use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the newest measurement.
const NEWEST: f64 = 0.2;

/// How long a text takes, from asking the engine to its last word: an exponentially weighted mean.
#[derive(Default)]
pub(super) struct Pace {
    micros: AtomicU64,
}

impl Pace {
    /// Takes a measurement in.
    pub(super) fn measured(&self, took: Duration) {
        let new = took.as_micros() as f64;
        // The closure never declines, so the update never fails.
        let _ = self.micros.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            let mean = if old == 0 { new } else { old as f64 * (1.0 - NEWEST) + new * NEWEST };
            Some((mean as u64).max(1))
        });
    }

    /// The mean; `None` before the first measurement.
    pub(super) fn estimate(&self) -> Option<Duration> {
        match self.micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_what_is_measured() {
        let pace = Pace::default();
        assert_eq!(pace.estimate(), None);
        pace.measured(Duration::from_secs(1));
        assert_eq!(pace.estimate(), Some(Duration::from_secs(1)));
        pace.measured(Duration::from_secs(2));
        assert_eq!(pace.estimate(), Some(Duration::from_millis(1200)));
    }
}
