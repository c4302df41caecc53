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
    let usual = Estimate { mean: USUAL.0, variance: USUAL.1.powi(2) };
    let rows: Vec<&Outcome> =
        log.iter().rev().filter(|row| row.propensity <= CHOICE).take(MOST_ROWS).collect();
    if rows.len() < LEAST_ROWS {
        return usual;
    }
    let judged: Vec<(f64, f64)> = rows.par_iter().map(|row| judge(plan, model, row, prices)).collect();
    // By person: one person's decisions are not as many witnesses.
    let mut people: HashMap<&str, (f64, f64)> = HashMap::new();
    for (row, (promised, measured)) in rows.iter().zip(&judged) {
        let sums = people.entry(&row.unit).or_default();
        sums.0 += promised;
        sums.1 += measured;
    }
    let promised: f64 = people.values().map(|sums| sums.0).sum();
    let measured: f64 = people.values().map(|sums| sums.1).sum();
    if promised <= 0.0 {
        return usual;
    }
    let ratio = measured / promised;
    let squares: f64 = people.values().map(|(promised, measured)| (measured - ratio * promised).powi(2)).sum();
    let noise = squares / promised.powi(2);
    let precision = usual.variance.recip() + noise.max(1e-12).recip();
    Estimate {
        mean: (usual.mean / usual.variance + ratio / noise.max(1e-12)) / precision,
        variance: precision.recip(),
    }
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
