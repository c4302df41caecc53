//! What another policy would have brought, from decisions whose propensities were logged.

use std::collections::BTreeMap;

use crate::stats::{Interval, normal};

/// Nominal coverage of the intervals.
pub const LEVEL: f64 = 0.95;
/// A log worth fewer decisions than this cannot answer.
pub const LEAST_SAMPLE: f64 = 30.0;

/// One decision and what it brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// What was done.
    pub action: String,
    /// Probability with which it was done, above 0.
    pub propensity: f64,
    /// What it brought.
    pub reward: f64,
}

/// What the log says of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Inverse propensity score: mean of w·r.
    pub ips: Interval,
    /// Self-normalised: Σwr / Σw.
    pub snips: Interval,
    /// Direct method: each action's mean reward under the policy.
    pub dm: Interval,
    /// Doubly robust: mean of q̂(π) + w(r − q̂).
    pub dr: Interval,
    /// (Σw)² / Σw².
    pub effective_sample_size: f64,
    /// The largest weight.
    pub max_weight: f64,
    /// Why the log cannot answer, where it cannot.
    pub why: Option<String>,
}

/// Rewards of one action.
#[derive(Default)]
struct Arm {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Arm {
    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    fn squared_error(&self) -> f64 {
        if self.count < 2.0 {
            return self.mean().powi(2);
        }
        (self.squares - self.sum * self.sum / self.count).max(0.0) / (self.count - 1.0) / self.count
    }
}

/// Evaluates `policy` (probabilities by action) on `log`, which is not empty.
pub fn evaluate(log: &[Logged], policy: &BTreeMap<String, f64>) -> Evaluation {
    let n = log.len() as f64;
    let weight = |row: &Logged| policy.get(&row.action).copied().unwrap_or(0.0) / row.propensity;
    let mut arms: BTreeMap<&str, Arm> = BTreeMap::new();
    for row in log {
        let arm = arms.entry(&row.action).or_default();
        arm.count += 1.0;
        arm.sum += row.reward;
        arm.squares += row.reward * row.reward;
    }
    let overall = log.iter().map(|row| row.reward).sum::<f64>() / n;
    let guess = |action: &str| arms.get(action).map_or(overall, Arm::mean);
    let direct: f64 = policy.iter().map(|(action, share)| share * guess(action)).sum();
    let direct_error: f64 = policy
        .iter()
        .filter_map(|(action, share)| Some(share * share * arms.get(action.as_str())?.squared_error()))
        .sum();
    let weights: f64 = log.iter().map(weight).sum();
    let squares: f64 = log.iter().map(|row| weight(row).powi(2)).sum();
    let ips = mean(log.iter().map(|row| weight(row) * row.reward), n);
    let dr = mean(log.iter().map(|row| direct + weight(row) * (row.reward - guess(&row.action))), n);
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    let snips = if weights > 0.0 {
        let value = log.iter().map(|row| weight(row) * row.reward).sum::<f64>() / weights;
        let spread: f64 = log.iter().map(|row| (weight(row) * (row.reward - value)).powi(2)).sum();
        Interval::around(value, z * spread.sqrt() / weights, LEVEL)
    } else {
        Interval::around(0.0, 0.0, LEVEL)
    };
    let effective_sample_size = if squares > 0.0 { weights * weights / squares } else { 0.0 };
    let unseen: Vec<&str> = policy
        .iter()
        .filter(|(action, share)| **share > 0.0 && !arms.contains_key(action.as_str()))
        .map(|(action, _)| action.as_str())
        .collect();
    let why = if !unseen.is_empty() {
        Some(format!("the log never shows {}", unseen.join(", ")))
    } else if effective_sample_size < LEAST_SAMPLE {
        Some(format!("the log is worth {effective_sample_size:.1} decisions, {LEAST_SAMPLE} are needed"))
    } else {
        None
    };
    Evaluation {
        ips,
        snips,
        dm: Interval::around(direct, z * direct_error.sqrt(), LEVEL),
        dr,
        effective_sample_size,
        max_weight: log.iter().map(weight).fold(0.0, f64::max),
        why,
    }
}

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
    fn weight(&self) -> f64 {
        self.target / self.propensity
    }

