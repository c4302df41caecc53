//! One model of all arms, its prior learnt with it.
//!
//! The score of a row z under arm a is b(z)·β + Σ_{s ∈ steps(a)} b(z)·δ_s: the control's own line, and what each step that
//! leads to the arm adds to it. An offer of a family goes all the steps of the shallower ones and one of its own; so the
//! arms of a family lie near each other, and what a deeper discount does beyond a shallower one is learnt as such. b(z)
//! holds 1 and the standardised features, and their products two by two where there are not too many.
//!
//! Nearly all of δ is nothing, but which is not known. Every coefficient is normal around 0, and the variances are those
//! under which the rows are likeliest (automatic relevance determination, MacKay 1992; Tipping 2001). All steps share one
//! variance for each function of the basis: what tells people apart for one offer tells them apart for most, and a
//! variance learnt from one coefficient would follow its noise. Within a family the steps vary together, each as much as
//! it adds to the discount as people feel it: who is moved by a shallow offer is moved further by a deeper one. The time
//! of a row moves the control's line alone: an arm that was given on few days would have no slopes of its own over them.
//!
//! What the rows leave open of a probability is kept as draws from its posterior (Laplace): exploration goes by them.

mod basis;
mod fit;
mod prior;
mod steps;

use boost::linear::Cholesky;
use boost::{Matrix, Objective};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use self::basis::Basis;
use self::fit::{Rows, fit};
pub use self::steps::Steps;
use crate::error::{Error, Result};

/// Coefficients beyond which products of features are not tried.
const MOST_WITH_PRODUCTS: usize = 400;
/// Coefficients beyond which steps have no slopes, each moves all people alike.
const MOST_COEFFICIENTS: usize = 1_000;
/// Draws from the posterior of a probability.
const DRAWS: usize = 64;

/// The fitted model of one outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    objective: Objective,
    basis: Basis,
    layout: Layout,
    /// The steps that lead to each arm.
    steps: Vec<Vec<usize>>,
    coefficients: Vec<f64>,
    /// Draws from the posterior: what each adds to the coefficients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    draws: Vec<Vec<f32>>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Layout {
    /// Length of the basis without what tells of the time.
    width: usize,
    /// What tells of the time, at the end of the basis.
    of_time: usize,
    /// Steps there are.
    steps: usize,
    /// Coefficients of a step: all of the basis but the time, or its 1.
    step: usize,
}

impl Layout {
    /// For a person of so many features and so many steps.
    fn new(features: usize, of_time: usize, steps: usize) -> Self {
        let slopes = |products: bool| Basis::width(features, products) * (steps + 1);
        let products = slopes(true) <= MOST_WITH_PRODUCTS;
        let width = Basis::width(features, products);
        let step = if slopes(products) <= MOST_COEFFICIENTS { width } else { 1 };
        Self { width, of_time, steps, step }
    }

    /// Length of the basis.
    fn whole(&self) -> usize {
        self.width + self.of_time
    }

    fn coefficients(&self) -> usize {
        self.whole() + self.step * self.steps
    }

    /// The parts that speak for an arm, the control's first: where each begins and how long it is.
    fn parts(&self, steps: &[usize]) -> Vec<(usize, usize)> {
        let of_step = |step: &usize| (self.whole() + self.step * step, self.step);
        std::iter::once((0, self.whole())).chain(steps.iter().map(of_step)).collect()
    }
}

/// What is learnt from.
#[derive(Clone, Copy)]
pub(crate) struct Lesson<'a> {
    pub(crate) features: &'a Matrix,
    /// Of their columns so many, the last, tell of the time.
    pub(crate) of_time: usize,
    pub(crate) action: &'a [usize],
    pub(crate) steps: &'a Steps,
    pub(crate) values: &'a [f64],
    pub(crate) objective: Objective,
    /// Seed of the draws.
    pub(crate) seed: u64,
}

impl Lesson<'_> {
    fn fit(self) -> Result<Line> {
        let features = self.features.columns() - self.of_time;
        let layout = Layout::new(features, self.of_time, self.steps.to.len().saturating_sub(1));
        let products = layout.width > Basis::width(features, false);
        let basis = Basis::new(self.features, self.of_time, products);
        let (coefficients, precision) = fit(&Rows { basis: &basis, layout: &layout, lesson: self })
            .ok_or_else(|| Error::Internal("the model of all arms has no curvature to go by".into()))?;
        let draws = match self.objective {
            Objective::Logistic => draws(&precision, coefficients.len(), self.seed),
            Objective::Squared => Vec::new(),
        };
        let (objective, steps) = (self.objective, self.steps.to.clone());
        Ok(Line { objective, basis, layout, steps, coefficients, draws })
    }
}

