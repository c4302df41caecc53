//! The estimators: what weights, rewards and a model's guesses say of a policy.

use std::collections::HashMap;

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
    /// Number of the person it was about: rows of one person count as one observation in standard errors.
    pub person: u64,
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
    let people: Vec<u64> = rows.iter().map(|row| row.person).collect();
    let snips = if weights > 0.0 {
        let value = rows.iter().map(|row| row.weight() * row.reward).sum::<f64>() / weights;
        let off = rows.iter().map(|row| row.weight() * (row.reward - value));
        let spread = squares_by_person(&people, off).0;
        Interval::around(value, z * spread.sqrt() / weights, LEVEL)
    } else {
        Interval::around(0.0, 0.0, LEVEL)
    };
    let mean_weight = weights / n;
    Estimates {
        ips: mean(&people, rows.iter().map(|row| row.weight() * row.reward)),
        snips,
        dr: mean(&people, rows.iter().map(Replayed::value)),
        effective_sample_size: if squares > 0.0 { weights * weights / squares } else { 0.0 },
        max_weight: rows.iter().map(Replayed::weight).fold(0.0, f64::max),
        mean_weight: (mean_weight, ((squares / n - mean_weight * mean_weight).max(0.0) / n).sqrt()),
    }
}

/// Interval of the mean difference of two policies on the same rows.
pub fn difference(one: &[Replayed], other: &[Replayed]) -> Interval {
    let apart = one.iter().zip(other).map(|(a, b)| a.value() - b.value());
    mean(&one.iter().map(|row| row.person).collect::<Vec<_>>(), apart)
}

/// The mean of values about `people` and its interval, with a standard error clustered by person.
fn mean(people: &[u64], values: impl Iterator<Item = f64> + Clone) -> Interval {
    let n = (people.len() as f64).max(1.0);
    let mean = values.clone().sum::<f64>() / n;
    let (spread, clusters) = squares_by_person(people, values.map(|value| value - mean));
    let error = if clusters < 2.0 { mean.abs() } else { (spread * clusters / (clusters - 1.0)).sqrt() / n };
    Interval::around(mean, normal::quantile(f64::midpoint(1.0, LEVEL)) * error, LEVEL)
}

/// Sum of the squares of each person's sum, and the number of people.
fn squares_by_person(people: &[u64], values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sums: HashMap<u64, f64> = HashMap::new();
    for (person, value) in people.iter().zip(values) {
        *sums.entry(*person).or_default() += value;
    }
    // In one order: the same log gives the same bits.
    let mut sums: Vec<(u64, f64)> = sums.into_iter().collect();
    sums.sort_unstable_by_key(|(person, _)| *person);
    (sums.iter().map(|(_, sum)| sum.powi(2)).sum(), sums.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two people with four rows each, 1 above and 1 below the mean: each person's sum lies 4 off.
    #[test]
    fn rows_of_one_person_are_one_observation() {
        let row = |person: u64| Replayed {
            propensity: 0.5,
            target: 0.5,
            reward: if person == 0 { 2.0 } else { 0.0 },
            guess: 0.0,
            direct: 0.0,
            person,
        };
        let found = replay(&[row(0), row(0), row(0), row(0), row(1), row(1), row(1), row(1)]);
        // √(32 · 2) / 8 = 1.
        assert!((found.dr.estimate - 1.0).abs() < 1e-12);
        assert!((found.dr.upper - 1.0 - 1.959_964).abs() < 1e-6, "{found:?}");
    }

    /// By hand: weights 1, 1, 1 and 5.
    #[test]
    fn the_estimators_are_their_formulas() {
        let row = |propensity: f64, reward, guess, direct| Replayed {
            propensity,
            target: 0.5,
            reward,
            guess,
            direct,
            person: 0,
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
}
