//! What a plan may not exceed beside its budget: redemptions of an offer, offers in a channel.

use std::collections::{HashMap, HashSet};

use proto::common::v1::Channel;
use serde::{Deserialize, Serialize};

use super::ledger::{Afford, Ask, Grant, Ledger, Reserve};
use super::offered::Offered;
use super::plan::Plan;
use crate::effect::Prediction;

/// How long an offer is set aside for whose decision is not recorded, microseconds.
pub const PENDING: i64 = 3_600_000_000;
/// How long the grant of a replica that offers nothing lasts, microseconds.
const IDLE: i64 = 60_000_000;
/// How much earlier a replica gives a grant up than others take it, microseconds: clocks differ.
const CLOCKS: i64 = 10_000_000;

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Of what.
    pub of: Of,
    /// How many at most.
    pub most: u64,
    /// Value of one more, in the plan's objective.
    pub price: f64,
}

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Of {
    /// Redemptions of the offer of this id.
    Offer(String),
    /// Offers made in this channel.
    Channel(i32),
}

impl Limit {
    /// How many at most, as the books count.
    fn bound(&self) -> i64 {
        i64::try_from(self.most).unwrap_or(i64::MAX)
    }

    /// What one decision for `offer` in `channel` takes of it on average, and at most.
    pub fn use_of(&self, offer: &str, channel: Channel, redeemed: f64) -> Option<(f64, f64)> {
        match &self.of {
            Of::Offer(id) if id == offer => Some((redeemed.clamp(0.0, 1.0), 1.0)),
            Of::Channel(number) if *number == i32::from(channel) => Some((1.0, 1.0)),
            Of::Offer(_) | Of::Channel(_) => None,
        }
    }
}

/// Probability with which an offer is redeemed at most: that of a purchase.
pub fn redeemed(base: f64, prediction: &Prediction) -> f64 {
    (base + prediction.uplift.mean).clamp(0.0, 1.0)
}

/// The name under which what a plan's limit has used is kept beside the plan's own spend.
pub fn account(plan_id: &str, limit: usize) -> String {
    format!("{plan_id}#{limit}")
}

/// What a minor unit of money and one more of each limit are worth, in the plan's objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// Of money.
    pub money: f64,
    /// Of the limits, in the plan's order.
    pub limits: Vec<f64>,
}

/// What is counted on an account beside the bookings: what outstanding offers may still take of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// Discounts of all plans of the account.
    Money,
    /// Redemptions of this offer, of the plan alone.
    Redemptions(String),
    /// Offers, which are counted when they are recorded.
    Offers,
}

/// One replica's books of one plan: money, and a ledger for each limit.
#[derive(Debug, Clone)]
pub struct Books {
    /// The budget's.
    pub money: Ledger,
    /// The limits', in the plan's order.
    pub limits: Vec<Ledger>,
    /// Offers made today.
    pub offered: Offered,
    /// Offers made whose decisions were not seen recorded yet, by the decision's id: when, and what is set aside in each
    /// ledger, the money's first.
    pending: HashMap<String, (i64, Vec<Reserve>)>,
}

/// An account of a plan: its id, its bound, what is counted on it, and the replica's ledger.
pub type Account<'a> = (String, i64, Counts, &'a mut Ledger);

impl Books {
    /// Of `plan`. Nothing is granted yet.
    pub fn new(plan: &Plan) -> Self {
        Self {
            money: Ledger::new(plan.budget),
            limits: plan.limits.iter().map(|limit| Ledger::new(limit.bound())).collect(),
            offered: Offered::default(),
            pending: HashMap::new(),
        }
    }

    /// Of `plan`, which goes on with the budget account of these books: what is set aside of its money stays so.
    #[must_use]
    pub fn go_on(self, plan: &Plan) -> Self {
        let mut books = Self::new(plan);
        books.money = self.money.with_budget(plan.budget);
        books.offered = self.offered;
        let of_money = |mut reserves: Vec<Reserve>| {
            reserves.resize(1, Reserve::default());
            reserves.resize(1 + plan.limits.len(), Reserve::default());
            reserves
        };
        books.pending =
            self.pending.into_iter().map(|(id, (at, reserves))| (id, (at, of_money(reserves)))).collect();
        books
    }

