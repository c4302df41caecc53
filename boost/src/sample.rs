//! What models are fitted to.

use crate::Objective;
use crate::error::{Error, Result};
use crate::matrix::Matrix;

/// What is learnt from: features, a target for each row, and weights.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The features.
    pub features: &'a Matrix,
    /// The target of each row.
    pub targets: &'a [f64],
    /// Weight of each row, at least 0; `None` weighs all alike.
    pub weights: Option<&'a [f64]>,
}

impl<'a> Sample<'a> {
    /// Rows of equal weight.
    pub fn new(features: &'a Matrix, targets: &'a [f64]) -> Self {
        Self { features, targets, weights: None }
    }

    /// Rows weighted by `weights`.
    pub fn weighted(features: &'a Matrix, targets: &'a [f64], weights: &'a [f64]) -> Self {
        Self { features, targets, weights: Some(weights) }
    }

    /// Weight of a row.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// Σ weight and the weighted mean of the target.
    pub(crate) fn totals(&self) -> (f64, f64) {
        let total: f64 = (0..self.targets.len()).map(|row| self.weight(row)).sum();
        let sum: f64 = (0..self.targets.len()).map(|row| self.weight(row) * self.targets[row]).sum();
        (total, sum / total)
    }

    /// Refuses what no model of `objective` can be fitted to.
    pub(crate) fn check(&self, objective: Objective) -> Result<()> {
        let rows = self.features.rows();
        let length = |what, found: usize| {
            if found == rows { Ok(()) } else { Err(Error::Length { what, expected: rows, found }) }
        };
        length("targets", self.targets.len())?;
        if let Some(weights) = self.weights {
            length("weights", weights.len())?;
            if let Some(row) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
                let rule = "must be finite and at least 0";
                return Err(Error::Value { what: "weight", row, value: weights[row], rule });
            }
        }
        let (fits, rule): (fn(f64) -> bool, _) = match objective {
            Objective::Squared => (f64::is_finite, "must be finite"),
            Objective::Logistic => (|t| (0.0..=1.0).contains(&t), "must be 0 to 1"),
        };
        if let Some(row) = self.targets.iter().position(|&target| !fits(target)) {
            return Err(Error::Value { what: "target", row, value: self.targets[row], rule });
        }
        if (0..rows).any(|row| self.weight(row) > 0.0) { Ok(()) } else { Err(Error::Empty) }
    }

    /// Where the score of an empty model starts: the mean, or the log odds of the mean with half a row of each kind
    /// added, so that a sample without a success has a finite score.
    pub(crate) fn base(&self, objective: Objective) -> f64 {
        let (total, mean) = self.totals();
        match objective {
            Objective::Squared => mean,
            Objective::Logistic => {
                let hits = mean * total;
                ((hits + 0.5) / (total - hits + 0.5)).ln()
            }
        }
    }
}
