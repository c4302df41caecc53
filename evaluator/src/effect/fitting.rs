//! All learners on one set of rows.

use boost::{Matrix, Objective};
use rayon::prelude::*;

use super::joint::{self, Joint, Of};
use super::learner::{Learner, Responses};
use super::panel::{Bought, Panel, Target, with_arm};
use super::response::{Base, Lesson, Response};
use crate::error::{Error, Result};

/// Rows to fit on.
pub(super) struct Ground<'a> {
    pub(super) panel: &'a Panel,
    pub(super) target: Target<'a>,
    pub(super) seed: u64,
}

impl Ground<'_> {
    fn lesson(&self, rows: &[usize], features: &Matrix, base: Base) -> Result<Response> {
        let pick = |from: &[f64]| rows.iter().map(|&row| from[row]).collect::<Vec<f64>>();
        let values = pick(self.target.values);
        let event = self.target.event.map(pick);
        let objective = self.target.objective;
        Lesson { features, values: &values, objective, event: event.as_deref(), seed: self.seed }.fit(base)
    }

    /// The hierarchical model of all arms.
    fn joint(&self, rows: &[usize]) -> Result<Joint> {
        let panel = self.panel;
        let pick = |from: &[f64]| rows.iter().map(|&row| from[row]).collect::<Vec<f64>>();
        let (features, values) = (panel.features.select(rows), pick(self.target.values));
        let action: Vec<usize> = rows.iter().map(|&row| panel.action[row]).collect();
        let (event, discount) = (self.target.event.map(pick), self.target.discount.map(pick));
        let bought = panel.bought.as_ref().map(|bought| bought.select(rows));
        let lesson = joint::Lesson {
            features: &features,
            of_time: panel.of_time,
            action: &action,
            steps: &panel.steps,
            values: &values,
            objective: self.target.objective,
            seed: self.seed,
        };
        let of = match (&event, &discount) {
            (None, _) => Of::Itself,
            (Some(event), None) => Of::Amount(event),
            (Some(event), Some(discount)) => Of::Left(event, discount),
        };
        Joint::fit(lesson, of, bought.as_ref().map(Bought::purchases))
    }

    /// One model with flags and depth of the arm among its features.
    fn together(&self, rows: &[usize]) -> Result<Response> {
        let panel = self.panel;
        let mut values = Vec::new();
        for &row in rows {
            values.extend(with_arm(panel.features.row(row), panel.action[row], &panel.arms, false));
        }
        let columns = values.len() / rows.len().max(1);
        let features =
            Matrix::new(values, rows.len(), columns).map_err(|error| Error::Internal(error.to_string()))?;
        self.lesson(rows, &features, Base::Trees)
    }

    /// One model an arm.
    fn apart(&self, rows: &[usize], base: Base) -> Result<Vec<Response>> {
        let of_arm = |arm: usize| {
            let mine: Vec<usize> =
                rows.iter().copied().filter(|&row| self.panel.action[row] == arm).collect();
            self.lesson(&mine, &self.panel.features.select(&mine), base)
        };
        (0..self.panel.arms.len()).map(of_arm).collect()
    }

    /// Fits all learners on `rows`, in the order of [`Learner::ALL`].
    pub(super) fn fit(&self, rows: &[usize]) -> Result<Vec<Responses>> {
        let fit = |learner: Learner| {
            Ok(match learner {
                Learner::LinearTogether => Responses::Joint(self.joint(rows)?),
                Learner::LinearApart => Responses::Apart(self.apart(rows, Base::Linear)?),
                Learner::TreesTogether => Responses::Together(self.together(rows)?),
                Learner::TreesApart => Responses::Apart(self.apart(rows, Base::Trees)?),
            })
        };
        Learner::ALL.into_par_iter().map(fit).collect()
    }
}

/// Doubly robust pseudo-outcome of `arm` against the control: its mean is the average effect when either the responses or
/// the propensities are right (Robins, Rotnitzky and Zhao 1994). `guess` holds the response of each arm.
pub(super) fn pseudo(panel: &Panel, values: &[f64], row: usize, arm: usize, guess: &[f64]) -> f64 {
    let action = panel.action[row];
    let residual = if action == arm {
        (values[row] - guess[arm]) / panel.propensity[row]
    } else if action == 0 {
        -(values[row] - guess[0]) / panel.propensity[row]
    } else {
        0.0
    };
    guess[arm] - guess[0] + residual
}

/// Objective of an outcome of 0 or 1.
pub(super) const EVENT: Objective = Objective::Logistic;
