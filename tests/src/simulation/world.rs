//! Visits, what comes of them, and what would come of them on average.

use rand::rngs::StdRng;
use rand::seq::index;
use rand::{Rng as _, SeedableRng as _};

use super::Settings;
use super::offers::{DEALS, Deal, THRESHOLD};
use super::taste::Shopper;

/// Share of a basket that is left after its goods are paid.
const MARGIN: f64 = 0.4;
/// Of baskets a little too small for the threshold, the share that is filled up.
const FILLED_UP: f64 = 0.5;
/// How little too small.
const NEARLY: f64 = 0.8;
/// Levels a basket may take about its shopper's mean: equally likely, of mean 1.
const LEVELS: [f64; 8] = [0.55, 0.70, 0.82, 0.93, 1.03, 1.14, 1.29, 1.54];

/// What can be decided: nothing, or one of the offers.
pub type Arm = Option<usize>;
/// All of it.
pub const ARMS: [Arm; 6] = [None, Some(0), Some(1), Some(2), Some(3), Some(4)];

/// One visit, its chance drawn.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// Who comes.
    pub shopper: usize,
    /// On which day, from 0.
    pub day: u32,
    /// Buys where this lies below the probability.
    buys: f64,
    level: usize,
    fills_up: bool,
}

/// A sale, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// What is paid, the discount taken off.
    pub revenue: i64,
    /// What the goods cost the shop.
    pub cost: i64,
    /// What was taken off.
    pub discount: i64,
}

/// What a visit brings on average, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mean {
    /// Probability to buy.
    pub buys: f64,
    /// Profit.
    pub profit: f64,
    /// Discount given.
    pub discount: f64,
}

/// The shoppers and their month.
pub struct World {
    /// Everybody.
    pub shoppers: Vec<Shopper>,
    days: u32,
    visitors: usize,
    seed: u64,
}

impl World {
    /// The world of `settings`.
    pub fn new(settings: &Settings) -> Self {
        let mut random = StdRng::seed_from_u64(settings.seed);
        let shoppers = (0..settings.shoppers).map(|number| Shopper::draw(number, &mut random)).collect();
        let visitors = (settings.shoppers as f64 * settings.visit_rate).round() as usize;
        Self { shoppers, days: settings.days, visitors, seed: settings.seed }
    }

    /// The visits of a day, in the order they come.
    pub fn visits(&self, day: u32) -> Vec<Visit> {
        let mut random =
            StdRng::seed_from_u64(self.seed ^ (u64::from(day) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let coming = index::sample(&mut random, self.shoppers.len(), self.visitors);
        coming
            .into_iter()
            .map(|shopper| Visit {
                shopper,
                day,
                buys: random.random(),
                level: random.random_range(0..LEVELS.len()),
                fills_up: random.random_bool(FILLED_UP),
            })
            .collect()
    }

    /// What comes of `visit` where `arm` was decided.
    pub fn outcome(&self, visit: &Visit, arm: Arm) -> Option<Sale> {
        let shopper = &self.shoppers[visit.shopper];
        let deal = arm.map(|offer| DEALS[offer]);
        let buys = visit.buys < shopper.buys(deal, visit.day, self.at(visit.day));
        buys.then(|| sale(shopper.basket * LEVELS[visit.level], deal, visit.fills_up))
    }

    /// What `visit` brings on average where `arm` is decided: chance of buying, basket and filling up averaged out.
    pub fn mean(&self, visit: &Visit, arm: Arm) -> Mean {
        let shopper = &self.shoppers[visit.shopper];
        let deal = arm.map(|offer| DEALS[offer]);
        let buys = shopper.buys(deal, visit.day, self.at(visit.day));
        let mut mean = Mean { buys, ..Mean::default() };
        for level in LEVELS {
            for (fills_up, share) in [(true, FILLED_UP), (false, 1.0 - FILLED_UP)] {
                let sale = sale(shopper.basket * level, deal, fills_up);
                let weight = buys * share / LEVELS.len() as f64;
                mean.profit += weight * sale.profit() as f64;
                mean.discount += weight * sale.discount as f64;
            }
        }
        mean
    }

    fn at(&self, day: u32) -> f64 {
        f64::from(day) / f64::from(self.days.max(2) - 1)
    }
}

impl Sale {
    /// What is left for the shop.
    pub fn profit(&self) -> i64 {
        self.revenue - self.cost
    }
}

fn sale(basket: f64, deal: Option<Deal>, fills_up: bool) -> Sale {
    let mut basket = basket.round() as i64;
    if deal == Some(Deal::Threshold)
        && fills_up
        && basket < THRESHOLD.0
        && basket as f64 >= NEARLY * THRESHOLD.0 as f64
    {
        basket = THRESHOLD.0;
    }
    let discount = deal.map_or(0, |deal| deal.discount(basket));
    let cost = (basket as f64 * (1.0 - MARGIN)).round() as i64;
    Sale { revenue: basket - discount, cost, discount }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let settings = Settings {
            days_left: 0,
            without_features: false,
            holdout: 0.01,
            shoppers: 400,
            days: 30,
            explore_days: 1.0,
            replan_days: 1.0,
            exploration: 0.02,
            visit_rate: 1.0,
            budget_share: 1.0,
            seed: 3,
        };
        World::new(&settings)
    }

    #[test]
    fn what_comes_is_on_average_what_is_said_to_come() {
        let world = world();
        for arm in ARMS {
            let (mut came, mut said, mut variance) = (0.0, 0.0, 0.0);
            for day in 0..30 {
                for visit in world.visits(day) {
                    let mean = world.mean(&visit, arm);
                    let profit = world.outcome(&visit, arm).map_or(0.0, |sale| sale.profit() as f64);
                    came += profit;
                    said += mean.profit;
                    variance += (profit - mean.profit).powi(2);
                }
            }
            assert!((came - said).abs() < 4.0 * f64::sqrt(variance), "{arm:?}: {came} came, {said} said");
        }
    }

    #[test]
    fn a_threshold_costs_nothing_below_it_and_its_step_above() {
        let small = sale(5_000.0, Some(Deal::Threshold), true);
        assert_eq!((small.discount, small.revenue), (0, 5_000));
        let filled = sale(8_000.0, Some(Deal::Threshold), true);
        assert_eq!((filled.discount, filled.revenue, filled.cost), (1_200, 7_800, 5_400));
        assert_eq!(sale(8_000.0, Some(Deal::Threshold), false).discount, 0);
    }

    #[test]
    fn the_same_day_is_the_same_day() {
        let (once, again) = (world(), world());
        let draw = |world: &World| {
            world.visits(4).iter().map(|visit| (visit.shopper, visit.buys)).collect::<Vec<_>>()
        };
        assert_eq!(draw(&once), draw(&again));
    }
}
