//! The estimators: what weights, rewards and a model's guesses say of a policy.

use super::{LEAST_SAMPLE, LEVEL, MOST_OFF};
use crate::stats::{Interval, normal};

/// One logged decision beside what another policy would do in the same moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replayed {
    /// Probability with which the log did what it did, above 0.
    pub propensity: f64,
    /// Probability with which the policy does the same.
    pub target: f64,
    /// What it brought.
    pub reward: f64,
    /// What a model expects of what was done.
    pub guess: f64,
    /// What the model expects of the policy: Σ π(a)·q̂(a).
    pub direct: f64,
}

impl Replayed {
    pub(super) fn weight(&self) -> f64 {
        self.target / self.propensity
    }

    /// The doubly robust value of this row.
    pub fn value(&self) -> f64 {
        self.direct + self.weight() * (self.reward - self.guess)
    }

    /// The same, by the model alone where the weight is above `most`.
    pub(super) fn switched(&self, most: f64) -> f64 {
        if self.weight() > most { self.direct } else { self.value() }
    }
}

/// What replaying a policy found, a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimates {
    /// Inverse propensity score: mean of w·r.
    pub ips: Interval,
    /// Self-normalised: Σwr / Σw.
    pub snips: Interval,
    /// Doubly robust: mean of q̂(π) + w(r − q̂) (Dudík, Langford and Li 2011).
    pub dr: Interval,
    /// (Σw)² / Σw².
    pub effective_sample_size: f64,
    /// The largest weight.
    pub max_weight: f64,
    /// The mean weight with its standard error: 1 on average where the propensities are right.
    pub mean_weight: (f64, f64),
}

impl Estimates {
    /// Why the log cannot answer, where it cannot.
    pub fn why(&self) -> Option<String> {
        let Self { effective_sample_size, mean_weight: (mean, error), .. } = *self;
        if effective_sample_size < LEAST_SAMPLE {
            let text =
                format!("the log is worth {effective_sample_size:.1} decisions, {LEAST_SAMPLE} are needed");
            return Some(text);
        }
        // Rounding alone where all weights are alike.
        ((mean - 1.0).abs() > MOST_OFF * error + 1e-6).then(|| {
            format!(
                "weights are {mean:.3} on average instead of 1: the propensities are not those the log was made with, \
                 or it never did what the policy would do"
            )
        })
    }
}

/// Replays a policy that looks at each moment.
pub fn replay(rows: &[Replayed]) -> Estimates {
    let n = (rows.len() as f64).max(1.0);
    let weights: f64 = rows.iter().map(Replayed::weight).sum();
    let squares: f64 = rows.iter().map(|row| row.weight().powi(2)).sum();
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    let snips = if weights > 0.0 {
        let value = rows.iter().map(|row| row.weight() * row.reward).sum::<f64>() / weights;
        let spread: f64 = rows.iter().map(|row| (row.weight() * (row.reward - value)).powi(2)).sum();
        Interval::around(value, z * spread.sqrt() / weights, LEVEL)
    } else {
        Interval::around(0.0, 0.0, LEVEL)
    };
    let mean_weight = weights / n;
    Estimates {
        ips: mean(rows.iter().map(|row| row.weight() * row.reward), n),
        snips,
        dr: mean(rows.iter().map(Replayed::value), n),
        effective_sample_size: if squares > 0.0 { weights * weights / squares } else { 0.0 },
        max_weight: rows.iter().map(Replayed::weight).fold(0.0, f64::max),
        mean_weight: (mean_weight, ((squares / n - mean_weight * mean_weight).max(0.0) / n).sqrt()),
    }
}

/// Weights beyond which a difference of policies believes the model alone, where that errs least.
const TRIED: [f64; 6] = [10.0, 20.0, 50.0, 100.0, 300.0, f64::INFINITY];

