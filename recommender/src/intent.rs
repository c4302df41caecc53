//! How probable something is of someone: a few learners compared on people held out, the best calibrated, and each
//! prediction taken apart into its drivers.

mod boost;
mod calibrate;
mod choose;
mod drivers;
mod encode;
mod forest;
mod learner;
mod logistic;
mod measure;
mod network;
mod sheet;
mod trees;

pub mod horizon;
pub mod person;

use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

pub use choose::{Compared, Report, choose};
pub use learner::Learner;
pub use measure::{Quality, quality};
pub use sheet::read;

use calibrate::Calibrator;
use learner::Fitted;

/// One thing that is known of everyone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Names of its values where it is a category, whose values are places here; empty: a number.
    pub levels: Vec<String>,
}

impl Feature {
    /// A number.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), levels: Vec::new() }
    }

    /// Whether its values are places in [`Feature::levels`].
    pub fn is_category(&self) -> bool {
        !self.levels.is_empty()
    }
}

/// What is learnt from.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The columns.
    pub features: Vec<Feature>,
    /// n rows × one column a feature; NaN is missing.
    pub values: Array2<f64>,
    /// Whether it came to pass, n long.
    pub outcomes: Vec<bool>,
    /// Rows of one group, such as one person's, are held out together; n long.
    pub groups: Vec<u32>,
}

impl Sample {
    /// The rows at `places`.
    #[must_use]
    pub fn rows(&self, places: &[usize]) -> Self {
        Self {
            features: self.features.clone(),
            values: self.values.select(ndarray::Axis(0), places),
            outcomes: places.iter().map(|place| self.outcomes[*place]).collect(),
            groups: places.iter().map(|place| self.groups[*place]).collect(),
        }
    }

    /// Share of the rows in which it came to pass.
    pub fn rate(&self) -> f64 {
        self.outcomes.iter().filter(|came| **came).count() as f64 / self.outcomes.len().max(1) as f64
    }

    /// The fold of each row out of `folds`, by its group.
    fn folds(&self, folds: u32, seed: u64) -> Vec<u32> {
        self.groups.iter().map(|group| (scatter(u64::from(*group), seed) % u64::from(folds)) as u32).collect()
    }
}

/// A number that looks random and depends on both (SplitMix64, Steele and others 2014).
fn scatter(value: u64, seed: u64) -> u64 {
    let mut z = value.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Nothing could be learnt.
#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    /// Too few rows, or all with one outcome.
    #[error("{positives} of {rows} rows came to pass: at least {least} must, and as many must not")]
    TooFew {
        /// Rows there are.
        rows: usize,
        /// Rows that came to pass.
        positives: usize,
        /// Rows wanted of each outcome.
        least: usize,
    },
    /// The events do not reach far enough.
    #[error("the events span {days:.1} days: at least {least} are needed to see who comes back")]
    TooShort {
        /// Days from the first event to the last.
        days: f64,
        /// Days wanted.
        least: u32,
    },
    /// A learner failed.
    #[error("{learner}: {reason}")]
    Learner {
        /// Which.
        learner: Learner,
        /// Why.
        reason: String,
    },
    /// A file of sessions cannot be used.
    #[error("{0}")]
    Sheet(String),
    /// The caller has gone.
    #[error("cancelled")]
    Cancelled,
}

/// A fitted and calibrated model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The columns it reads.
    pub features: Vec<Feature>,
    /// How it was found.
    pub learner: Learner,
    fitted: Fitted,
    calibrator: Calibrator,
    /// An ordinary row, against which drivers are told.
    usual: Vec<f64>,
}

impl Intent {
    /// Calibrated probabilities, one a row.
    ///
    /// # Panics
    /// `rows` has not one column a feature.
    pub fn probabilities(&self, rows: ArrayView2<'_, f64>) -> Vec<f64> {
        let scores = self.fitted.log_odds(rows);
        scores.into_iter().map(|score| self.calibrator.probability(score)).collect()
    }

    /// What each feature adds to the log-odds of `row` over an ordinary one, in order of the features.
    pub fn drivers(&self, row: &[f64]) -> Vec<f64> {
        let of = |rows: ArrayView2<'_, f64>| self.probabilities(rows).into_iter().map(log_odds).collect();
        drivers::shapley(row, &self.usual, &of)
    }
}

/// ln(p / (1 − p)), finite for every probability.
pub(crate) fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln()
}

/// The probability of these log-odds.
fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The mean of each number and the commonest level of each category.
fn usual(sample: &Sample) -> Vec<f64> {
    let of = |(feature, column): (&Feature, ndarray::ArrayView1<'_, f64>)| {
        let known: Array1<f64> = column.iter().copied().filter(|value| value.is_finite()).collect();
        if !feature.is_category() {
            return known.mean().unwrap_or(0.0);
        }
        let mut counts = vec![0_usize; feature.levels.len()];
        known.iter().for_each(|level| counts[*level as usize] += 1);
        (0..counts.len()).max_by_key(|level| (counts[*level], std::cmp::Reverse(*level))).unwrap_or(0) as f64
    };
    sample.features.iter().zip(sample.values.columns()).map(of).collect()
}

#[cfg(test)]
mod tests;
