//! What another policy would have brought, from decisions whose propensities were logged.
//!
//! [`estimate`] holds the estimators, numbers in and numbers out; `reward` the model of what an action brings in a
//! context, which the doubly robust ones correct and those of `switch` believe.

pub mod estimate;
mod loggers;
mod reward;
mod switch;

use std::collections::{BTreeMap, BTreeSet};

use boost::Matrix;

pub use estimate::{Estimates, Replayed, difference, replay};
pub use loggers::{Combined, combine};
use reward::Rewards;
pub use switch::Believed;
use switch::believe;

use crate::error::Result;

/// Nominal coverage of the intervals.
pub const LEVEL: f64 = 0.95;
/// A log worth fewer decisions than this cannot answer.
pub const LEAST_SAMPLE: f64 = 30.0;
/// Folds of the cross-fitting, and groups of the jackknife.
const FOLDS: usize = 10;
/// Standard errors the mean weight may lie off 1 by chance.
const MOST_OFF: f64 = 6.0;

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

/// Decisions with what was known of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The decisions.
    pub rows: Vec<Logged>,
    /// Features of each, NaN where missing; without columns where nothing was known.
    pub context: Matrix,
}

/// What a policy does: the probability of each action, in each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    distributions: Vec<BTreeMap<String, f64>>,
    of: Option<Vec<usize>>,
}

impl Policy {
    /// The same in every context.
    pub fn everywhere(distribution: BTreeMap<String, f64>) -> Self {
        Self { distributions: vec![distribution], of: None }
    }

    /// In each row the distribution it is told, an index into `distributions`.
    pub fn by_row(distributions: Vec<BTreeMap<String, f64>>, of: Vec<usize>) -> Self {
        Self { distributions, of: Some(of) }
    }

    fn place(&self, row: usize) -> usize {
        self.of.as_ref().map_or(0, |of| of[row])
    }
}

/// What the log says of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// By the estimators that correct the model wherever the log lets them.
    pub estimates: Estimates,
    /// By those that believe it.
    pub believed: Believed,
    /// What rewards were modelled by.
    pub model: &'static str,
    /// Why the log cannot answer, where it cannot.
    pub why: Option<String>,
}

