//! Policies that learn nothing: no offers, offers by chance, one offer for everybody, and the oracle.

use super::deals::{ARMS, Arm};
use super::shop::{Book, Choice, Policy, Shop, Visit};
use super::world::{Mean, means};

/// Offers with a probability, otherwise none; one of them or any.
pub(crate) struct ByChance {
    /// Probability of an offer.
    pub(crate) share: f64,
    /// The offer; `None`: any.
    pub(crate) only: Arm,
}

impl ByChance {
    /// No offers.
    pub(crate) fn nothing() -> Self {
        Self { share: 0.0, only: None }
    }

    /// Every arm alike, no offer among them.
    pub(crate) fn uniform() -> Self {
        Self { share: (ARMS.len() - 1) as f64 / ARMS.len() as f64, only: None }
    }
}

impl Policy for ByChance {
    fn decide(&mut self, visit: &Visit<'_>) -> Choice {
        let offers = ARMS.len() - 1;
        if visit.luck[0] >= self.share {
            return Choice { arm: None, propensity: 1.0 - self.share };
        }
        if let Some(only) = self.only {
            return Choice { arm: Some(only), propensity: self.share };
        }
        let arm = Some((visit.luck[1] * offers as f64) as usize);
        Choice { arm, propensity: self.share / offers as f64 }
    }
}

/// Knows every response, and prices what an offer takes from later visits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oracle {
    /// Price of a minor unit of discount.
    pub(crate) price: f64,
    /// Price of stock at home and of an offer seen, as multiples of what later visits bring.
    pub(crate) later: (f64, f64),
    /// Whether it does not know what nobody logs, and goes by the mean over it.
    pub(crate) blind: bool,
}

/// Days over which stock and fatigue are felt.
const FELT_DAYS: f64 = 4.0;

impl Policy for Oracle {
    fn decide(&mut self, visit: &Visit<'_>) -> Choice {
        let means = if self.blind { seen(visit) } else { means(visit.world, visit.person, &visit.moment) };
        let later = FELT_DAYS * visit.person.visits * means[0].0.profit;
        let value = |arm: usize| {
            let (mean, stock) = means[arm];
            let harm = self.later.0 * (stock - means[0].1) + self.later.1 * f64::from(u8::from(arm > 0));
            mean.profit - self.price * mean.discount - later * harm
        };
        let best = (1..ARMS.len()).fold(0, |best, arm| if value(arm) > value(best) { arm } else { best });
        Choice { arm: ARMS[best], propensity: 1.0 }
    }
}

/// What every arm brings on average over all that nobody logs of the person.
fn seen(visit: &Visit<'_>) -> Vec<(Mean, f64)> {
    let mut found = vec![(Mean::default(), 0.0); ARMS.len()];
    for (share, traits) in visit.world.hidden(visit.moment.at) {
        let mut person = visit.person.clone();
        for (own, other) in person.traits.iter_mut().zip(traits) {
            *own = other.unwrap_or(*own);
        }
        for (sum, (mean, stock)) in found.iter_mut().zip(means(visit.world, &person, &visit.moment)) {
            sum.0.profit += share * mean.profit;
            sum.0.discount += share * mean.discount;
            sum.1 += share * stock;
        }
    }
    found
}

/// Halvings of a price or a share.
const HALVINGS: usize = 9;
/// Largest price tried.
const DEAREST: f64 = 8.0;

/// What the days after `shop` are decided in.
pub(crate) struct Season<'a> {
    /// The shop on the first morning.
    pub(crate) shop: &'a Shop<'a>,
    /// Days a policy decides.
    pub(crate) days: std::ops::Range<u32>,
    /// Days after them, without offers: what was taken from later counts.
    pub(crate) after: u32,
}

impl Season<'_> {
    /// What a policy brings, the days after it included.
    pub(crate) fn book(&self, policy: &mut dyn Policy) -> Book {
        let mut shop = self.shop.clone();
        let mut book = shop.play(self.days.clone(), policy, None);
        let after = shop.play(self.days.end..self.days.end + self.after, policy_after(policy).as_mut(), None);
        book.profit += after.profit;
        book.booked += after.booked;
        book
    }

    /// The oracle's best, its prices of later visits chosen by trying, for a budget that is `share` of what the best
    /// would spend without one; the budget, and its prices.
    pub(crate) fn oracle(&self, share: f64) -> (Book, f64, Oracle) {
        let (stocks, fatigues) = self.shop.world().later_scales();
        let grid = || stocks.iter().flat_map(|a| fatigues.iter().map(move |b| (*a, *b)));
        let free = |later| (self.book(&mut Oracle { price: 0.0, later, blind: false }), later);
        let best = |a: (Book, _), b: (Book, _)| if b.0.profit > a.0.profit { b } else { a };
        let unbound = grid().map(free).reduce(best).unwrap_or_default().0;
        let budget = share * unbound.discount;
        let all = grid().map(|later| self.within(budget, later, false));
        let most = |a: (Book, Oracle), b: (Book, Oracle)| if b.0.profit > a.0.profit { b } else { a };
        let (book, oracle) = all.reduce(most).unwrap_or_else(|| self.within(budget, (0.0, 0.0), false));
        (book, budget, oracle)
    }

    /// The oracle that prices later visits so, at the lowest price of discounts that keeps to the budget.
    pub(crate) fn within(&self, budget: f64, later: (f64, f64), blind: bool) -> (Book, Oracle) {
        let (mut low, mut high) = (0.0, DEAREST);
        let mut found = (Book::default(), Oracle { price: high, later, blind });
        for _ in 0..HALVINGS {
            let price = f64::midpoint(low, high);
            let oracle = Oracle { price, later, blind };
            let book = self.book(&mut { oracle });
            if book.discount > budget {
                low = price;
            } else {
                (high, found) = (price, (book, oracle));
            }
        }
        found
    }

    /// The best single offer, known afterwards: for everybody, or for as many as the budget bears.
    pub(crate) fn best_single(&self, budget: f64) -> (Arm, Book) {
        let of = |arm: Arm| {
            let (mut low, mut high) = (0.0, 1.0);
            let all = self.book(&mut ByChance { share: 1.0, only: arm });
            if all.discount <= budget {
                return (arm, all);
            }
            let mut found = Book::default();
            for _ in 0..HALVINGS {
                let share = f64::midpoint(low, high);
                let book = self.book(&mut ByChance { share, only: arm });
                if book.discount > budget { high = share } else { (low, found) = (share, book) }
            }
            (arm, found)
        };
        let best = |a: (Arm, Book), b: (Arm, Book)| if b.1.profit > a.1.profit { b } else { a };
        ARMS[1..].iter().map(|&arm| of(arm)).reduce(best).unwrap_or_default()
    }
}

/// Nobody decides after the last day; what was bought late is still booked with who decided.
fn policy_after(policy: &mut dyn Policy) -> Box<dyn Policy + '_> {
    Box::new(Over(policy))
}

struct Over<'a>(&'a mut dyn Policy);

impl Policy for Over<'_> {
    fn decide(&mut self, _: &Visit<'_>) -> Choice {
        Choice { arm: None, propensity: 1.0 }
    }

    fn booked(&mut self, discount: f64, at: f64) {
        self.0.booked(discount, at);
    }
}
