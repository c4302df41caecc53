//! The moment that decisions are made for: the server's clock, or in replays and simulations what callers say it is.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use pbjson_types::Timestamp;
use proto::validate::Violations;

use super::{convert, now};
use crate::config::StrategyConfig;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// The clock of decisions, plans and budgets. Grants between replicas go by the server's clock alone.
pub(crate) struct Clock {
    simulated: bool,
    skew: i64,
    /// The latest moment told, in a simulation.
    latest: AtomicI64,
}

impl Clock {
    pub(crate) fn new(config: &StrategyConfig) -> Self {
        let skew = i64::from(config.clock_skew_s) * SECOND;
        Self { simulated: config.simulated_clock, skew, latest: AtomicI64::new(i64::MIN) }
    }

    /// Returns the moment now, microseconds since 1970; in a simulation the latest one told.
    pub(crate) fn now(&self) -> i64 {
        match self.latest.load(Ordering::Relaxed) {
            i64::MIN => now(),
            latest => latest,
        }
    }

    /// How far callers' moments may be from the server's clock, microseconds.
    pub(crate) fn skew(&self) -> i64 {
        self.skew
    }

    /// Returns the moment that a plan is made for: any that a caller gave in `field`, and now where none was. In a simulation
    /// it sets the clock.
    pub(crate) fn planned(&self, found: &mut Violations, field: &str, given: Option<&Timestamp>) -> i64 {
        match given {
            Some(given) if !self.simulated => {
                convert::time(found, field, given);
                convert::micros(given)
            }
            given => self.moment(found, field, given),
        }
    }

    /// Returns the moment that a caller gave in `field`; now where none was given. One that is too far from the server's
    /// clock is refused, but in a simulation, whose clock it sets.
    pub(crate) fn moment(&self, found: &mut Violations, field: &str, given: Option<&Timestamp>) -> i64 {
        let Some(given) = given else { return self.now() };
        let mut wrong = Violations::new();
        convert::time(&mut wrong, field, given);
        let wrong = wrong.into_vec();
        if !wrong.is_empty() {
            for wrong in wrong {
                found.add(wrong.field, wrong.reason, wrong.description);
            }
            return self.now();
        }
        let at = convert::micros(given);
        if self.simulated {
            self.latest.fetch_max(at, Ordering::Relaxed);
            return at;
        }
        let clock = now();
        if (at - clock).abs() > self.skew {
            let text = format!(
                "must be within {} s of the server's clock, {}, is {}; replays and simulations need \
                 strategy.simulated_clock = true",
                self.skew / SECOND,
                written(clock),
                written(at)
            );
            found.add(field, "CLOCK_SKEW", text);
        }
        at
    }
}

fn written(at: i64) -> String {
    DateTime::from_timestamp_micros(at).map_or_else(|| at.to_string(), |at| at.to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(simulated_clock: bool) -> Clock {
        Clock::new(&StrategyConfig { simulated_clock, ..StrategyConfig::default() })
    }

    fn told(clock: &Clock, ahead: i64) -> Option<String> {
        let mut found = Violations::new();
        let at = convert::timestamp(now() + ahead * SECOND);
        clock.moment(&mut found, "context.at", Some(&at));
        found.into_vec().into_iter().next().map(|wrong| format!("{} {}", wrong.reason, wrong.description))
    }

    #[test]
    fn a_moment_within_the_allowed_skew_is_taken_and_another_is_refused_with_both_times() {
        let clock = clock(false);
        assert_eq!((told(&clock, 290), told(&clock, -290)), (None, None));
        for ahead in [310, -310, 31_536_000] {
            let why = told(&clock, ahead).expect("refused");
            assert!(why.starts_with("CLOCK_SKEW must be within 300 s of the server's clock, 20"), "{why}");
            assert!(why.contains("strategy.simulated_clock") && why.matches("+00:00").count() == 2, "{why}");
        }
        assert!((clock.now() - now()).abs() < SECOND, "a caller does not move it");
    }

    #[test]
    fn a_simulation_sets_the_clock_and_never_back() {
        let clock = clock(true);
        assert_eq!(told(&clock, 31_536_000), None);
        let then = clock.now();
        assert!(then > now() + 31_000_000 * SECOND);
        assert_eq!(told(&clock, 0), None);
        assert_eq!(clock.now(), then);
    }
}
