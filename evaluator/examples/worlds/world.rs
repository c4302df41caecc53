//! What a simulated world is made of: people, their state, and how they respond.

use std::collections::BTreeMap;

use rand::rngs::StdRng;

use super::deals::{ARMS, Arm, Sale};

/// Points of a basket's distribution that its mean is taken over.
const QUANTILES: usize = 24;

/// What a shop has seen of a person.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct History {
    /// When they last bought, days; `None` where they never did.
    pub(crate) last_order: Option<f64>,
    /// Orders.
    pub(crate) orders: f64,
    /// Sum of their worth, minor units.
    pub(crate) worth: f64,
    /// Orders at a discount.
    pub(crate) discounted: f64,
    /// Visits, and those in the app.
    pub(crate) visits: (f64, f64),
    /// Day they became known.
    pub(crate) since: f64,
}

/// A person: what nobody sees, and what the shop has seen.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Hidden properties; each world gives them its own meaning.
    pub(crate) traits: [f64; 4],
    /// Usual basket, minor units.
    pub(crate) basket: f64,
    /// Probability of a visit on a day.
    pub(crate) visits: f64,
    /// Share of visits in the app.
    pub(crate) app: f64,
    /// What the shop has seen.
    pub(crate) history: History,
    /// What they still have at home, in usual baskets.
    pub(crate) stock: f64,
    /// Offers they have seen lately, fading.
    pub(crate) fatigue: f64,
    /// When stock and fatigue were last brought up to date, days.
    pub(crate) touched: f64,
}

/// A visit's moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    /// Days since the beginning.
    pub(crate) at: f64,
    /// Whether the visit is in the app.
    pub(crate) app: bool,
}

/// What a visit brings on average, minor units.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    /// Profit.
    pub(crate) profit: f64,
    /// Discount.
    pub(crate) discount: f64,
}

/// How people of a world respond.
pub(crate) trait World: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Whether all of an offer's effect shows at once and is tracked.
    fn is_kind(&self) -> bool;
    /// A person drawn by chance.
    fn person(&self, random: &mut StdRng) -> Person;
    /// Probability that a visit leads to a purchase.
    fn chance(&self, person: &Person, moment: &Moment, arm: Arm) -> f64;
    /// Quantile `u` of what a purchase is worth, before anything is filled up.
    fn basket(&self, person: &Person, u: f64) -> f64;
    /// Probability that a basket short of the threshold is filled up to it.
    fn fills_up(&self, basket: f64) -> f64;
    /// What the hidden properties of a person may be, each with its probability, as far as nothing that was logged tells
    /// them; empty where that is not worked out.
    fn hidden(&self, _at: f64) -> Vec<(f64, [Option<f64>; 4])> {
        Vec::new()
    }
    /// Days from a visit to its purchase; `u` is uniform.
    fn delay(&self, _arm: Arm, _u: f64) -> f64 {
        0.0
    }
    /// Share of purchases that do not name their decision.
    fn untracked(&self) -> f64 {
        0.0
    }
    /// Shares of stock and of fatigue that are left after a day.
    fn fading(&self) -> (f64, f64) {
        (0.0, 0.0)
    }
    /// What a purchase adds to the stock at home.
    fn stocks(&self, _person: &Person, _sale: Sale) -> f64 {
        0.0
    }
    /// Scales tried by the oracle for what stock and fatigue cost later.
    fn later_scales(&self) -> (&'static [f64], &'static [f64]) {
        (&[0.0], &[0.0])
    }
}

/// What a decision brings on average, and what it adds to the stock at home.
pub(crate) fn mean(world: &dyn World, person: &Person, moment: &Moment, arm: Arm) -> (Mean, f64) {
    let buys = world.chance(person, moment, arm);
    let (mut mean, mut stock) = (Mean::default(), 0.0);
    for at in 0..QUANTILES {
        let basket = world.basket(person, (at as f64 + 0.5) / QUANTILES as f64);
        let fills = world.fills_up(basket);
        for (fills_up, share) in [(true, fills), (false, 1.0 - fills)] {
            if share > 0.0 {
                let sale = Sale::new(basket, arm, fills_up);
                let weight = buys * share / QUANTILES as f64;
                mean.profit += weight * sale.profit();
                mean.discount += weight * sale.discount;
                stock += weight * world.stocks(person, sale);
            }
        }
    }
    (mean, stock)
}

/// The same of every arm.
pub(crate) fn means(world: &dyn World, person: &Person, moment: &Moment) -> Vec<(Mean, f64)> {
    ARMS.iter().map(|&arm| mean(world, person, moment, arm)).collect()
}

impl Person {
    /// Lets stock and fatigue fade until `at`.
    pub(crate) fn come_to(&mut self, world: &dyn World, at: f64) {
        let (stock, fatigue) = world.fading();
        let days = (at - self.touched).max(0.0);
        self.stock *= stock.powf(days);
        self.fatigue *= fatigue.powf(days);
        self.touched = self.touched.max(at);
    }

    /// What the shop knows of the person at `at`: from what it has seen, not from what they are.
    pub(crate) fn features(&self, at: f64) -> BTreeMap<String, f64> {
        let History { last_order, orders, worth, discounted, visits, since } = self.history;
        let mut found = BTreeMap::from([
            ("orders".to_owned(), orders),
            ("tenure_days".to_owned(), at - since),
            ("app_share".to_owned(), visits.1 / visits.0.max(1.0)),
        ]);
        if let Some(last) = last_order {
            found.insert("recency_days".into(), (at - last).max(0.0));
            found.insert("mean_basket".into(), worth / orders);
            found.insert("discount_share".into(), discounted / orders);
        }
        found
    }
}
