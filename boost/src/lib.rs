//! Gradient-boosted trees and generalised linear models over plain rows of numbers.
//!
//! Knows no shopper, item or offer: a service gives it a [`Matrix`], a target and weights, and gets a model that is
//! plain data (serde). The same input and seed give the same model, however many threads work on it.

pub mod error;
pub mod linear;
pub mod matrix;
pub mod sample;
pub mod trees;

pub use error::{Error, Result};
pub use linear::{Linear, logistic, ridge};
pub use matrix::Matrix;
pub use sample::Sample;
pub use trees::{Monotone, Settings, Stopping, Trees};

use serde::{Deserialize, Serialize};

/// What is minimised, and the scale predictions are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objective {
    /// Squared error; predictions are means.
    Squared,
    /// Log loss of targets in [0, 1]; predictions are probabilities.
    Logistic,
}

impl Objective {
    /// From the additive scale to the scale of the target.
    pub fn mean(self, score: f64) -> f64 {
        match self {
            Self::Squared => score,
            Self::Logistic => sigmoid(score),
        }
    }

    /// Loss of one row on the additive scale.
    pub fn loss(self, score: f64, target: f64) -> f64 {
        match self {
            Self::Squared => 0.5 * (score - target).powi(2),
            // ln(1 + e^s) − ts, without overflow.
            Self::Logistic => score.max(0.0) + (-score.abs()).exp().ln_1p() - target * score,
        }
    }

    /// First and second derivative of the loss by the score.
    pub fn derivatives(self, score: f64, target: f64) -> (f64, f64) {
        match self {
            Self::Squared => (score - target, 1.0),
            Self::Logistic => {
                let p = sigmoid(score);
                (p - target, (p * (1.0 - p)).max(1e-16))
            }
        }
    }
}

/// 1 / (1 + e⁻ˢ), without overflow.
pub fn sigmoid(score: f64) -> f64 {
    if score >= 0.0 {
        1.0 / (1.0 + (-score).exp())
    } else {
        let e = score.exp();
        e / (1.0 + e)
    }
}
