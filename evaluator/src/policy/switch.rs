//! The estimators that believe the model of rewards: wholly, or where weights are large.
//!
//! Their error is the model's as much as the sample's, and a mean over rows shows none of the former. The jackknife
//! does: a tenth of the log is left out, the model learnt anew and the estimate made anew, ten times.

use super::estimate::Replayed;
use super::reward::Rewards;
use super::{FOLDS, LEVEL};
use crate::stats::{Interval, normal};

/// Shares of the decisions beyond whose largest weights the switch is tried.
const TRIED: [f64; 9] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995];

/// What believing the model says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Believed {
    /// The direct method: what the model expects of the policy.
    pub direct: Interval,
    /// Doubly robust up to a weight, the model alone beyond (Wang, Agarwal and Dudík 2017).
    pub switch_dr: Interval,
    /// That weight; infinite where the model alone is nowhere better.
    pub switch_at: f64,
}

/// A weight beyond which the model is believed, and what comes of it.
struct Switch {
    at: f64,
    value: f64,
    variance: f64,
    /// Squared bias: what the corrections left out come to, the noise of that taken off.
    bias: f64,
}

/// Believes `rewards`, by which `rows` are replayed.
pub(super) fn believe(rewards: &Rewards<'_>, rows: &[Replayed]) -> Believed {
    let mut weights: Vec<f64> = rows.iter().map(Replayed::weight).collect();
    weights.sort_by(f64::total_cmp);
    let n = rows.len() as f64;
    // Beyond a weight of 0 there is the model alone, beyond an infinite one nothing.
    let mut tried = vec![0.0];
    tried.extend(TRIED.iter().filter_map(|share| weights.get((share * n) as usize)).filter(|w| **w > 0.0));
    tried.push(f64::INFINITY);
    let left_out: Vec<Vec<f64>> = (0..FOLDS)
        .map(|fold| {
            let rest = rewards.without(fold);
            let mean = |at: &f64| rest.iter().map(|row| row.switched(*at)).sum::<f64>() / rest.len() as f64;
            tried.iter().map(mean).collect()
        })
        .collect();
    let switches: Vec<Switch> = tried
        .iter()
        .enumerate()
        .map(|(index, &at)| {
            let jackknifed: Vec<f64> = left_out.iter().map(|values| values[index]).collect();
            let (value, variance) = moments(rows.iter().map(|row| row.switched(at)), n);
            let (missed, noise) = moments(rows.iter().map(|row| row.value() - row.switched(at)), n);
            let bias = (missed * missed - noise).max(0.0);
            Switch { at, value, variance: variance.max(jackknife(&jackknifed)), bias }
        })
        .collect();
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    let model = jackknife(&left_out.iter().map(|values| values[0]).collect::<Vec<_>>());
    let risk = |switch: &Switch| switch.variance + switch.bias;
    let best = switches.iter().reduce(|best, next| if risk(next) <= risk(best) { next } else { best });
    let around = |value: f64, variance: f64| Interval::around(value, z * variance.sqrt(), LEVEL);
    let direct = around(rewards.direct(), model);
    match best {
        Some(best) => Believed { direct, switch_dr: around(best.value, best.variance), switch_at: best.at },
        None => Believed { direct, switch_dr: direct, switch_at: 0.0 },
    }
}

/// Mean, and the variance of the mean.
fn moments(values: impl Iterator<Item = f64> + Clone, n: f64) -> (f64, f64) {
    let mean = values.clone().sum::<f64>() / n;
    (mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n)
}

/// Variance of an estimate from those made without each group (Efron and Stein 1981).
fn jackknife(without: &[f64]) -> f64 {
    let groups = without.len() as f64;
    let centre = without.iter().sum::<f64>() / groups;
    without.iter().map(|value| (value - centre).powi(2)).sum::<f64>() * (groups - 1.0) / groups
}
