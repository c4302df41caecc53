//! The best that could be made of the month, and what simpler rules make of it.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Settings;
use super::book::Book;
use super::world::{ARMS, Arm, Mean, Visit, World};

/// Halvings of the price of budget: enough for a price exact to the last digits of what it decides.
const HALVINGS: usize = 60;

/// Every visit of the month with what each arm brings on average.
pub struct Month<'a> {
    world: &'a World,
    visits: Vec<(Visit, [Mean; ARMS.len()])>,
}

/// What the best policy under a budget brings.
#[derive(Debug, Clone, Copy)]
pub struct Best {
    /// What it decides, entered.
    pub book: Book,
    /// Profit no policy can exceed on average: the dual bound.
    pub bound: f64,
    /// Profit one more unit of budget would bring.
    pub shadow_price: f64,
}

impl<'a> Month<'a> {
    /// The month of `world`.
    pub fn of(world: &'a World, days: u32) -> Self {
        let visits = (0..days).flat_map(|day| world.visits(day));
        let visits = visits.map(|visit| (visit, ARMS.map(|arm| world.mean(&visit, arm)))).collect();
        Self { world, visits }
    }

    /// What the best policy would spend had it no budget.
    pub fn wanted(&self) -> f64 {
        self.spent(0.0)
    }

    /// The best policy under `budget`: for every visit the arm of the largest profit less price × discount, the price
    /// being the lowest that keeps to the budget. What it leaves unspent is less than one visit's discount.
    pub fn best(&self, budget: f64) -> Best {
        let (mut low, mut high) = (0.0, 100.0);
        if self.spent(low) <= budget {
            high = low;
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.spent(middle) > budget { low = middle } else { high = middle }
        }
        let mut book = Book::default();
        let mut bound = high * budget;
        for (visit, means) in &self.visits {
            let arm = choose(means, high);
            bound += means[arm].profit - high * means[arm].discount;
            book.enter(self.world, visit, ARMS[arm]);
        }
        Best { book, bound, shadow_price: high }
    }

    /// What each day brings the best policy, discounts paid at `price`.
    pub fn best_by_day(&self, price: f64) -> Vec<f64> {
        let mut days: Vec<f64> = Vec::new();
        for (visit, means) in &self.visits {
            days.resize(days.len().max(visit.day as usize + 1), 0.0);
            let best = means[choose(means, price)];
            days[visit.day as usize] += best.profit - price * best.discount;
        }
        days
    }

    /// What `arm` for everybody brings, until the budget is spent.
    pub fn everybody(&self, arm: Arm, budget: f64) -> Book {
        self.until_spent(budget, |_| arm)
    }

    /// The single offer that brings most when everybody gets it, until the budget is spent.
    pub fn best_single(&self, budget: f64) -> (Arm, Book) {
        let offers = ARMS.iter().skip(1).map(|&arm| (arm, self.everybody(arm, budget)));
        offers
            .max_by(|(_, a), (_, b)| a.expected_profit.total_cmp(&b.expected_profit))
            .unwrap_or_else(|| (None, self.everybody(None, budget)))
    }

    /// What offers by chance bring, until the budget is spent.
    pub fn by_chance(&self, settings: &Settings, budget: f64) -> Book {
        let mut random = StdRng::seed_from_u64(settings.seed);
        self.until_spent(budget, move |_| ARMS[random.random_range(0..ARMS.len())])
    }

    fn until_spent(&self, budget: f64, mut decide: impl FnMut(&Visit) -> Arm) -> Book {
        let mut book = Book::default();
        for (visit, _) in &self.visits {
            let arm = decide(visit).filter(|_| (book.discount as f64) < budget);
            book.enter(self.world, visit, arm);
        }
        book
    }

    fn spent(&self, price: f64) -> f64 {
        self.visits.iter().map(|(_, means)| means[choose(means, price)].discount).sum()
    }
}

/// Place in [`ARMS`] of the best arm at a price of budget; no offer where nothing is better.
fn choose(means: &[Mean; ARMS.len()], price: f64) -> usize {
    let worth = |arm: usize| means[arm].profit - price * means[arm].discount;
    (1..ARMS.len()).fold(0, |best, arm| if worth(arm) > worth(best) { arm } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            days_left: 0,
            without_features: false,
            holdout: 0.01,
            shoppers: 500,
            days: 7,
            explore_days: 1.0,
            replan_days: 1.0,
            exploration: 0.02,
            visit_rate: 0.5,
            budget_share: 0.6,
            seed: 5,
        }
    }

    #[test]
    fn no_policy_beats_the_best_and_the_best_keeps_to_its_budget() {
        let settings = settings();
        let world = World::new(&settings);
        let month = Month::of(&world, settings.days);
        let nothing = month.everybody(None, 0.0);
        let free = month.best(f64::INFINITY.min(1e12));
        for share in [0.1, 0.5, 0.9] {
            let budget = share * month.wanted();
            let best = month.best(budget);
            assert!(best.book.expected_discount <= budget + 1e-6);
            assert!(best.book.expected_profit <= best.bound + 1e-6);
            let by_day: f64 = month.best_by_day(best.shadow_price).iter().sum();
            assert!((by_day + best.shadow_price * budget - best.bound).abs() < 1e-6 * best.bound);
            assert!(best.bound - best.book.expected_profit < 1e-3 * (best.bound - nothing.expected_profit));
            assert!(best.book.expected_profit <= free.book.expected_profit + 1e-6);
            for other in [month.best_single(budget).1, month.by_chance(&settings, budget), nothing] {
                assert!(other.expected_profit < best.book.expected_profit, "{other:?} {best:?}");
            }
        }
    }
}
