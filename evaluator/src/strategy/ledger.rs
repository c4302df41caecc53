//! What a plan has spent and what may still be redeemed.
//!
//! An offer made is reserved at its expected cost until it is redeemed, and then counts what it cost, or until the time
//! redemptions take is over. No offer is made that could bring what is spent and reserved, with three standard
//! deviations, above the budget.
//!
//! Many replicas decide by one plan. What is spent stands in the database; what may still be redeemed is covered by a
//! grant each replica holds there, so that spent and granted never exceed the budget. A replica asks for more before its
//! grant is used up, and decides from memory.

use std::collections::{HashMap, VecDeque};

use crate::metric::fact::DAY;

/// Standard deviations kept free.
const MARGIN: f64 = 3.0;
/// How strongly spend ahead of time makes money dearer.
const GAIN: f64 = 8.0;
/// Share of the budget a replica keeps in hand beyond what it has reserved.
const IN_HAND: f64 = 0.02;

/// An offer that may still be redeemed.
#[derive(Debug, Clone, Copy)]
struct Reserved {
    at: i64,
    expected: f64,
    variance: f64,
}

/// One replica's books of one plan.
#[derive(Debug, Clone)]
pub struct Ledger {
    budget: i64,
    /// How long a redemption may take, microseconds.
    lasts: i64,
    spent: i64,
    /// What was spent when the last grant was taken: what is spent since is no longer in hand.
    spent_then: i64,
    granted: f64,
    open: VecDeque<Reserved>,
    expected: f64,
    variance: f64,
    /// The latest moment decided for.
    latest: i64,
    /// Reserved since the last grant.
    lately: f64,
    /// The least grant under which an offer refused since the last one could have been made.
    needed: f64,
    /// Whether the last grant was all there was.
    exhausted: bool,
    offered: Offered,
}

/// Offers made on one day, by person and channel.
#[derive(Debug, Clone, Default)]
struct Offered {
    day: i64,
    counts: HashMap<(String, i32), u32>,
}

/// Whether an offer is covered, from the best answer to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Afford {
    /// It is.
    Yes,
    /// This replica's grant is used up.
    NotGranted,
    /// The budget is.
    Spent,
}

/// What a replica asks of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What it has reserved, minor units.
    pub committed: i64,
    /// What it wants granted in all.
    pub wanted: i64,
    /// The moment, microseconds since 1970.
    pub at: i64,
    /// When all it has reserved has been redeemed or never will be.
    pub until: i64,
}

/// What the database gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Granted to this replica in all, minor units.
    pub amount: i64,
    /// Spent by all replicas.
    pub spent: i64,
}

/// What is granted of a `budget` of which `spent` is gone and `others` is granted to others: what is committed already,
/// and of what is left free no more than half, so that whoever asks next finds something too.
pub fn granted(budget: i64, spent: i64, others: i64, ask: Ask) -> i64 {
    let free = (budget - spent - others - ask.committed).max(0);
    ask.committed + (ask.wanted - ask.committed).clamp(0, free - free / 2)
}

impl Ledger {
    /// The books of a plan with `budget` whose redemptions take up to `lasts` microseconds. Nothing is granted yet.
    pub fn new(budget: i64, lasts: i64) -> Self {
        Self {
            budget,
            lasts,
            spent: 0,
            spent_then: 0,
            granted: 0.0,
            open: VecDeque::new(),
            expected: 0.0,
            variance: 0.0,
            latest: i64::MIN,
            lately: 0.0,
            needed: 0.0,
            exhausted: false,
            offered: Offered::default(),
        }
    }

    /// Discounts given so far by all replicas, minor units, as far as this one has been told.
    pub fn spent(&self) -> i64 {
        self.spent
    }

    /// Is told what all replicas have spent.
    pub fn tell_spent(&mut self, spent: i64) {
        self.spent = spent;
    }

    /// What may yet be redeemed of this replica's offers, minor units.
    pub fn committed(&self) -> f64 {
        self.expected + MARGIN * self.variance.max(0.0).sqrt()
    }

    /// What to ask for: on top of what is reserved, or of what an offer would have needed, twice what was reserved since
    /// the last grant.
    pub fn ask(&self, now: i64) -> Ask {
        let at = if self.latest == i64::MIN { now } else { self.latest };
        let committed = self.committed().ceil() as i64;
        let more = (2.0 * self.lately).max(IN_HAND * self.budget as f64);
        let wanted = (self.committed() + more).max(self.needed + more);
        Ask { committed, wanted: wanted.ceil() as i64, at, until: at.saturating_add(self.lasts) }
    }

