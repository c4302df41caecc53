//! The time the present request has left, carried along its task.
//!
//! The server's edge reads `grpc-timeout` and opens a [`scope`]; every client call made inside it sends
//! the remainder on. A stage that may not take the whole remainder runs [`within`] a smaller share.

use std::future::Future;
use std::time::{Duration, Instant};

/// The metadata key gRPC gives a call's time budget.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";

/// A moment after which nobody waits for the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The stage's share of the deadline was spent before it finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("deadline exceeded")]
pub struct Exceeded;

tokio::task_local! {
    static CURRENT: Option<Deadline>;
}

impl Deadline {
    /// The deadline `budget` from now.
    pub fn after(budget: Duration) -> Self {
        Self(Instant::now() + budget)
    }

    /// Time left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The same deadline on tokio's clock.
    pub fn instant(self) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.0)
    }
}

/// The deadline of the request this task serves; `None` where the caller set none.
pub fn current() -> Option<Deadline> {
    CURRENT.try_with(|deadline| *deadline).ok().flatten()
}

/// Time left of the request this task serves; `None` where the caller set no deadline.
pub fn remaining() -> Option<Duration> {
    current().map(Deadline::remaining)
}

/// Runs `work` under `deadline`, without enforcing it: calls made inside send the remainder on.
///
/// A spawned task does not inherit its parent's deadline; hand it over with [`current`] and this.
pub async fn scope<F: Future>(deadline: Option<Deadline>, work: F) -> F::Output {
    CURRENT.scope(deadline, work).await
}

/// Runs `work` for at most `share`, or the request's own remainder where that is less.
pub async fn within<F: Future>(share: Duration, work: F) -> Result<F::Output, Exceeded> {
    let mine = Deadline::after(share);
    let deadline = current().map_or(mine, |outer| outer.min(mine));
    tokio::time::timeout_at(deadline.instant(), scope(Some(deadline), work)).await.map_err(|_| Exceeded)
}

/// Reads a `grpc-timeout` value: at most eight digits and a unit of H, M, S, m, u or n.
pub fn parse_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Writes a `grpc-timeout` value in the finest unit that fits eight digits.
pub fn format_timeout(budget: Duration) -> String {
    const MOST: u128 = 99_999_999;
    if budget.as_micros() <= MOST {
        format!("{}u", budget.as_micros())
    } else if budget.as_millis() <= MOST {
        format!("{}m", budget.as_millis())
    } else {
        format!("{}S", u128::from(budget.as_secs()).min(MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_survive_the_wire() {
        for budget in [Duration::from_micros(7), Duration::from_millis(800), Duration::from_hours(1)] {
            assert_eq!(parse_timeout(&format_timeout(budget)), Some(budget));
        }
    }

    #[test]
    fn malformed_timeouts_are_refused() {
        for bad in ["", "5", "S", "123456789S", "-1S", "1x", "１S", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_share_never_outlasts_the_request() {
        let outcome = scope(Some(Deadline::after(Duration::from_millis(20))), async {
            within(Duration::from_mins(1), std::future::pending::<()>()).await
        });
        assert_eq!(outcome.await, Err(Exceeded));
    }
}
