//! One outcome of all arms: the line, what it is learnt from, and draws from its posterior.

use boost::linear::Cholesky;
use boost::{Matrix, Objective};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use super::basis::Basis;
use super::baskets::{Baskets, Felt};
use super::fit::{Rows, fit};
use super::layout::Layout;
use super::steps::Steps;
use crate::error::{Error, Result};

/// Draws from the posterior of a probability.
pub(super) const DRAWS: usize = 64;

/// The fitted model of one outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    objective: Objective,
    basis: Basis,
    layout: Layout,
    /// The steps that lead to each arm.
    steps: Vec<Vec<usize>>,
    coefficients: Vec<f64>,
    /// Draws from the posterior: what each adds to the coefficients.
    draws: Vec<Vec<f32>>,
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
    /// Learns the line. By `baskets` offers are felt otherwise by one person than by another; without, alike by all.
    pub(super) fn fit(self, baskets: Option<&Baskets>) -> Result<Line> {
        let features = self.features.columns() - self.of_time;
        let steps = self.steps.to.len().saturating_sub(1);
        let felt = baskets.is_some_and(Baskets::are_felt);
        let layout = Layout::new(features, self.of_time, steps, felt);
        let products = layout.width > Basis::width(features, false);
        let basis = Basis::new(self.features, self.of_time, products);
        let (coefficients, precision) = fit(&Rows { basis: &basis, layout: &layout, lesson: self, baskets })
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
    /// Arms it knows, the control among them.
    pub(super) fn arms(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn has_draws(&self) -> bool {
        !self.draws.is_empty()
    }

    #[must_use]
    pub(super) fn without_draws(&self) -> Self {
        let mut bare = self.clone();
        bare.draws.clear();
        bare
    }

    /// What is expected of a row under `arm`, which all feel alike.
    pub(super) fn predict(&self, row: &[f64], arm: usize) -> f64 {
        self.alike(row)[arm]
    }

    /// What `coefficients` say of each arm, `felt` so, before it is taken for a mean.
    fn scores<T: Copy + Into<f64>>(
        &self,
        coefficients: &[T],
        basis: &[f64],
        felt: &[Option<Felt>],
    ) -> Vec<f64> {
        let part = |from: usize, length: usize| -> f64 {
            let own = coefficients[from..from + length].iter().zip(basis);
            own.map(|(coefficient, x)| (*coefficient).into() * x).sum()
        };
        let layout = &self.layout;
        let control = part(0, layout.whole());
        let added: Vec<f64> = (0..layout.steps).map(|step| part(layout.of_step(step), layout.step)).collect();
        let more = |step: usize| part(layout.of_more(step), layout.more);
        let of_arm = |(to, felt): (&Vec<usize>, &Option<Felt>)| -> f64 {
            let all = to.iter();
            match felt {
                None => all.map(|step| added[*step]).sum(),
                Some(felt) => {
                    felt.share * all.map(|step| added[*step] + felt.beyond * more(*step)).sum::<f64>()
                }
            }
        };
        self.steps.iter().zip(felt).map(of_arm).map(|added| control + added).collect()
    }

    /// What is expected of every arm, `felt` so.
    pub(super) fn means(&self, row: &[f64], felt: &[Option<Felt>]) -> Vec<f64> {
        let scores = self.scores(&self.coefficients, &self.basis.of(row), felt);
        scores.into_iter().map(|score| self.objective.mean(score)).collect()
    }

    /// The same where all feel every arm alike.
    pub(super) fn alike(&self, row: &[f64]) -> Vec<f64> {
        self.means(row, &vec![None; self.arms()])
    }

    /// By draw, then arm: how far its mean lies from what is predicted.
    pub(super) fn deviations(&self, row: &[f64], felt: &[Option<Felt>]) -> Vec<Vec<f64>> {
        let basis = self.basis.of(row);
        let scores = self.scores(&self.coefficients, &basis, felt);
        let means: Vec<f64> = scores.iter().map(|score| self.objective.mean(*score)).collect();
        let of_draw = |draw: &Vec<f32>| {
            let beside = self.scores(draw, &basis, felt);
            let moved = beside.iter().zip(&scores).map(|(by, score)| self.objective.mean(score + by));
            moved.zip(&means).map(|(moved, mean)| moved - mean).collect()
        };
        self.draws.iter().map(of_draw).collect()
    }
}
