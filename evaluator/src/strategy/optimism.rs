//! How much better a plan looks than it is.
//!
//! Whoever picks the best of several estimates picks their errors as well (the winner's curse). So the plan's rule is played
//! on the log by models that have not seen the people they decide for, and what it brings over no offers is measured by what
//! came of the decisions (doubly robust, by inverse propensity). The ratio of that to what the models promise for the same
//! decisions is noisy itself: its posterior under a prior around [`USUAL`] scales the promise, and its error widens it.

use std::collections::HashMap;

use rayon::prelude::*;

use super::limit::Prices;
use super::plan::Plan;
use crate::effect::model::Estimate;
use crate::effect::train::Outcome;
use crate::effect::{Model, NONE};

/// What promises were kept by before a log is looked at: mean and standard deviation of the share. Promises of the best of
/// several noisy estimates are hardly ever exceeded.
const USUAL: (f64, f64) = (0.9, 0.3);
/// Rarer choices weigh no more than this probability.
const LEAST_PROPENSITY: f64 = 0.04;
/// A decision made with a larger probability was hardly a choice.
const CHOICE: f64 = 0.5;
/// Fewer choices measure nothing.
const LEAST_ROWS: usize = 1_000;
/// Most rows looked at, the latest.
const MOST_ROWS: usize = 100_000;

/// The share of a plan's promise that is kept.
pub fn kept(plan: &Plan, model: &Model, log: &[Outcome], prices: &Prices) -> Estimate {
    let rows: Vec<&Outcome> =
        log.iter().rev().filter(|row| !row.open && row.propensity <= CHOICE).take(MOST_ROWS).collect();
    if rows.len() < LEAST_ROWS {
        return share([]);
    }
    let judged: Vec<(f64, f64)> = rows.par_iter().map(|row| judge(plan, model, row, prices)).collect();
    // By person: one person's decisions are not as many witnesses.
    let mut people: HashMap<&str, (f64, f64)> = HashMap::new();
    for (row, (promised, measured)) in rows.iter().zip(&judged) {
        let sums = people.entry(&row.unit).or_default();
        sums.0 += promised;
        sums.1 += measured;
    }
    share(people.into_values())
}

/// Posterior of the share of what was promised that was measured, from both of each person.
fn share(people: impl IntoIterator<Item = (f64, f64)>) -> Estimate {
    let usual = Estimate { mean: USUAL.0, variance: USUAL.1.powi(2) };
    let people: Vec<(f64, f64)> = people.into_iter().collect();
    let promised: f64 = people.iter().map(|sums| sums.0).sum();
    let measured: f64 = people.iter().map(|sums| sums.1).sum();
    if promised <= 0.0 {
        return usual;
    }
    let ratio = measured / promised;
    let missed = |(promised, measured): &(f64, f64)| (measured - ratio * promised).powi(2);
    let noise = (people.iter().map(missed).sum::<f64>() / promised.powi(2)).max(1e-12);
    let precision = usual.variance.recip() + noise.recip();
    let mean = (usual.mean / usual.variance + ratio / noise) / precision;
    Estimate { mean, variance: precision.recip() }
}

/// What the plan's rule promises over no offers on a logged decision, and what it is measured to bring.
fn judge(plan: &Plan, model: &Model, row: &Outcome, prices: &Prices) -> (f64, f64) {
    let x = model.row(&row.features);
    let forecast = model.forecast_unseen(&x, &row.unit);
    let worth = |arm: usize| {
        let found = &forecast.arms[arm];
        plan.value(found) - prices.money * found.spend.mean
    };
    let arms = plan.offers.iter().filter_map(|offer| model.arm(&offer.offer_id));
    let best = arms.filter(|arm| worth(*arm) > 0.0).max_by(|a, b| worth(*a).total_cmp(&worth(*b)));
    let Some(best) = best else { return (0.0, 0.0) };
    let own = forecast.arms[best].profit.mean - forecast.arms[best].later;
    let propensity = row.propensity.max(LEAST_PROPENSITY);
    let correction = if row.action == model.arms[best].id {
        (row.profit - forecast.profit - own) / propensity
    } else if row.action == NONE {
        -(row.profit - forecast.profit) / propensity
    } else {
        0.0
    };
    (own, own + correction)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    /// People who are promised 50 to 150 and bring `kept` of it, give or take `noise`.
    fn people(count: usize, kept: f64, noise: f64) -> Vec<(f64, f64)> {
        let mut random = StdRng::seed_from_u64(31);
        let mut person = || {
            let promised = random.random_range(50.0..150.0);
            (promised, kept * promised + noise * random.random_range(-1.0..1.0))
        };
        (0..count).map(|_| person()).collect()
    }

    #[test]
    fn many_people_tell_what_is_kept_of_a_promise() {
        for kept in [-0.5, 0.0, 0.5, 1.2] {
            let found = share(people(20_000, kept, 1_000.0));
            assert!((found.mean - kept).abs() < 4.0 * found.error(), "{found:?} of {kept}");
            assert!(found.error() < 0.05, "{found:?} of {kept}");
        }
    }

    #[test]
    fn noise_leaves_what_is_usual_and_as_much_in_doubt() {
        let found = share(people(1_000, 0.0, 1e6));
        assert!((found.mean - USUAL.0).abs() < 0.02 && (found.error() - USUAL.1).abs() < 0.01, "{found:?}");
        for nothing in [vec![], vec![(0.0, 0.0); 5_000], vec![(-1.0, 3.0)]] {
            let found = share(nothing);
            assert!((found.mean - USUAL.0).abs() + (found.error() - USUAL.1).abs() < 1e-12, "{found:?}");
        }
    }

    /// The interval holds the true share for about nineteen of twenty logs in which a few bring very much, most nothing.
    #[test]
    fn the_share_lies_where_its_interval_says() {
        let mut random = StdRng::seed_from_u64(32);
        let mut held = 0;
        for _ in 0..200 {
            let kept: f64 = USUAL.0 + USUAL.1 * random.random_range(-1.7..1.7);
            let mut person = || {
                let promised: f64 = random.random_range(0.0..100.0);
                let brings = if random.random_bool(0.05) { 20.0 } else { 0.0 };
                (promised, kept * promised + 200.0 * (brings - 1.0))
            };
            let found = share((0..2_000).map(|_| person()).collect::<Vec<_>>()).interval();
            held += i32::from(found.lower <= kept && kept <= found.upper);
        }
        assert!((180..200).contains(&held), "{held} of 200");
    }
}