    /// Takes a grant.
    pub fn take(&mut self, grant: Grant) {
        // Less than a hundredth in hand is the end of it: asking again at every decision would bring no more.
        let least = 0.01 * IN_HAND * self.budget as f64;
        self.exhausted = (grant.amount as f64) < self.needed.max(self.committed() + least);
        self.granted = grant.amount as f64;
        (self.spent, self.spent_then) = (grant.spent, grant.spent);
        (self.lately, self.needed) = (0.0, 0.0);
    }

    /// Whether asking for a larger grant may bring one.
    pub fn may_get_more(&self) -> bool {
        !self.exhausted
    }

    /// Comes to `at`: forgets reservations that are too old.
    pub fn come_to(&mut self, at: i64) {
        self.latest = self.latest.max(at);
        while self.open.front().is_some_and(|oldest| oldest.at.saturating_add(self.lasts) < at) {
            if let Some(gone) = self.open.pop_front() {
                self.expected -= gone.expected;
                self.variance -= gone.variance;
            }
        }
        if self.open.is_empty() {
            (self.expected, self.variance) = (0.0, 0.0);
        }
        if self.offered.day < at.div_euclid(DAY) {
            self.offered = Offered { day: at.div_euclid(DAY), counts: HashMap::new() };
        }
    }

    /// Whether an offer that costs `worst` if redeemed and `expected` on average is covered.
    pub fn affords(&mut self, expected: f64, worst: f64) -> Afford {
        if self.spent as f64 + worst > self.budget as f64 {
            return Afford::Spent;
        }
        let variance = self.variance + variance(expected, worst);
        let committed = self.expected + expected + MARGIN * variance.max(0.0).sqrt();
        // Others' spend counts as well: who spent is not told, and asking anew tells them apart.
        let since = (self.spent - self.spent_then).max(0) as f64;
        if since + committed <= self.granted {
            return Afford::Yes;
        }
        self.needed = self.needed.max(committed);
        Afford::NotGranted
    }

    /// Reserves an offer made to a person in a channel.
    pub fn reserve(&mut self, unit: &str, channel: i32, at: i64, expected: f64, worst: f64) {
        let reserved = Reserved { at, expected, variance: variance(expected, worst) };
        self.open.push_back(reserved);
        self.expected += reserved.expected;
        self.variance += reserved.variance;
        self.lately += expected;
        if self.offered.day == at.div_euclid(DAY) {
            *self.offered.counts.entry((unit.to_owned(), channel)).or_default() += 1;
        }
    }

    /// Offers this replica made to a person in a channel on the day of `at`.
    pub fn offered(&self, unit: &str, channel: i32, at: i64) -> u32 {
        let today = self.offered.day == at.div_euclid(DAY);
        let count = self.offered.counts.get(&(unit.to_owned(), channel));
        count.filter(|_| today).copied().unwrap_or(0)
    }

    /// What money is worth now: the plan's price, dearer where spend runs ahead of the window and cheaper where it lags
    /// (proportional feedback on the share spent).
    pub fn price(&self, planned: f64, window: Option<(i64, i64)>, at: i64) -> f64 {
        // A plan whose money was not short has no price to scale: it gets one when spend runs ahead.
        self.paced(planned, window, at) + 0.05 * self.ahead(window, at).max(0.0)
    }

    /// The planned price of what is counted here, paced alike: what was not short has none.
    pub fn paced(&self, planned: f64, window: Option<(i64, i64)>, at: i64) -> f64 {
        planned * (GAIN * self.ahead(window, at)).clamp(-3.0, 3.0).exp()
    }

    /// By which share of the whole spend runs ahead of the window; below 0 where it lags.
    fn ahead(&self, window: Option<(i64, i64)>, at: i64) -> f64 {
        let Some((from, until)) = window.filter(|(from, until)| until > from) else { return 0.0 };
        let elapsed = ((at - from) as f64 / (until - from) as f64).clamp(0.0, 1.0);
        self.spent as f64 / (self.budget as f64).max(1.0) - elapsed
    }
}

