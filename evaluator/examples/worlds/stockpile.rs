//! Heavy-tailed baskets; what is bought at a discount is not bought next week; who sees many offers minds them less.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, LogNormal, Normal};

use super::deals::{Arm, DEALS, Deal, Sale, THRESHOLD};
use super::world::{History, Moment, Person, World};

/// The world; hidden properties of a person: taste, hunger for discounts.
pub(crate) struct Stockpile;

impl World for Stockpile {
    fn name(&self) -> &'static str {
        "stockpile"
    }

    fn is_kind(&self) -> bool {
        false
    }

    #[expect(clippy::expect_used, reason = "the distributions' parameters are sound constants")]
    fn person(&self, random: &mut StdRng) -> Person {
        let sound = "sound parameters";
        let taste = Normal::new(-2.3, 0.6).expect(sound).sample(random);
        let hunger: f64 = LogNormal::new(-1.0, 0.8).expect(sound).sample(random);
        Person {
            traits: [taste, hunger.min(2.5), 0.0, 0.0],
            basket: LogNormal::new(8.2, 0.6).expect(sound).sample(random),
            visits: random.random_range(0.05..0.45),
            app: random.random(),
            history: History { since: -f64::from(random.random_range(70..900_u32)), ..History::default() },
            stock: 0.0,
            fatigue: 0.0,
            touched: 0.0,
        }
    }

    fn chance(&self, person: &Person, moment: &Moment, arm: Arm) -> f64 {
        let [taste, hunger, ..] = person.traits;
        let season = 0.2 * (moment.at * std::f64::consts::TAU / 7.0).sin();
        let base = taste + season - 0.55 * person.stock - 0.03 * person.fatigue;
        let fresh = (-0.25 * person.fatigue).exp();
        let lift = match arm.map(|offer| DEALS[offer]) {
            None => 0.0,
            Some(Deal::Percent(share)) => hunger * (share / 0.1).powf(0.7),
            Some(Deal::Shipping) => 0.6 * (1.0 - person.basket / 6_000.0).max(0.0),
            Some(Deal::Threshold) => {
                let near = (person.basket / THRESHOLD.0).clamp(0.0, 1.2);
                0.9 * hunger * (near - 0.4).max(0.0)
            }
        };
        1.0 - (-(base + lift * fresh).exp()).exp()
    }

    /// Log-logistic, with a few bulk orders: no moments beyond the second.
    fn basket(&self, person: &Person, u: f64) -> f64 {
        let u = u.clamp(1e-4, 1.0 - 1e-4);
        person.basket * (u / (1.0 - u)).powf(0.42) * 0.8
    }

    fn fills_up(&self, basket: f64) -> f64 {
        if basket < THRESHOLD.0 && basket > 0.75 * THRESHOLD.0 { 0.4 } else { 0.0 }
    }

    fn fading(&self) -> (f64, f64) {
        (0.86, 0.87)
    }

    fn stocks(&self, person: &Person, sale: Sale) -> f64 {
        let filled = (sale.basket / person.basket).min(4.0);
        filled * (0.6 + 4.0 * sale.discount / sale.basket.max(1.0))
    }

    fn later_scales(&self) -> (&'static [f64], &'static [f64]) {
        (&[0.0, 0.6, 1.2, 2.0], &[0.0, 0.15, 0.3, 0.5])
    }
}
