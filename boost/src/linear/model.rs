use serde::{Deserialize, Serialize};

use crate::Objective;
use crate::matrix::Matrix;

/// A fitted linear or logistic model: plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// What was minimised.
    pub objective: Objective,
    /// Mean of each feature in training; it stands in for a missing value.
    pub means: Vec<f64>,
    /// Standard deviation of each feature; 0 where it never varied, and then it has no say.
    pub deviations: Vec<f64>,
    /// Intercept, then the coefficient of each standardised feature.
    pub coefficients: Vec<f64>,
    /// Covariance of the coefficients, row-major: the inverse of the penalised Hessian (Laplace), times the residual
    /// variance for squared error.
    pub covariance: Vec<f64>,
}

impl Linear {
    /// 1, then each feature standardised.
    pub fn design(&self, row: &[f64]) -> Vec<f64> {
        let mut design = Vec::with_capacity(row.len() + 1);
        design.push(1.0);
        design.extend(
            row.iter().zip(self.means.iter().zip(&self.deviations)).map(|(value, (mean, sd))| {
                if value.is_nan() || *sd <= 0.0 { 0.0 } else { (value - mean) / sd }
            }),
        );
        design
    }

    /// The linear predictor of a row: the mean, or the log odds.
    pub fn score(&self, row: &[f64]) -> f64 {
        self.design(row).iter().zip(&self.coefficients).map(|(x, beta)| x * beta).sum()
    }

    /// The prediction for a row on the target's scale.
    pub fn predict(&self, row: &[f64]) -> f64 {
        self.objective.mean(self.score(row))
    }

    /// The predictions for all rows.
    pub fn predict_all(&self, features: &Matrix) -> Vec<f64> {
        (0..features.rows()).map(|row| self.predict(features.row(row))).collect()
    }

    /// Variance of [`Self::score`].
    pub fn variance(&self, row: &[f64]) -> f64 {
        let design = self.design(row);
        let n = design.len();
        let mut sum = 0.0;
        for (i, x) in design.iter().enumerate() {
            let along: f64 =
                self.covariance[i * n..(i + 1) * n].iter().zip(&design).map(|(c, y)| c * y).sum();
            sum += x * along;
        }
        sum.max(0.0)
    }

    /// What each feature adds to the score of a row; with the returned bias they sum to [`Self::score`].
    pub fn contributions(&self, row: &[f64]) -> (f64, Vec<f64>) {
        let design = self.design(row);
        let parts = design[1..].iter().zip(&self.coefficients[1..]).map(|(x, beta)| x * beta).collect();
        (self.coefficients[0], parts)
    }
}
