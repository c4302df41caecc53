//! What a plan has spent and what may still be redeemed.
//!
//! An offer made is reserved at its expected cost until it is redeemed, and then counts what it cost, or until the time
//! redemptions take is over. No offer is made that could bring what is spent and reserved, with three standard
//! deviations, above the budget.

use std::collections::{HashMap, VecDeque};

use crate::metric::fact::DAY;

/// Standard deviations kept free.
const MARGIN: f64 = 3.0;
/// How strongly spend ahead of time makes money dearer.
const GAIN: f64 = 8.0;

/// An offer that may still be redeemed.
#[derive(Debug, Clone, Copy)]
struct Reserved {
    at: i64,
    expected: f64,
    variance: f64,
}

/// The books of one plan.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    spent: HashMap<String, i64>,
    total: i64,
    open: VecDeque<Reserved>,
    expected: f64,
    variance: f64,
    offered: HashMap<(String, i32), (i64, u32)>,
}

impl Ledger {
    /// Sets what a decision has cost so far.
    pub fn settle(&mut self, decision_id: &str, cost: i64) {
        let before = self.spent.insert(decision_id.to_owned(), cost).unwrap_or(0);
        self.total += cost - before;
    }

    /// Discounts given so far, minor units.
    pub fn spent(&self) -> i64 {
        self.total
    }

    /// Decisions whose offer was redeemed.
    pub fn redeemed(&self) -> usize {
        self.spent.len()
    }

    /// What is spent or may yet be, minor units.
    pub fn committed(&self) -> f64 {
        self.total as f64 + self.expected + MARGIN * self.variance.max(0.0).sqrt()
    }

    /// Forgets reservations older than `lasts` at `at`.
    pub fn expire(&mut self, at: i64, lasts: i64) {
        while self.open.front().is_some_and(|oldest| oldest.at.saturating_add(lasts) < at) {
            if let Some(gone) = self.open.pop_front() {
                self.expected -= gone.expected;
                self.variance -= gone.variance;
            }
        }
        if self.open.is_empty() {
            (self.expected, self.variance) = (0.0, 0.0);
        }
    }

    /// Whether an offer that costs `worst` if redeemed and `expected` on average still fits the budget.
    pub fn affords(&self, budget: i64, expected: f64, worst: f64) -> bool {
        let variance = self.variance + variance(expected, worst);
        let committed = self.total as f64 + self.expected + expected + MARGIN * variance.max(0.0).sqrt();
        committed <= budget as f64 && self.total as f64 + worst <= budget as f64
    }

    /// Reserves an offer made to a person in a channel.
    pub fn reserve(&mut self, unit: &str, channel: i32, at: i64, expected: f64, worst: f64) {
        let reserved = Reserved { at, expected, variance: variance(expected, worst) };
        self.open.push_back(reserved);
        self.expected += reserved.expected;
        self.variance += reserved.variance;
        let count = self.offered.entry((unit.to_owned(), channel)).or_insert((at.div_euclid(DAY), 0));
        if count.0 != at.div_euclid(DAY) {
            *count = (at.div_euclid(DAY), 0);
        }
        count.1 += 1;
    }

    /// Offers made to a person in a channel on the day of `at`.
    pub fn offered(&self, unit: &str, channel: i32, at: i64) -> u32 {
        self.offered
            .get(&(unit.to_owned(), channel))
            .filter(|(day, _)| *day == at.div_euclid(DAY))
            .map_or(0, |(_, count)| *count)
    }

    /// What money is worth now: the plan's price, dearer where spend runs ahead of the window and cheaper where it lags
    /// (proportional feedback on the share spent).
    pub fn price(&self, planned: f64, budget: i64, window: Option<(i64, i64)>, at: i64) -> f64 {
        let Some((from, until)) = window.filter(|(from, until)| until > from) else { return planned };
        let elapsed = ((at - from) as f64 / (until - from) as f64).clamp(0.0, 1.0);
        let ahead = self.total as f64 / (budget as f64).max(1.0) - elapsed;
        // A plan whose money was not short has no price to scale: it gets one when spend runs ahead.
        let floor = if ahead > 0.0 { 0.05 * ahead } else { 0.0 };
        planned * (GAIN * ahead).clamp(-3.0, 3.0).exp() + floor
    }
}

/// Of a cost that is `worst` with probability expected/worst and else nothing.
fn variance(expected: f64, worst: f64) -> f64 {
    (expected * (worst - expected)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_redeemed_is_never_more_than_the_budget_bears() {
        let mut ledger = Ledger::default();
        let mut made = 0;
        while ledger.affords(10_000, 100.0, 500.0) {
            ledger.reserve("u", 1, 0, 100.0, 500.0);
            made += 1;
        }
        // 100n + 3·200·√n ≤ 10 000 to n = 55: 9 950, and 10 090 at 56.
        assert_eq!(made, 55);
        ledger.expire(2_000, 1_000);
        assert!(ledger.committed().abs() < 1e-9 && ledger.affords(10_000, 100.0, 500.0));
        ledger.settle("d", 9_800);
        ledger.settle("d", 9_700);
        assert_eq!(ledger.spent(), 9_700);
        assert!(!ledger.affords(10_000, 1.0, 500.0), "one redemption would break it");
    }

    #[test]
    fn money_is_dearer_ahead_of_time_and_cheaper_behind_it() {
        let mut ledger = Ledger::default();
        ledger.settle("d", 500);
        let price = |at: i64| ledger.price(1.0, 1_000, Some((0, 100)), at);
        assert!(price(10) > 2.0 && price(90) < 0.5 && (price(50) - 1.0).abs() < 1e-12);
        assert!((ledger.price(1.0, 1_000, None, 10) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn offers_are_counted_a_day() {
        let mut ledger = Ledger::default();
        ledger.reserve("u", 3, 5, 1.0, 2.0);
        ledger.reserve("u", 3, 6, 1.0, 2.0);
        assert_eq!(
            (ledger.offered("u", 3, 7), ledger.offered("u", 4, 7), ledger.offered("u", 3, DAY)),
            (2, 0, 0)
        );
    }
}
