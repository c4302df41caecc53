//! Leaves a server that fails alone for a while, instead of making every text wait for it (a circuit breaker, Nygard,
//! Release It!, 2007).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row, and until when nothing is asked.
pub(super) struct Circuit {
    standing: Mutex<Standing>,
    most: u32,
    pause: Duration,
}

#[derive(Default)]
struct Standing {
    failures: u32,
    /// Nothing is asked before this; then one text at a time tries.
    until: Option<Instant>,
    reason: String,
}

impl Circuit {
    /// One that opens after `most` failures in a row, for `pause`.
    pub(super) fn new(most: u32, pause: Duration) -> Self {
        Self { standing: Mutex::default(), most, pause }
    }

    /// Why nothing is to be asked now, if so.
    pub(super) fn open(&self) -> Option<String> {
        let standing = self.lock();
        standing.until.filter(|until| Instant::now() < *until).map(|_| standing.reason.clone())
    }

    /// Whether a text may be asked for now. After a pause one may; the next only when that one came back, or a pause
    /// later where it never did.
    pub(super) fn admit(&self) -> Result<(), String> {
        let mut standing = self.lock();
        match standing.until {
            None => Ok(()),
            Some(until) if Instant::now() < until => Err(standing.reason.clone()),
            Some(_) => {
                standing.until = Some(Instant::now() + self.pause);
                Ok(())
            }
        }
    }

    /// A text came.
    pub(super) fn succeeded(&self) {
        *self.lock() = Standing::default();
    }

    /// A text did not come; says whether the server is left alone from now on.
    pub(super) fn failed(&self, reason: &str) -> bool {
        let mut standing = self.lock();
        standing.failures = standing.failures.saturating_add(1);
        if standing.failures < self.most {
            return false;
        }
        let first = standing.until.is_none();
        standing.until = Some(Instant::now() + self.pause);
        reason.clone_into(&mut standing.reason);
        first
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_tries_after_the_pause() {
        let circuit = Circuit::new(2, Duration::from_millis(40));
        assert!(!circuit.failed("a"));
        circuit.succeeded();
        assert!(!circuit.failed("a"), "not in a row");
        assert!(circuit.failed("b"));
        assert_eq!((circuit.open().as_deref(), circuit.admit()), (Some("b"), Err("b".to_owned())));
        std::thread::park_timeout(Duration::from_millis(60));
        assert_eq!(circuit.open(), None);
        assert_eq!(circuit.admit(), Ok(()), "one tries");
        assert_eq!(circuit.admit(), Err("b".to_owned()), "and only one");
        circuit.succeeded();
        assert_eq!((circuit.admit(), circuit.admit()), (Ok(()), Ok(())));
    }
}