/// Interval of the mean difference of two policies on the same rows, doubly robust up to a weight and by the model alone
/// beyond (switch-DR, Wang, Agarwal and Dudík 2017). A plan chooses most of what it does with near certainty; the few times its
/// log did otherwise would weigh a thousandfold and drown all the rest. The weight is the one of the least error: variance, and
/// the squared bias that what is left out shows beyond its own noise.
pub fn difference(one: &[Replayed], other: &[Replayed]) -> Interval {
    let n = (one.len() as f64).max(1.0);
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    let switched = |most: f64| {
        let apart = one.iter().zip(other).map(move |(a, b)| a.switched(most) - b.switched(most));
        let left_out = one
            .iter()
            .zip(other)
            .map(move |(a, b)| (a.value() - a.switched(most)) - (b.value() - b.switched(most)));
        let (kept, missed) = (mean(apart, n), mean(left_out, n));
        let squared = |found: Interval| ((found.upper - found.estimate) / z).powi(2);
        let bias = (missed.estimate.powi(2) - squared(missed)).max(0.0);
        (kept.estimate, squared(kept) + bias)
    };
    let found = TRIED.map(switched);
    let (value, error) = found.into_iter().fold((0.0, f64::INFINITY), |best, next| {
        if next.1 < best.1 || best.1.is_infinite() { next } else { best }
    });
    Interval::around(value, z * error.sqrt(), LEVEL)
}

/// A mean of `n` values and its interval.
fn mean(values: impl Iterator<Item = f64> + Clone, n: f64) -> Interval {
    let mean = values.clone().sum::<f64>() / n;
    let spread: f64 = values.map(|value| (value - mean).powi(2)).sum();
    let error = if n < 2.0 { mean.abs() } else { (spread / (n - 1.0) / n).sqrt() };
    Interval::around(mean, normal::quantile(f64::midpoint(1.0, LEVEL)) * error, LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: weights 1, 1, 1 and 5.
    #[test]
    fn the_estimators_are_their_formulas() {
        let row = |propensity: f64, reward, guess, direct| Replayed {
            propensity,
            target: 0.5,
            reward,
            guess,
            direct,
        };
        let rows = [
            row(0.5, 1.0, 0.5, 0.4),
            row(0.5, 0.0, 0.5, 0.4),
            row(0.5, 1.0, 0.2, 0.3),
            row(0.1, 1.0, 0.6, 0.5),
        ];
        let found = replay(&rows);
        let close =
            |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        close(found.ips.estimate, (1.0 + 1.0 + 5.0) / 4.0);
        close(found.snips.estimate, 7.0 / 8.0);
        close(found.dr.estimate, (0.9 - 0.1 + 1.1 + 2.5) / 4.0);
        close(found.effective_sample_size, 64.0 / 28.0);
        close(found.max_weight, 5.0);
        close(rows[3].switched(2.0), 0.5);
        close(rows[3].switched(5.0), 2.5);
    }

    fn seen(weight: f64, reward: f64) -> Replayed {
        Replayed { propensity: 1.0 / weight, target: 1.0, reward, guess: 5.0, direct: 5.0 }
    }

    fn nothing(rows: &[Replayed]) -> Vec<Replayed> {
        rows.iter().map(|row| Replayed { target: 0.0, direct: 0.0, ..*row }).collect()
    }

    /// A thousand rows of 5 ± 1 and one of weight 1 000 that lies 4 below its guess: 4 000 to be shared by all.
    #[test]
    fn one_rare_row_does_not_drown_the_others() {
        let mut rows: Vec<Replayed> =
            (0..1_000).map(|row| seen(1.0, if row % 2 == 0 { 4.0 } else { 6.0 })).collect();
        rows.push(seen(1_000.0, 1.0));
        let found = difference(&rows, &nothing(&rows));
        assert!((found.estimate - 5.0).abs() < 0.01 && found.lower > 4.5, "{found:?}");
    }

    /// A tenth of the rows weighs 20 and always lies 1 below its guess: the model errs by 2, and that is no chance.
    #[test]
    fn a_model_that_errs_is_corrected() {
        let rows: Vec<Replayed> =
            (0..1_000).map(|row| if row % 10 == 0 { seen(20.0, 4.0) } else { seen(1.0, 5.0) }).collect();
        let found = difference(&rows, &nothing(&rows));
        assert!((found.estimate - 3.0).abs() < 1e-9, "{found:?}");
    }
}
