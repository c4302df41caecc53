//! People respond by rules that act together, some of them on properties nobody logs: a tree, not a line.

use rand::Rng as _;
use rand::rngs::StdRng;

use super::deals::{Arm, DEALS, Deal, THRESHOLD};
use super::world::{History, Moment, Person, World};

/// The world; hidden properties of a person: household, day of pay, share of small baskets.
pub(crate) struct Rules;

impl World for Rules {
    fn name(&self) -> &'static str {
        "rules"
    }

    fn is_kind(&self) -> bool {
        true
    }

    fn person(&self, random: &mut StdRng) -> Person {
        let household = f64::from(random.random_range(0..3_u32));
        let basket = [3_500.0, 5_500.0, 8_000.0, 12_000.0][random.random_range(0..4)];
        Person {
            traits: [
                household,
                f64::from(random.random_range(0..28_u32)),
                random.random_range(0.2..0.8),
                0.0,
            ],
            basket: basket * random.random_range(0.8..1.25),
            visits: random.random_range(0.05..0.45),
            app: if random.random_bool(0.4) { 0.9 } else { 0.15 },
            history: History { since: -f64::from(random.random_range(70..900_u32)), ..History::default() },
            stock: 0.0,
            fatigue: 0.0,
            touched: 0.0,
        }
    }

    fn chance(&self, person: &Person, moment: &Moment, arm: Arm) -> f64 {
        let History { last_order, orders, worth, discounted, .. } = person.history;
        let recency = last_order.map_or(99.0, |last| moment.at - last);
        let (usual, hunts) = (worth / orders.max(1.0), discounted / orders.max(1.0));
        let mut chance: f64 = if recency <= 7.0 {
            if orders >= 6.0 { 0.17 } else { 0.11 }
        } else if recency <= 30.0 {
            if moment.app { 0.10 } else { 0.06 }
        } else {
            0.04
        };
        chance *= if (moment.at.rem_euclid(7.0) as u32) >= 5 { 1.3 } else { 0.9 };
        chance *= [0.8, 1.25, 0.95][person.traits[0] as usize];
        chance *= if (moment.at + person.traits[1]).rem_euclid(28.0) < 5.0 { 1.5 } else { 1.0 };
        let lapsed = recency > 14.0;
        let lift = match arm.map(|offer| DEALS[offer]) {
            None => 1.0,
            Some(Deal::Percent(share)) if share < 0.08 => match (hunts > 0.3, moment.app) {
                (true, true) => 1.25,
                _ => 1.0,
            },
            Some(Deal::Percent(share)) if share < 0.15 => match (hunts > 0.3, lapsed) {
                (true, true) => 1.9,
                (true, false) => 1.2,
                _ => 1.0,
            },
            Some(Deal::Percent(_)) => match (hunts > 0.3, lapsed) {
                (true, true) => 2.6,
                (true, false) => 1.4,
                (false, true) if orders < 4.0 => 2.0,
                _ if orders >= 8.0 => 0.93,
                _ => 1.05,
            },
            Some(Deal::Shipping) => match (usual < 6_000.0, moment.app) {
                (true, true) => 1.8,
                (true, false) => 1.25,
                _ => 1.0,
            },
            Some(Deal::Threshold) => match ((6_000.0..12_000.0).contains(&usual), orders >= 3.0) {
                (true, true) => 1.7,
                _ => 1.0,
            },
        };
        // Who hunts for bargains is moved further and families less: nobody logs who that is.
        let by = [1.0, 0.6, 1.5][person.traits[0] as usize];
        (chance * (1.0 + (lift - 1.0) * by)).min(0.9)
    }

    /// Households and days of pay; how small baskets are shows in what was bought.
    fn hidden(&self, at: f64) -> Vec<(f64, [Option<f64>; 4])> {
        let pay = [(5.0 / 28.0, 0.0), (23.0 / 28.0, 14.0)];
        let all = (0..3_u32).flat_map(|household| pay.map(|pay| (f64::from(household), pay)));
        all.map(|(household, (share, since))| (share / 3.0, [Some(household), Some(since - at), None, None]))
            .collect()
    }

    /// Small baskets and large ones, few between.
    fn basket(&self, person: &Person, u: f64) -> f64 {
        let small = person.traits[2];
        let (of, place) = if u < small { (0.55, u / small) } else { (1.4, (u - small) / (1.0 - small)) };
        person.basket * of * (0.75 + 0.5 * place)
    }

    fn fills_up(&self, basket: f64) -> f64 {
        let lacks = THRESHOLD.0 - basket;
        if lacks > 0.0 && lacks < 1_500.0 { 0.35 } else { 0.0 }
    }
}
