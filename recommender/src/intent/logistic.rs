//! Logistic regression by linfa.

use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

/// Weights of the encoded columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    weights: Vec<f64>,
    intercept: f64,
}

impl Line {
    pub(super) fn log_odds(&self, rows: ArrayView2<'_, f64>) -> Vec<f64> {
        (rows.dot(&Array1::from(self.weights.clone())) + self.intercept).to_vec()
    }
}

/// Fits with a ridge of 1 on the weights of standardised columns.
pub(super) fn fit(rows: Array2<f64>, outcomes: &[bool]) -> Result<Line, String> {
    let data = DatasetBase::new(rows, Array1::from(outcomes.to_vec()));
    let model = LogisticRegression::default()
        .alpha(1.0)
        .max_iterations(300)
        .gradient_tolerance(1e-3)
        .fit(&data)
        .map_err(|cause| cause.to_string())?;
    // linfa chooses which label is positive.
    let sign = if model.labels().pos.class { 1.0 } else { -1.0 };
    let weights: Vec<f64> = model.params().iter().map(|weight| sign * weight).collect();
    let intercept = sign * model.intercept();
    if weights.iter().chain([&intercept]).all(|weight| weight.is_finite()) {
        Ok(Line { weights, intercept })
    } else {
        Err("the weights are not finite".into())
    }
}
