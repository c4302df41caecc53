//! Purchases come hours to days after the visit that led to them, and a third of them name no decision.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, LogNormal, Normal};

use super::deals::{Arm, DEALS, Deal, Sale, THRESHOLD};
use super::world::{History, Moment, Person, World};
use evaluator::stats::normal;

/// The world; hidden properties of a person: taste, interest in offers.
pub(crate) struct Late;

impl World for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn is_kind(&self) -> bool {
        false
    }

    #[expect(clippy::expect_used, reason = "the distributions' parameters are sound constants")]
    fn person(&self, random: &mut StdRng) -> Person {
        let sound = "sound parameters";
        Person {
            traits: [
                Normal::new(-1.45, 0.3).expect(sound).sample(random),
                random.random::<f64>().powi(2),
                0.0,
                0.0,
            ],
            basket: LogNormal::new(8.6, 0.5).expect(sound).sample(random),
            visits: random.random_range(0.05..0.45),
            app: random.random(),
            history: History { since: -f64::from(random.random_range(70..900_u32)), ..History::default() },
            stock: 0.0,
            fatigue: 0.0,
            touched: 0.0,
        }
    }

    fn chance(&self, person: &Person, moment: &Moment, arm: Arm) -> f64 {
        let [taste, interest, ..] = person.traits;
        let weekend = if (moment.at.rem_euclid(7.0) as u32) >= 5 { 0.15 } else { 0.0 };
        let lift = match arm.map(|offer| DEALS[offer]) {
            None => 0.0,
            Some(Deal::Percent(share)) => 1.5 * interest * share / (share + 0.08),
            Some(Deal::Shipping) => 0.35 * f64::from(u8::from(person.basket < 5_000.0)) * (0.5 + person.app),
            Some(Deal::Threshold) => {
                let apart = (person.basket - THRESHOLD.0) / 3_000.0;
                0.6 * interest.sqrt() * (-apart * apart).exp()
            }
        };
        normal::cdf(taste + weekend + lift - 0.25 * person.stock)
    }

    fn basket(&self, person: &Person, u: f64) -> f64 {
        person.basket * (0.5 * normal::quantile(u.clamp(1e-4, 1.0 - 1e-4)) - 0.125).exp()
    }

    fn fills_up(&self, basket: f64) -> f64 {
        if basket < THRESHOLD.0 && basket > 0.85 * THRESHOLD.0 { 0.4 } else { 0.0 }
    }

    fn delay(&self, arm: Arm, u: f64) -> f64 {
        let (at_once, days) = if arm.is_some() { (0.3, 2.5) } else { (0.5, 1.0) };
        if u < at_once { 0.0 } else { -days * ((1.0 - u) / (1.0 - at_once)).max(1e-4).ln() }
    }

    fn untracked(&self) -> f64 {
        0.33
    }

    fn fading(&self) -> (f64, f64) {
        (0.75, 0.0)
    }

    fn stocks(&self, _: &Person, _: Sale) -> f64 {
        1.0
    }

    fn later_scales(&self) -> (&'static [f64], &'static [f64]) {
        (&[0.0, 0.2, 0.4], &[0.0])
    }
}
