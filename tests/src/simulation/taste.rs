//! Shoppers: what a shop knows of them, and what it does not.

use std::collections::BTreeMap;

use rand::Rng;
use rand_distr::{Beta, Distribution as _, LogNormal, Normal};

use super::offers::{Deal, THRESHOLD};

/// How much more discounts are loved at the end of the month than at its beginning.
const DISCOUNTS_RISE: f64 = 0.3;
/// How far demand falls, on the logit, from the first day to the last.
const DEMAND_FALLS: f64 = 0.2;
/// How far a week's best day lies above its mean, on the logit.
const WEEKLY: f64 = 0.25;

/// One shopper.
#[derive(Debug, Clone)]
pub struct Shopper {
    /// The shop's own id.
    pub id: String,
    /// Days since the last order.
    pub recency_days: f64,
    /// Orders so far.
    pub orders: f64,
    /// Their mean, minor units.
    pub basket: f64,
    /// Share of them bought at a discount.
    pub discount_share: f64,
    /// Share of visits in the app.
    pub app_share: f64,
    /// Months as a customer; says nothing of anything.
    pub months: f64,
    /// What nobody sees: how much more this one buys, on the logit.
    hidden: f64,
}

impl Shopper {
    /// A shopper drawn by chance.
    ///
    /// # Panics
    /// Never: the distributions' parameters are sound constants.
    #[expect(clippy::expect_used, reason = "the distributions' parameters are sound constants")]
    pub fn draw(number: usize, random: &mut impl Rng) -> Self {
        let sound = "sound parameters";
        let mut about =
            |mean: f64, spread: f64| -> f64 { LogNormal::new(mean, spread).expect(sound).sample(random) };
        let (recency_days, orders, basket) =
            (about(3.0, 0.8).min(365.0).round(), about(1.5, 0.8).ceil(), about(8.7, 0.45).round());
        Self {
            id: format!("shopper-{number:06}"),
            recency_days,
            orders,
            basket,
            discount_share: Beta::new(1.2, 1.8).expect(sound).sample(random),
            app_share: random.random(),
            months: random.random_range(1..=60_i32).into(),
            hidden: Normal::new(0.0, 0.25).expect(sound).sample(random),
        }
    }

    /// What the shop tells the product.
    pub fn features(&self) -> BTreeMap<String, f64> {
        [
            ("recency_days", self.recency_days),
            ("orders", self.orders),
            ("basket", self.basket),
            ("discount_share", self.discount_share),
            ("app_share", self.app_share),
            ("months", self.months),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Probability to buy on a visit, `at` the share of the month that is over on its day.
    pub fn buys(&self, deal: Option<Deal>, day: u32, at: f64) -> f64 {
        let season = WEEKLY * (f64::from(day) * std::f64::consts::TAU / 7.0).sin() - DEMAND_FALLS * at;
        let base = -2.1 - 0.008 * self.recency_days
            + 0.3 * self.orders.ln()
            + 0.3 * self.app_share
            + self.hidden
            + season;
        let lift = deal.map_or(0.0, |deal| self.lift(deal) * (1.0 + DISCOUNTS_RISE * at));
        1.0 / (1.0 + (-(base + lift)).exp())
    }

    /// How far a deal moves the logit. Hunters of discounts are moved a long way by deep ones; who never buys at a
    /// discount is put off a little.
    fn lift(&self, deal: Deal) -> f64 {
        let hunger = -0.15 + 2.2 * self.discount_share.powf(1.5);
        match deal {
            Deal::Percent(share) => hunger * (1.0 - (-share / 0.1).exp()),
            Deal::Shipping => {
                let small = (1.0 - self.basket / 9_000.0).max(0.0);
                small * (0.4 + 0.8 * self.app_share)
            }
            Deal::Threshold => {
                let reach = 1.0 / (1.0 + (-(self.basket - 0.9 * THRESHOLD.0 as f64) / 1_200.0).exp());
                1.1 * self.discount_share * reach
            }
        }
    }
}
