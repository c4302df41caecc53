//! What a treatment will bring, learnt from logged decisions.
//!
//! The model knows treatments, not persons: for every offer the change it makes on average against no offer, by
//! inverse propensity weights, drawn towards the mean of all offers as far as their differences may be chance
//! (empirical Bayes). It is kept only when it predicts decisions it has not seen better than one rate for all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::stats::{Interval, normal};

/// The treatment every other is compared with.
pub const NONE: &str = "none";
/// Fewer decisions than this teach nothing of a treatment.
pub const LEAST_DECISIONS: usize = 30;
/// Nominal coverage of the intervals.
pub const LEVEL: f64 = 0.95;

/// One logged decision and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The offer, or [`NONE`].
    pub action: String,
    /// Probability with which it was chosen, above 0.
    pub propensity: f64,
    /// Whether the target came about: 0 or 1.
    pub hit: f64,
    /// Profit it brought, minor units.
    pub profit: f64,
}

/// A mean with its squared standard error.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its squared standard error.
    pub variance: f64,
}

impl Estimate {
    /// Its interval.
    pub fn interval(self) -> Interval {
        let z = normal::quantile(f64::midpoint(1.0, LEVEL));
        Interval::around(self.mean, z * self.variance.max(0.0).sqrt(), LEVEL)
    }

    fn minus(self, other: Self) -> Self {
        Self { mean: self.mean - other.mean, variance: self.variance + other.variance }
    }
}

/// What one treatment changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Of the target's probability.
    pub uplift: Estimate,
    /// Of the profit, minor units.
    pub profit: Estimate,
}

/// A trained model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What is predicted: `click` or `purchase`.
    pub target: String,
    /// Currency of the profit; empty where nothing was bought.
    pub currency: String,
    /// Probability of the target with no offer.
    pub base: Estimate,
    /// By treatment.
    pub changes: BTreeMap<String, Change>,
    /// What is expected of a treatment never seen.
    pub unseen: Change,
}

impl Model {
    /// What `treatment` ([`NONE`] or an offer's id) changes, and whether the model has seen it.
    pub fn predict(&self, treatment: &str) -> (Change, bool) {
        if treatment == NONE {
            return (Change { uplift: Estimate::default(), profit: Estimate::default() }, true);
        }
        self.changes.get(treatment).map_or((self.unseen, false), |change| (*change, true))
    }
}

/// Fits a model of `target` to `outcomes`.
pub fn fit(target: &str, currency: &str, outcomes: &[&Outcome]) -> Result<Model> {
    let mut actions: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        actions.entry(&outcome.action).or_default().push(outcome);
    }
    let known = actions.get(NONE).map_or(0, Vec::len);
    let few = |what: &str, found: usize| {
        let text = format!("{found} decisions {what} are stored, {LEAST_DECISIONS} are needed");
        Error::precondition("NOT_ENOUGH_DECISIONS", text)
    };
    let control = actions.remove(NONE).filter(|rows| rows.len() >= LEAST_DECISIONS);
    let control = control.ok_or_else(|| few("without an offer", known))?;
    let most = actions.values().map(Vec::len).max().unwrap_or(0);
    actions.retain(|_, rows| rows.len() >= LEAST_DECISIONS);
    if actions.is_empty() {
        return Err(few("with one offer", most));
    }
    let base = weighted(&control, |row| row.hit);
    let base_profit = weighted(&control, |row| row.profit);
    let raw = |value: fn(&Outcome) -> f64, base: Estimate| -> Vec<Estimate> {
        actions.values().map(|rows| weighted(rows, value).minus(base)).collect()
    };
    let (uplifts, unseen_uplift) = pool(&raw(|row| row.hit, base));
    let (profits, unseen_profit) = pool(&raw(|row| row.profit, base_profit));
    let changes = actions
        .keys()
        .zip(uplifts.into_iter().zip(profits))
        .map(|(action, (uplift, profit))| ((*action).to_owned(), Change { uplift, profit }))
        .collect();
    let unseen = Change { uplift: unseen_uplift, profit: unseen_profit };
    Ok(Model { target: target.to_owned(), currency: currency.to_owned(), base, changes, unseen })
}

/// Σwv / Σw with w = 1/propensity, and its squared error by linearisation. An arm in which nothing varies is given the
/// variance of one success or failure more: that nothing was seen does not make it impossible.
fn weighted(rows: &[&Outcome], value: impl Fn(&Outcome) -> f64) -> Estimate {
    let total: f64 = rows.iter().map(|row| row.propensity.recip()).sum();
    let mean = rows.iter().map(|row| value(row) / row.propensity).sum::<f64>() / total;
    let squares: f64 = rows.iter().map(|row| ((value(row) - mean) / row.propensity).powi(2)).sum();
    let n = rows.len() as f64;
    let least = if squares > 0.0 { 0.0 } else { (1.0 / (n + 2.0)) * (1.0 - 1.0 / (n + 2.0)) / n };
    Estimate { mean, variance: squares / (total * total) + least }
}