    /// All ledgers with their accounts, the budget's first.
    pub fn accounts<'a>(&'a mut self, plan: &'a Plan) -> impl Iterator<Item = Account<'a>> + 'a {
        let limits = self.limits.iter_mut().zip(&plan.limits).enumerate();
        let limits = limits.map(|(at, (ledger, limit))| {
            let counts = match &limit.of {
                Of::Offer(id) => Counts::Redemptions(id.clone()),
                Of::Channel(_) => Counts::Offers,
            };
            (account(&plan.id, at), limit.bound(), counts, ledger)
        });
        std::iter::once((plan.account().to_owned(), plan.budget, Counts::Money, &mut self.money))
            .chain(limits)
    }

    /// What all is worth at a moment of the plan's window.
    pub fn prices(&self, plan: &Plan, at: i64) -> Prices {
        let limits = self.limits.iter().zip(&plan.limits);
        Prices {
            money: self.money.price(plan.shadow_price, plan.already, plan.window, at),
            limits: limits.map(|(ledger, limit)| ledger.paced(limit.price, 0, plan.window, at)).collect(),
        }
    }

    /// Whether all bear an offer that costs `worst` if redeemed and `expected` on average, and `uses` of the limits, at a
    /// moment of the server's clock. [`Afford::NotGranted`] only where asking for larger grants may help: no ledger that is
    /// short has had all there is.
    pub fn afford(&mut self, expected: f64, worst: f64, uses: &[Option<(f64, f64)>], now: i64) -> Afford {
        let taken = uses.iter().zip(&mut self.limits);
        let taken = taken.filter_map(|(taken, ledger)| taken.map(|taken| (ledger, taken)));
        std::iter::once((&mut self.money, (expected, worst)))
            .chain(taken)
            .map(|(ledger, (expected, worst))| match ledger.affords(expected, worst, now) {
                Afford::NotGranted if !ledger.may_get_more() => Afford::Spent,
                answer => answer,
            })
            .fold(Afford::Yes, Afford::max)
    }

    /// Sets aside what the offer of the decision `id` may cost, and what it may use of the limits.
    pub fn reserve(&mut self, id: &str, money: Reserve, uses: &[Option<(f64, f64)>], now: i64) {
        // The same decision asked for again sets nothing more aside.
        if self.pending.contains_key(id) {
            return;
        }
        let mut all = vec![money];
        all.extend(
            uses.iter().map(|taken| {
                taken.map_or(Reserve::default(), |(expected, worst)| Reserve::of(expected, worst))
            }),
        );
        for (ledger, reserve) in std::iter::once(&mut self.money).chain(&mut self.limits).zip(&all) {
            ledger.reserve(*reserve);
        }
        self.pending.insert(id.to_owned(), (now, all));
    }

    /// Ids of the decisions that were not seen recorded yet.
    pub fn pending(&self) -> Vec<String> {
        self.pending.keys().cloned().collect()
    }

    /// Asks for grants of [`Self::accounts`], in their order, after releasing what was set aside for decisions that are
    /// `recorded` or were made more than [`PENDING`] ago.
    pub fn ask(&mut self, recorded: &HashSet<String>, now: i64) -> Vec<Ask> {
        let mut released = vec![Reserve::default(); 1 + self.limits.len()];
        self.pending.retain(|id, (at, reserves)| {
            let kept = !recorded.contains(id) && at.saturating_add(PENDING) > now;
            if !kept {
                released.iter_mut().zip(&*reserves).for_each(|(sum, one)| sum.add(*one));
            }
            kept
        });
        let last = self.pending.values().map(|(at, _)| *at).max();
        let until = last.map_or(now, |last| last.saturating_add(PENDING)).max(now.saturating_add(IDLE));
        let ledgers = std::iter::once(&mut self.money).chain(&mut self.limits);
        ledgers.zip(released).map(|(ledger, released)| ledger.ask(released, now, until)).collect()
    }

    /// Takes the grants asked for, in the order of [`Self::accounts`].
    pub fn take(&mut self, grants: Vec<(Grant, i64)>) {
        let ledgers = std::iter::once(&mut self.money).chain(&mut self.limits);
        ledgers.zip(grants).for_each(|(ledger, (grant, until))| ledger.take(grant, until - CLOCKS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_what_it_is_of() {
        let of = |of: Of| Limit { of, most: 5, price: 0.0 };
        let (stock, push) = (of(Of::Offer("ten".into())), of(Of::Channel(Channel::Push.into())));
        assert_eq!(stock.use_of("ten", Channel::App, 0.3), Some((0.3, 1.0)));
        assert_eq!(stock.use_of("five", Channel::App, 0.3), None);
        assert_eq!(push.use_of("ten", Channel::Push, 0.3), Some((1.0, 1.0)));
        assert_eq!(push.use_of("ten", Channel::App, 0.3), None);
    }

    /// A database asked at every decision for what it does not have would be asked in vain.
    #[test]
    fn more_is_asked_for_only_where_the_ledger_that_is_short_may_get_some() {
        let mut books = Books {
            money: Ledger::new(100),
            limits: vec![Ledger::new(5)],
            offered: Offered::default(),
            pending: HashMap::new(),
        };
        let stock = [Some((1.0, 1.0))];
        let grant = |amount, spent| (Grant { amount, spent, owed: 0 }, i64::MAX);
        assert_eq!(books.afford(10.0, 20.0, &stock, 0), Afford::NotGranted, "nothing is granted yet");
        books.take(vec![grant(0, 90), grant(5, 0)]);
        assert_eq!(books.afford(5.0, 10.0, &stock, 0), Afford::Spent, "all money is with others");
        books.take(vec![grant(100, 0), grant(0, 0)]);
        assert_eq!(books.afford(5.0, 10.0, &[None], 0), Afford::Yes);
        books.limits[0] = Ledger::new(5);
        assert_eq!(books.afford(5.0, 10.0, &stock, 0), Afford::NotGranted, "of the offer there may be more");
    }

    /// What is set aside goes by the decision's id: released when that is seen recorded, or after an hour.
    #[test]
    fn a_recorded_decision_is_no_longer_set_aside() {
        let mut books = Books {
            money: Ledger::new(1_000),
            limits: vec![],
            offered: Offered::default(),
            pending: HashMap::new(),
        };
        books.take(vec![(Grant { amount: 1_000, spent: 0, owed: 0 }, i64::MAX)]);
        books.reserve("a", Reserve::of(300.0, 300.0), &[], 0);
        books.reserve("a", Reserve::of(300.0, 300.0), &[], 0);
        books.reserve("b", Reserve::of(200.0, 200.0), &[], 0);
        assert_eq!(books.ask(&HashSet::new(), 1)[0].committed, 520, "500 and a fiftieth of the budget");
        assert_eq!(books.ask(&HashSet::from(["a".to_owned()]), 1)[0].committed, 220);
        assert_eq!(books.pending(), ["b"]);
        let late = books.ask(&HashSet::new(), PENDING + 1)[0];
        assert!(late.committed <= 20 && books.pending().is_empty(), "{late:?}");
    }
}