/// Evaluates `policy` on `log`, which is not empty.
pub fn evaluate(log: &Log, policy: &Policy, seed: u64) -> Result<Evaluation> {
    let names: BTreeSet<&str> = log.rows.iter().map(|row| row.action.as_str()).collect();
    let seen = names.len();
    let mut actions: Vec<&str> = names.into_iter().collect();
    let wanted = policy.distributions.iter().flatten().filter(|(_, share)| **share > 0.0);
    let unseen: BTreeSet<&str> =
        wanted.map(|(name, _)| name.as_str()).filter(|name| actions.binary_search(name).is_err()).collect();
    actions.extend(&unseen);
    let index: BTreeMap<&str, usize> = actions.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let distribution = |given: &BTreeMap<String, f64>| {
        let mut shares: Vec<(usize, f64)> = Vec::new();
        for (name, share) in given.iter().filter(|(_, share)| **share > 0.0) {
            shares.extend(index.get(name.as_str()).map(|at| (*at, *share)));
        }
        shares
    };
    let shares: Vec<Vec<(usize, f64)>> = policy.distributions.iter().map(distribution).collect();
    let action: Vec<usize> = log.rows.iter().map(|row| index[row.action.as_str()]).collect();
    let wanted: Vec<&[(usize, f64)]> =
        (0..log.rows.len()).map(|row| shares[policy.place(row)].as_slice()).collect();
    let rewards = Rewards::learn(log, &action, actions.len(), &wanted, seed)?;
    let rows = rewards.rows();
    let (estimates, believed) = (replay(&rows), believe(&rewards, &rows));
    let why = if unseen.is_empty() {
        estimates.why()
    } else {
        let names = unseen.into_iter().take(5).collect::<Vec<_>>().join(", ");
        Some(format!("the log never shows {names}: it shows {seen} other actions"))
    };
    Ok(Evaluation { estimates, believed, model: rewards.name, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(rows: Vec<Logged>) -> Log {
        let context = Matrix::new(Vec::new(), rows.len(), 0).expect("no columns");
        Log { rows, context }
    }

    /// A log of 80 "a" (a quarter of them rewarded) at 0.8 and 20 "b" (half rewarded) at 0.2, by hand.
    fn log() -> Log {
        let row = |action: &str, propensity, hit: bool| Logged {
            action: action.into(),
            propensity,
            reward: f64::from(u8::from(hit)),
        };
        let rows =
            (0..80).map(|i| row("a", 0.8, i % 4 == 0)).chain((0..20).map(|i| row("b", 0.2, i % 2 == 0)));
        log_of(rows.collect())
    }

    fn policy(shares: &[(&str, f64)]) -> Policy {
        Policy::everywhere(shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect())
    }

    #[test]
    fn all_estimators_agree_where_the_log_is_balanced() {
        let found = evaluate(&log(), &policy(&[("a", 0.5), ("b", 0.5)]), 1).expect("evaluated");
        let (Estimates { ips, snips, dr, .. }, Believed { direct, switch_dr, .. }) =
            (found.estimates, found.believed);
        for value in [ips, snips, direct] {
            assert!((value.estimate - 0.375).abs() < 1e-12 && value.lower < 0.375, "{value:?}");
        }
        // The model of rewards is learnt on other rows, so these differ by the noise of its folds.
        assert!((dr.estimate - 0.375).abs() < 0.02 && (switch_dr.estimate - 0.375).abs() < 0.02);
        let sample = 100.0 * 100.0 / (80.0 * 0.390_625 + 20.0 * 6.25);
        assert!((found.estimates.effective_sample_size - sample).abs() < 1e-9);
        assert!((found.estimates.max_weight - 2.5).abs() < 1e-12 && found.why.is_none());
    }

    #[test]
    fn a_log_that_cannot_answer_says_so() {
        let why =
            |log: &Log, shares: &[(&str, f64)]| evaluate(log, &policy(shares), 1).expect("evaluated").why;
        assert!(why(&log(), &[("c", 1.0)]).is_some_and(|why| why.starts_with("the log never shows c")));
        assert!(why(&log(), &[("b", 1.0)]).is_some_and(|why| why.contains("20.0 decisions")));
        // Propensities that were not those the log was made by: weights are 1 on average where they are.
        let mut wrong = log();
        wrong.rows.iter_mut().for_each(|row| row.propensity = 0.1);
        assert!(why(&wrong, &[("a", 0.5), ("b", 0.5)]).is_some_and(|why| why.contains("instead of 1")));
    }

    /// Two kinds of people, each with an action that suits; the policy gives it to each. What they bring is known by
    /// construction, and the model finds it from the context.
    #[test]
    fn a_policy_that_looks_at_the_context_is_judged_with_it() {
        let kinds: Vec<f64> = (0..4_000).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
        let hit = |i: usize, kind: f64, a: bool| {
            let chance = if (kind > 0.5) == a { 60 } else { 20 };
            f64::from(u8::from(i * 7919 % 100 < chance))
        };
        let rows: Vec<Logged> = kinds
            .iter()
            .enumerate()
            .map(|(i, kind)| {
                let a = i * 31 % 5 < 2;
                let (action, propensity) = if a { ("a", 0.4) } else { ("b", 0.6) };
                Logged { action: action.into(), propensity, reward: hit(i, *kind, a) }
            })
            .collect();
        let context = Matrix::new(kinds.clone(), 4_000, 1).expect("finite");
        let one = |name: &str| BTreeMap::from([(name.to_owned(), 1.0)]);
        let of = kinds.iter().map(|kind| usize::from(*kind < 0.5)).collect();
        let suited = Policy::by_row(vec![one("a"), one("b")], of);
        let found = evaluate(&Log { rows, context }, &suited, 3).expect("evaluated");
        let (Estimates { ips, snips, dr, .. }, Believed { direct, switch_dr, .. }) =
            (found.estimates, found.believed);
        for value in [ips, snips, direct, dr, switch_dr] {
            assert!(
                value.lower < 0.6 && value.upper > 0.6 && (value.estimate - 0.6).abs() < 0.05,
                "{value:?}"
            );
        }
        assert!(dr.upper - dr.lower < ips.upper - ips.lower, "the model takes noise away");
        assert!(found.model != "mean of each action", "{}", found.model);
    }

    /// One decision in fifty was a rare one, so its weight is huge. What the model has learnt of the others is right for
    /// these too: believing it there takes the noise away, and does not pretend to know more than the log tells.
    #[test]
    fn the_switch_leaves_huge_weights_to_the_model() {
        let row = |i: usize| {
            let (action, propensity, number) =
                if i.is_multiple_of(50) { ("b", 0.02, i / 50) } else { ("a", 0.98, i) };
            Logged { action: action.into(), propensity, reward: f64::from(u8::from(number % 10 < 3)) }
        };
        let log = log_of((0..4_000).map(row).collect());
        let found = evaluate(&log, &policy(&[("a", 0.5), ("b", 0.5)]), 2).expect("evaluated");
        let width = |value: crate::stats::Interval| value.upper - value.lower;
        let (dr, switched) = (found.estimates.dr, found.believed.switch_dr);
        // The jackknife over ten groups is itself within a quarter of the width.
        assert!(width(switched) <= width(dr) * 1.5, "{found:?}");
        assert!(switched.lower < 0.3 && switched.upper > 0.3, "{found:?}");
        // Half of it stands on 80 decisions with b: no interval may be narrower than they allow.
        assert!(width(switched) > 2.0 * 1.96 * 0.5 * (0.21_f64 / 80.0).sqrt() * 0.4, "{found:?}");
    }
}