/// Of a cost that is `worst` with probability expected/worst and else nothing.
fn variance(expected: f64, worst: f64) -> f64 {
    (expected * (worst - expected)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(budget: i64) -> Ledger {
        let mut ledger = Ledger::new(budget, 1_000);
        ledger.take(Grant { amount: budget, spent: 0 });
        ledger
    }

    #[test]
    fn what_may_be_redeemed_is_never_more_than_the_grant_bears() {
        let mut ledger = ledger(10_000);
        let mut made = 0;
        while ledger.affords(100.0, 500.0) == Afford::Yes {
            ledger.reserve("u", 1, 0, 100.0, 500.0);
            made += 1;
        }
        // 100n + 3·200·√n ≤ 10 000 to n = 55: 9 950, and 10 090 at 56.
        assert_eq!(made, 55);
        assert_eq!(ledger.affords(100.0, 500.0), Afford::NotGranted);
        ledger.come_to(2_000);
        assert_eq!((ledger.committed(), ledger.affords(100.0, 500.0)), (0.0, Afford::Yes));
        ledger.tell_spent(9_700);
        assert_eq!(ledger.affords(1.0, 500.0), Afford::Spent, "one redemption would break it");
    }

    /// Replicas that ask in turn, reserve all they are granted and see a part of it redeemed: what is spent stays within
    /// the budget at every step, and most of it gets used.
    #[test]
    fn replicas_share_a_budget_without_exceeding_it() {
        let budget = 100_000;
        let mut replicas: Vec<Ledger> = (0..3).map(|_| Ledger::new(budget, 50)).collect();
        let (mut spent, mut amounts) = (0, [0_i64; 3]);
        for at in 0..2_000_i64 {
            let turn = (at % 3) as usize;
            let replica = &mut replicas[turn];
            replica.come_to(at);
            let ask = replica.ask(at);
            let others: i64 = amounts.iter().sum::<i64>() - amounts[turn];
            amounts[turn] = granted(budget, spent, others, ask);
            replica.take(Grant { amount: amounts[turn], spent });
            for _ in 0..5 {
                if replica.affords(40.0, 400.0) == Afford::Yes {
                    replica.reserve("u", 1, at, 40.0, 400.0);
                    // One in ten is redeemed, and by then its cost is spent.
                    spent += if at % 2 == 0 { 80 } else { 0 };
                }
            }
            assert!(spent <= budget, "at {at}: {spent} is spent");
        }
        assert!(spent > 90_000, "{spent} of {budget} is used");
    }

    /// What is redeemed frees its reservation, not the money: one grant does not pay twice.
    #[test]
    fn a_grant_is_used_up_by_what_is_spent_of_it() {
        let mut ledger = Ledger::new(100_000, 1_000);
        ledger.take(Grant { amount: 5_000, spent: 20_000 });
        assert_eq!(ledger.affords(100.0, 500.0), Afford::Yes);
        ledger.reserve("u", 1, 0, 100.0, 500.0);
        ledger.tell_spent(24_900);
        ledger.come_to(2_000);
        assert_eq!((ledger.committed(), ledger.affords(100.0, 500.0)), (0.0, Afford::NotGranted));
        assert_eq!(ledger.ask(2_000).committed, 0);
        ledger.take(Grant { amount: 5_000, spent: 24_900 });
        assert_eq!(ledger.affords(100.0, 500.0), Afford::Yes);
    }

    #[test]
    fn money_is_dearer_ahead_of_time_and_cheaper_behind_it() {
        let mut ledger = ledger(1_000);
        ledger.tell_spent(500);
        let price = |at: i64| ledger.price(1.0, Some((0, 100)), at);
        assert!(price(10) > 2.0 && price(90) < 0.5 && (price(50) - 1.0).abs() < 1e-12);
        assert!((ledger.price(1.0, None, 10) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn offers_are_counted_a_day() {
        let mut ledger = ledger(1_000);
        ledger.come_to(5);
        ledger.reserve("u", 3, 5, 1.0, 2.0);
        ledger.reserve("u", 3, 6, 1.0, 2.0);
        let counts = |ledger: &Ledger| {
            (ledger.offered("u", 3, 7), ledger.offered("u", 4, 7), ledger.offered("u", 3, DAY))
        };
        assert_eq!(counts(&ledger), (2, 0, 0));
        ledger.come_to(DAY);
        assert_eq!(ledger.offered("u", 3, DAY), 0);
    }
}
