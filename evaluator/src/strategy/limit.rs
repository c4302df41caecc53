//! What a plan may not exceed beside its budget: redemptions of an offer, offers in a channel.

use proto::common::v1::Channel;
use serde::{Deserialize, Serialize};

use super::ledger::{Afford, Grant, Ledger};
use super::plan::Plan;
use crate::effect::Prediction;

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

/// One replica's books of one plan: money, and a ledger for each limit.
#[derive(Debug, Clone)]
pub struct Books {
    /// The budget's.
    pub money: Ledger,
    /// The limits', in the plan's order.
    pub limits: Vec<Ledger>,
}

impl Books {
    /// Of `plan`. Nothing is granted yet.
    pub fn new(plan: &Plan) -> Self {
        let of_limit =
            |limit: &Limit| Ledger::new(i64::try_from(limit.most).unwrap_or(i64::MAX), plan.redemption);
        Self {
            money: Ledger::new(plan.budget, plan.redemption),
            limits: plan.limits.iter().map(of_limit).collect(),
        }
    }

    /// All ledgers with their accounts and bounds, the budget's first.
    pub fn accounts<'a>(
        &'a mut self,
        plan: &'a Plan,
    ) -> impl Iterator<Item = (String, i64, &'a mut Ledger)> + 'a {
        let limits = self.limits.iter_mut().zip(&plan.limits).enumerate();
        let limits = limits.map(|(at, (ledger, limit))| {
            (account(&plan.id, at), i64::try_from(limit.most).unwrap_or(i64::MAX), ledger)
        });
        std::iter::once((plan.id.clone(), plan.budget, &mut self.money)).chain(limits)
    }

    /// What all is worth at a moment of the plan's window.
    pub fn prices(&self, plan: &Plan, at: i64) -> Prices {
        let limits = self.limits.iter().zip(&plan.limits);
        Prices {
            money: self.money.price(plan.shadow_price, plan.window, at),
            limits: limits.map(|(ledger, limit)| ledger.paced(limit.price, plan.window, at)).collect(),
        }
    }

    /// Comes to `at` in all.
    pub fn come_to(&mut self, at: i64) {
        self.money.come_to(at);
        self.limits.iter_mut().for_each(|ledger| ledger.come_to(at));
    }

    /// Whether all bear an offer that costs `worst` if redeemed and `expected` on average, and `uses` of the limits.
    /// [`Afford::NotGranted`] only where asking for larger grants may help: no ledger that is short has had all there is.
    pub fn afford(&mut self, expected: f64, worst: f64, uses: &[Option<(f64, f64)>]) -> Afford {
        let taken = uses.iter().zip(&mut self.limits);
        let taken = taken.filter_map(|(taken, ledger)| taken.map(|taken| (ledger, taken)));
        std::iter::once((&mut self.money, (expected, worst)))
            .chain(taken)
            .map(|(ledger, (expected, worst))| match ledger.affords(expected, worst) {
                Afford::NotGranted if !ledger.may_get_more() => Afford::Spent,
                answer => answer,
            })
            .fold(Afford::Yes, Afford::max)
    }

    /// Takes the grants of [`Self::accounts`], in their order.
    pub fn take(&mut self, grants: Vec<Grant>) {
        let ledgers = std::iter::once(&mut self.money).chain(&mut self.limits);
        ledgers.zip(grants).for_each(|(ledger, grant)| ledger.take(grant));
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
        let mut books = Books { money: Ledger::new(100, 1_000), limits: vec![Ledger::new(5, 1_000)] };
        let stock = [Some((1.0, 1.0))];
        assert_eq!(books.afford(10.0, 20.0, &stock), Afford::NotGranted, "nothing is granted yet");
        books.take(vec![Grant { amount: 0, spent: 90 }, Grant { amount: 5, spent: 0 }]);
        assert_eq!(books.afford(5.0, 10.0, &stock), Afford::Spent, "all money is with others");
        books.take(vec![Grant { amount: 100, spent: 0 }, Grant { amount: 0, spent: 0 }]);
        assert_eq!(books.afford(5.0, 10.0, &[None]), Afford::Yes);
        books.limits[0] = Ledger::new(5, 1_000);
        assert_eq!(books.afford(5.0, 10.0, &stock), Afford::NotGranted, "of the offer there may be more");
    }
}
