//! Models of what is expected without asking what caused it.

use boost::{Linear, Matrix, Objective, Sample, Settings, Stopping, Trees, logistic, ridge};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What responses are modelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Base {
    /// Logistic or linear regression.
    Linear,
    /// Gradient-boosted trees.
    Trees,
}

/// Ridge penalty, in rows: weak against thousands of rows, strong against a handful.
const L2: f64 = 5.0;

/// A fitted model of a mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// A linear model.
    Linear(Linear),
    /// Boosted trees.
    Trees(Trees),
    /// Probability of an event times the mean amount where it happens.
    TwoPart(Box<Response>, Box<Response>),
    /// The same for all: too few rows for more.
    Constant(f64),
}

impl Response {
    /// Expected value for a row.
    pub fn predict(&self, row: &[f64]) -> f64 {
        match self {
            Self::Linear(model) => model.predict(row),
            Self::Trees(model) => model.predict(row),
            Self::TwoPart(event, amount) => event.predict(row) * amount.predict(row),
            Self::Constant(value) => *value,
        }
    }
}

/// What a response is fitted to: the rows' features and targets, alike in length.
pub(crate) struct Lesson<'a> {
    pub(crate) features: &'a Matrix,
    pub(crate) values: &'a [f64],
    pub(crate) objective: Objective,
    pub(crate) event: Option<&'a [f64]>,
    pub(crate) seed: u64,
}

impl Lesson<'_> {
    /// Fits `base`; an amount with an event in two parts.
    pub(crate) fn fit(&self, base: Base) -> Result<Response> {
        let Some(event) = self.event else {
            return fit(base, self.features, self.values, self.objective, self.seed);
        };
        let happened: Vec<usize> = (0..event.len()).filter(|&row| event[row] > 0.0).collect();
        let amounts: Vec<f64> = happened.iter().map(|&row| self.values[row]).collect();
        let chance = fit(base, self.features, event, Objective::Logistic, self.seed)?;
        let amount = fit(base, &self.features.select(&happened), &amounts, Objective::Squared, self.seed)?;
        Ok(Response::TwoPart(Box::new(chance), Box::new(amount)))
    }
}

/// Rows below which only a mean is fitted.
const LEAST_ROWS: usize = 20;

fn fit(base: Base, features: &Matrix, values: &[f64], objective: Objective, seed: u64) -> Result<Response> {
    if values.len() < LEAST_ROWS {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        return Ok(Response::Constant(mean));
    }
    let sample = Sample::new(features, values);
    let broken = |error: boost::Error| Error::Internal(error.to_string());
    Ok(match (base, objective) {
        (Base::Linear, Objective::Logistic) => Response::Linear(logistic(&sample, L2).map_err(broken)?),
        (Base::Linear, Objective::Squared) => Response::Linear(ridge(&sample, L2).map_err(broken)?),
        (Base::Trees, objective) => {
            let settings = trees(objective, values.len(), seed);
            Response::Trees(boost::trees::fit(&sample, &settings).map_err(broken)?)
        }
    })
}

/// Shallow trees and early stopping: effects are small beside the noise.
fn trees(objective: Objective, rows: usize, seed: u64) -> Settings {
    Settings {
        rounds: 200,
        learning_rate: 0.08,
        leaves: 8,
        depth: 4,
        leaf_rows: (rows / 200).clamp(10, 200),
        l2: L2,
        stopping: Some(Stopping { share: 0.2, patience: 15 }),
        seed,
        ..Settings::new(objective)
    }
}