    /// The doubly robust value of this row.
    pub fn value(&self) -> f64 {
        self.direct + self.weight() * (self.reward - self.guess)
    }
}

/// What replaying a policy found.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Doubly robust value a decision.
    pub value: Interval,
    /// (Σw)² / Σw².
    pub effective_sample_size: f64,
    /// The largest weight.
    pub max_weight: f64,
    /// Why the log cannot answer, where it cannot.
    pub why: Option<String>,
}

/// Replays a policy that looks at each moment (Dudík, Langford and Li 2011).
pub fn replay(rows: &[Replayed]) -> Replay {
    let weights: f64 = rows.iter().map(Replayed::weight).sum();
    let squares: f64 = rows.iter().map(|row| row.weight().powi(2)).sum();
    let effective_sample_size = if squares > 0.0 { weights * weights / squares } else { 0.0 };
    let why = (effective_sample_size < LEAST_SAMPLE)
        .then(|| format!("the log is worth {effective_sample_size:.1} decisions, {LEAST_SAMPLE} are needed"));
    Replay {
        value: mean(rows.iter().map(Replayed::value), (rows.len() as f64).max(1.0)),
        effective_sample_size,
        max_weight: rows.iter().map(Replayed::weight).fold(0.0, f64::max),
        why,
    }
}

/// Interval of the mean difference of two policies on the same rows.
pub fn difference(one: &[Replayed], other: &[Replayed]) -> Interval {
    let apart = one.iter().zip(other).map(|(a, b)| a.value() - b.value());
    mean(apart, (one.len() as f64).max(1.0))
}

fn mean(values: impl Iterator<Item = f64> + Clone, n: f64) -> Interval {
    let mean = values.clone().sum::<f64>() / n;
    let spread: f64 = values.map(|value| (value - mean).powi(2)).sum();
    let error = if n < 2.0 { mean.abs() } else { (spread / (n - 1.0) / n).sqrt() };
    Interval::around(mean, normal::quantile(f64::midpoint(1.0, LEVEL)) * error, LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of 80 "a" (a quarter of them rewarded) at 0.8 and 20 "b" (half rewarded) at 0.2, by hand.
    fn log() -> Vec<Logged> {
        let row = |action: &str, propensity, hit: bool| Logged {
            action: action.into(),
            propensity,
            reward: f64::from(u8::from(hit)),
        };
        (0..80).map(|i| row("a", 0.8, i % 4 == 0)).chain((0..20).map(|i| row("b", 0.2, i % 2 == 0))).collect()
    }

    #[test]
    fn all_estimators_agree_where_the_log_is_balanced() {
        let found = evaluate(&log(), &BTreeMap::from([("a".into(), 0.5), ("b".into(), 0.5)]));
        for value in [found.ips, found.snips, found.dm, found.dr] {
            assert!((value.estimate - 0.375).abs() < 1e-12 && value.lower < 0.375, "{value:?}");
        }
        assert!(
            (found.effective_sample_size - 100.0 * 100.0 / (80.0 * 0.390_625 + 20.0 * 6.25)).abs() < 1e-9
        );
        assert!((found.max_weight - 2.5).abs() < 1e-12 && found.why.is_none());
    }

    #[test]
    fn a_log_that_cannot_answer_says_so() {
        let found = evaluate(&log(), &BTreeMap::from([("c".into(), 1.0)]));
        assert_eq!(found.why.as_deref(), Some("the log never shows c"));
        let rare = evaluate(&log(), &BTreeMap::from([("b".into(), 1.0)]));
        assert!(rare.why.is_some_and(|why| why.contains("20.0")));
    }
}