/// From a normal around 0 whose precision has that root.
fn draws(precision: &Cholesky, order: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut draw = || -> Vec<f32> {
        let normal: Vec<f64> = (0..order).map(|_| StandardNormal.sample(&mut random)).collect();
        precision.half_solve_transposed(&normal).into_iter().map(|value| value as f32).collect()
    };
    (0..DRAWS).map(|_| draw()).collect()
}

impl Line {
    fn predict(&self, row: &[f64], arm: usize) -> f64 {
        let basis = self.basis.of(row);
        let parts = self.layout.parts(&self.steps[arm]);
        let score: f64 = parts
            .into_iter()
            .flat_map(|(from, length)| self.coefficients[from..from + length].iter().zip(&basis))
            .map(|(coefficient, x)| coefficient * x)
            .sum();
        self.objective.mean(score)
    }

    /// What `coefficients` say of each arm, before it is taken for a mean.
    fn scores<T: Copy + Into<f64>>(&self, coefficients: &[T], basis: &[f64]) -> Vec<f64> {
        let part = |from: usize, length: usize| -> f64 {
            let own = coefficients[from..from + length].iter().zip(basis);
            own.map(|(coefficient, x)| (*coefficient).into() * x).sum()
        };
        let control = part(0, self.layout.whole());
        let of_step = |step| part(self.layout.whole() + step * self.layout.step, self.layout.step);
        let added: Vec<f64> = (0..self.layout.steps).map(of_step).collect();
        self.steps.iter().map(|to| control + to.iter().map(|step| added[*step]).sum::<f64>()).collect()
    }

    /// What is expected of each arm.
    fn means(&self, row: &[f64]) -> Vec<f64> {
        let scores = self.scores(&self.coefficients, &self.basis.of(row));
        scores.into_iter().map(|score| self.objective.mean(score)).collect()
    }

    /// By draw, then arm: how far its mean lies from what is predicted.
    fn deviations(&self, row: &[f64]) -> Vec<Vec<f64>> {
        let basis = self.basis.of(row);
        let scores = self.scores(&self.coefficients, &basis);
        let means: Vec<f64> = scores.iter().map(|score| self.objective.mean(*score)).collect();
        let of_draw = |draw: &Vec<f32>| {
            let beside = self.scores(draw, &basis);
            let moved = beside.iter().zip(&scores).map(|(by, score)| self.objective.mean(score + by));
            moved.zip(&means).map(|(moved, mean)| moved - mean).collect()
        };
        self.draws.iter().map(of_draw).collect()
    }
}

/// What is left of an amount under `arm`; no offer takes nothing, and none adds to it.
fn left(arm: usize, before: f64, discount: impl FnOnce() -> f64) -> f64 {
    before - if arm == 0 { 0.0 } else { discount().max(0.0) }
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
    pub fn predict(&self, row: &[f64], arm: usize) -> f64 {
        match self {
            Self::One(line) => line.predict(row, arm),
            Self::TwoPart(chance, amount) => chance.predict(row, arm) * amount.predict(row, arm),
            Self::Discounted { chance, before, discount } => {
                chance.predict(row, arm) * left(arm, before.predict(row, arm), || discount.predict(row, arm))
            }
        }
    }
}

impl Joint {
    /// Draws from the posterior: by draw, then arm, how far its effect beside the control's lies from what is predicted. Who
    /// buys is what is unsure: of an amount, the amount where the event happened is taken for known.
    pub fn deviations(&self, row: &[f64]) -> Vec<Vec<f64>> {
        let chance = match self {
            Self::One(line) => line,
            Self::TwoPart(chance, _) | Self::Discounted { chance, .. } => chance,
        };
        if chance.draws.is_empty() {
            return Vec::new();
        }
        let amounts = self.amounts(row);
        let beside = |of: Vec<f64>| {
            let control = of[0] * amounts[0];
            of.iter().zip(&amounts).map(|(by, amount)| by * amount - control).collect()
        };
        chance.deviations(row).into_iter().map(beside).collect()
    }

    /// By arm: the mean amount where the event happened; 1 of an outcome that is no amount.
    fn amounts(&self, row: &[f64]) -> Vec<f64> {
        match self {
            Self::One(line) => vec![1.0; line.steps.len()],
            Self::TwoPart(_, amount) => amount.means(row),
            Self::Discounted { before, discount, .. } => {
                let both = before.means(row).into_iter().zip(discount.means(row)).enumerate();
                both.map(|(arm, (before, discount))| left(arm, before, || discount)).collect()
            }
        }
    }

    /// The same without its draws: all that is needed to predict.
    #[must_use]
    pub fn without_draws(&self) -> Self {
        let mut bare = self.clone();
        match &mut bare {
            Self::One(line) => line.draws.clear(),
            Self::TwoPart(chance, _) | Self::Discounted { chance, .. } => chance.draws.clear(),
        }
        bare
    }
}

#[cfg(test)]
mod tests;