/// Draws `raw` effects towards their common mean: DerSimonian and Laird's spread between treatments, then the normal
/// posterior of each. The second is what to expect of one more treatment.
fn pool(raw: &[Estimate]) -> (Vec<Estimate>, Estimate) {
    let weights: Vec<f64> = raw.iter().map(|e| e.variance.max(f64::MIN_POSITIVE).recip()).collect();
    let total: f64 = weights.iter().sum();
    let mean = raw.iter().zip(&weights).map(|(e, w)| e.mean * w).sum::<f64>() / total;
    let heterogeneity: f64 = raw.iter().zip(&weights).map(|(e, w)| w * (e.mean - mean).powi(2)).sum();
    let scale = total - weights.iter().map(|w| w * w).sum::<f64>() / total;
    let spread =
        if scale > 0.0 { ((heterogeneity - (raw.len() as f64 - 1.0)) / scale).max(0.0) } else { 0.0 };
    let centre_variance = raw.iter().map(|e| (e.variance + spread).recip()).sum::<f64>().recip();
    let centre = raw.iter().map(|e| e.mean / (e.variance + spread)).sum::<f64>() * centre_variance;
    let posterior = |e: &Estimate| {
        let own = if e.variance + spread > 0.0 { spread / (e.variance + spread) } else { 1.0 };
        Estimate {
            mean: centre + own * (e.mean - centre),
            variance: own * e.variance + (1.0 - own).powi(2) * centre_variance,
        }
    };
    (raw.iter().map(posterior).collect(), Estimate { mean: centre, variance: centre_variance + spread })
}

/// Mean squared errors on `unseen` decisions, by inverse propensity weights: the model's, and that of one rate for all.
pub fn errors(model: &Model, rate: f64, unseen: &[&Outcome]) -> (f64, f64) {
    let total: f64 = unseen.iter().map(|row| row.propensity.recip()).sum();
    let error = |guess: &dyn Fn(&Outcome) -> f64| {
        unseen.iter().map(|row| (row.hit - guess(row)).powi(2) / row.propensity).sum::<f64>() / total
    };
    let of_model = error(&|row: &Outcome| model.base.mean + model.predict(&row.action).0.uplift.mean);
    (of_model, error(&|_: &Outcome| rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(action: &str, n: usize, hits: usize) -> impl Iterator<Item = Outcome> {
        let action = action.to_owned();
        (0..n).map(move |i| {
            let hit = f64::from(u8::from(i * hits / n != (i + 1) * hits / n));
            Outcome { action: action.clone(), propensity: 1.0 / 3.0, hit, profit: hit * 100.0 }
        })
    }

    #[test]
    fn a_strong_offer_is_told_from_a_useless_one() {
        let log: Vec<_> =
            rows(NONE, 4000, 400).chain(rows("good", 4000, 800)).chain(rows("idle", 4000, 400)).collect();
        let model = fit("click", "USD", &log.iter().collect::<Vec<_>>()).expect("enough");
        assert!((model.base.mean - 0.1).abs() < 1e-9);
        let (good, seen) = model.predict("good");
        assert!(seen && (good.uplift.mean - 0.1).abs() < 0.01 && good.uplift.interval().lower > 0.0);
        assert!((good.profit.mean - 10.0).abs() < 1.0);
        let idle = model.predict("idle").0.uplift.interval();
        assert!(idle.lower < 0.0 && idle.upper > 0.0, "{idle:?}");
        let (unseen, seen) = model.predict("new");
        assert!(!seen && unseen.uplift.variance > good.uplift.variance);
        let (ours, one_rate) = errors(&model, 1600.0 / 12_000.0, &log.iter().collect::<Vec<_>>());
        assert!(ours < one_rate);
    }

    #[test]
    fn offers_alike_are_drawn_together_and_few_rows_are_refused() {
        let log: Vec<_> = rows(NONE, 300, 30).chain(rows("a", 100, 14)).chain(rows("b", 100, 12)).collect();
        let model = fit("click", "", &log.iter().collect::<Vec<_>>()).expect("enough");
        assert!((model.predict("a").0.uplift.mean - model.predict("b").0.uplift.mean).abs() < 1e-9);
        let few: Vec<_> = rows(NONE, 300, 30).chain(rows("a", 10, 5)).collect();
        assert!(fit("click", "", &few.iter().collect::<Vec<_>>()).is_err());
    }
}
