//! One model of all arms, its prior learnt with it.
//!
//! The score of a row z under arm a is b(z)·β + Σ_d d_a·(b(z)·δ_d) + b(z)·γ_a: the control's own line, what a step of each
//! of the arm's descriptions adds to it, and what is the arm's alone. b(z) holds 1 and the standardised features, and
//! their products two by two where the evidence is for them. Nearly all of δ and γ is nothing, but which is not known:
//! every coefficient is normal around 0 with a variance of its own, and the variances are those under which the rows are
//! likeliest (automatic relevance determination, MacKay 1992; Tipping 2001). Arms of which little is known thus lie near
//! what their kin and the control say. The time of a row moves the control's line alone: an arm that was given on few
//! days would have no slopes of its own over them.

mod basis;
mod fit;

use boost::{Matrix, Objective};
use serde::{Deserialize, Serialize};

use self::basis::Basis;
use self::fit::{Rows, fit};
use crate::error::{Error, Result};

/// Coefficients beyond which products of features are not tried, and arms have no slopes of their own.
const MOST_COEFFICIENTS: usize = 400;

/// The fitted model of one outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    objective: Objective,
    basis: Basis,
    layout: Layout,
    coefficients: Vec<f64>,
    /// Logarithm of the probability of the rows under the prior that was learnt (Laplace).
    evidence: f64,
}

/// The model of an outcome, or of an event and of the amount where it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Joint {
    /// Of the outcome itself.
    One(Line),
    /// Probability of the event times the mean amount.
    TwoPart(Box<Line>, Box<Line>),
    /// The same of an amount from which a discount is taken. Before it, arms hardly differ; the discount itself is nearly
    /// certain once the event happened: apart, both are learnt from far fewer rows than their difference.
    Discounted {
        /// Probability of the event.
        chance: Box<Line>,
        /// Mean amount before the discount, where the event happened.
        before: Box<Line>,
        /// Mean discount, where the event happened.
        discount: Box<Line>,
    },
}

/// Where the coefficients of each part stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Layout {
    /// Length of the basis without what tells of the time.
    width: usize,
    /// What tells of the time, at the end of the basis; models of before it was learnt have none.
    #[serde(default)]
    of_time: usize,
    /// Descriptions of an arm.
    descriptions: usize,
    /// Coefficients that are one arm's alone: all of the basis, or its 1.
    own: usize,
}

impl Layout {
    fn new(width: usize, of_time: usize, arms: &[Vec<f64>]) -> Self {
        let descriptions = arms.first().map_or(0, Vec::len);
        let slopes = width * (descriptions + arms.len());
        Self { width, of_time, descriptions, own: if slopes <= MOST_COEFFICIENTS { width } else { 1 } }
    }

    /// Length of the basis.
    fn whole(&self) -> usize {
        self.width + self.of_time
    }

    fn coefficients(&self, arms: usize) -> usize {
        self.whole() + self.width * self.descriptions + self.own * (arms - 1)
    }

    /// The parts that speak for `arm`: where each begins, how long it is, and its factor.
    fn parts(&self, arm: usize, described: &[f64]) -> Vec<(usize, usize, f64)> {
        let mut parts = vec![(0, self.whole(), 1.0)];
        if arm > 0 {
            let along = described.iter().enumerate().filter(|(_, by)| **by != 0.0);
            parts.extend(along.map(|(at, by)| (self.whole() + self.width * at, self.width, *by)));
            let shared = self.whole() + self.width * self.descriptions;
            parts.push((shared + self.own * (arm - 1), self.own, 1.0));
        }
        parts
    }
}

/// What is learnt from.
#[derive(Clone, Copy)]
pub(crate) struct Lesson<'a> {
    pub(crate) features: &'a Matrix,
    /// Of their columns so many, the last, tell of the time.
    pub(crate) of_time: usize,
    pub(crate) action: &'a [usize],
    pub(crate) arms: &'a [Vec<f64>],
    pub(crate) values: &'a [f64],
    pub(crate) objective: Objective,
}

impl Lesson<'_> {
    fn fit(self) -> Result<Line> {
        let plain = self.line(false)?;
        let width = Basis::width(self.features.columns() - self.of_time, true);
        if width * (2 + plain.layout.descriptions) > MOST_COEFFICIENTS {
            return Ok(plain);
        }
        let curved = self.line(true)?;
        Ok(if curved.evidence > plain.evidence { curved } else { plain })
    }

    fn line(self, products: bool) -> Result<Line> {
        let basis = Basis::new(self.features, self.of_time, products);
        let width = Basis::width(self.features.columns() - self.of_time, products);
        let layout = Layout::new(width, self.of_time, self.arms);
        let rows = Rows { basis: &basis, layout: &layout, lesson: self };
        let (coefficients, evidence) = fit(&rows)
            .ok_or_else(|| Error::Internal("the model of all arms has no curvature to go by".into()))?;
        Ok(Line { objective: self.objective, basis, layout, coefficients, evidence })
    }
}

impl Line {
    fn predict(&self, row: &[f64], arm: usize, arms: &[Vec<f64>]) -> f64 {
        let basis = self.basis.of(row);
        let parts = self.layout.parts(arm, &arms[arm]);
        let score: f64 = parts
            .into_iter()
            .map(|(from, length, by)| {
                let own = &self.coefficients[from..from + length];
                by * own.iter().zip(&basis).map(|(coefficient, x)| coefficient * x).sum::<f64>()
            })
            .sum();
        self.objective.mean(score)
    }
}

impl Joint {
    /// Fits; with an `event`, the amounts are learnt from the rows where it happened, and where a `discount` was taken from
    /// them, before it and apart from it.
    pub(crate) fn fit(lesson: Lesson<'_>, event: Option<&[f64]>, discount: Option<&[f64]>) -> Result<Self> {
        let Some(event) = event else { return Ok(Self::One(lesson.fit()?)) };
        let chance = Lesson { values: event, objective: Objective::Logistic, ..lesson }.fit()?;
        let happened: Vec<usize> = (0..event.len()).filter(|&row| event[row] > 0.0).collect();
        let features = lesson.features.select(&happened);
        let action: Vec<usize> = happened.iter().map(|&row| lesson.action[row]).collect();
        let amount = |of: &dyn Fn(usize) -> f64| {
            let values: Vec<f64> = happened.iter().map(|&row| of(row)).collect();
            Lesson { features: &features, action: &action, values: &values, ..lesson }.fit()
        };
        let Some(discount) = discount else {
            return Ok(Self::TwoPart(Box::new(chance), Box::new(amount(&|row| lesson.values[row])?)));
        };
        let before = amount(&|row| lesson.values[row] + discount[row])?;
        let discount = amount(&|row| discount[row])?;
        Ok(Self::Discounted {
            chance: Box::new(chance),
            before: Box::new(before),
            discount: Box::new(discount),
        })
    }

    /// Expected outcome of a row under `arm`.
    pub fn predict(&self, row: &[f64], arm: usize, arms: &[Vec<f64>]) -> f64 {
        match self {
            Self::One(line) => line.predict(row, arm, arms),
            Self::TwoPart(chance, amount) => chance.predict(row, arm, arms) * amount.predict(row, arm, arms),
            Self::Discounted { chance, before, discount } => {
                let taken = if arm == 0 { 0.0 } else { discount.predict(row, arm, arms).max(0.0) };
                chance.predict(row, arm, arms) * (before.predict(row, arm, arms) - taken)
            }
        }
    }
}

#[cfg(test)]
mod tests;
