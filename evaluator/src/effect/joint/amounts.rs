//! The amount where the event happened.

use boost::Objective;
use serde::{Deserialize, Serialize};

use super::Of;
use super::line::{Lesson, Line};
use crate::error::Result;

/// The mean amount where the event happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Amounts {
    /// Itself.
    Whole(Box<Line>),
    /// What a discount leaves of it. Before it, arms hardly differ; the discount itself is nearly certain once the event
    /// happened: apart, both are learnt from far fewer rows than their difference.
    Left {
        /// Before the discount.
        before: Box<Line>,
        /// The discount.
        discount: Box<Line>,
    },
}

impl Amounts {
    /// Learns it from the rows where `event` happened.
    pub(super) fn fit(lesson: Lesson<'_>, of: Of<'_>, event: &[f64]) -> Result<Self> {
        let happened: Vec<usize> = (0..event.len()).filter(|&row| event[row] > 0.0).collect();
        let features = lesson.features.select(&happened);
        let action: Vec<usize> = happened.iter().map(|&row| lesson.action[row]).collect();
        let line = |of: &dyn Fn(usize) -> f64| {
            let values: Vec<f64> = happened.iter().map(|&row| of(row)).collect();
            let objective = Objective::Squared;
            let lesson =
                Lesson { features: &features, action: &action, values: &values, objective, ..lesson };
            lesson.fit(None).map(Box::new)
        };
        let Of::Left(_, discount) = of else { return Ok(Self::Whole(line(&|row| lesson.values[row])?)) };
        let before = line(&|row| lesson.values[row] + discount[row])?;
        Ok(Self::Left { before, discount: line(&|row| discount[row])? })
    }

    /// Of a row under `arm`; no offer takes nothing, and none adds to an amount.
    pub(super) fn of(&self, row: &[f64], arm: usize) -> f64 {
        match self {
            Self::Whole(line) => line.predict(row, arm, None),
            Self::Left { before, discount } => {
                let taken = if arm == 0 { 0.0 } else { discount.predict(row, arm, None).max(0.0) };
                before.predict(row, arm, None) - taken
            }
        }
    }

    /// Of every arm.
    pub(super) fn of_all(&self, row: &[f64]) -> Vec<f64> {
        match self {
            Self::Whole(line) => line.means(row),
            Self::Left { before, discount } => {
                let taken = discount.means(row).into_iter().enumerate();
                let taken = taken.map(|(arm, taken)| if arm == 0 { 0.0 } else { taken.max(0.0) });
                before.means(row).into_iter().zip(taken).map(|(before, taken)| before - taken).collect()
            }
        }
    }
}
