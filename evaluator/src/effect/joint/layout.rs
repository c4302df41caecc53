//! Where the coefficients of each part of a line stand, and what they are multiplied by.

use serde::{Deserialize, Serialize};

use super::basis::Basis;
use super::baskets::Felt;

/// Coefficients beyond which products of features are not tried.
const MOST_WITH_PRODUCTS: usize = 400;
/// Coefficients beyond which steps have no slopes, each moves all people alike.
const MOST_COEFFICIENTS: usize = 1_000;

/// Where the coefficients of each part stand: the control's first, then every step's, then what every step adds where its
/// offer is felt more than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// Length of the basis without what tells of the time.
    pub(super) width: usize,
    /// What tells of the time, at the end of the basis.
    pub(super) of_time: usize,
    /// Steps there are.
    pub(super) steps: usize,
    /// Coefficients of a step: all of the basis but the time, or its 1.
    pub(super) step: usize,
    /// Coefficients of what a step adds where it is felt more than usual: one or none.
    pub(super) more: usize,
}

/// Coefficients and what they are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// The first of the coefficients.
    pub(super) from: usize,
    /// How many there are.
    pub(super) length: usize,
    /// Place in the arm's basis of what the first is multiplied by.
    pub(super) at: usize,
}

impl Layout {
    /// For a person of so many features and so many steps; whether offers are felt otherwise by one than by another.
    pub(super) fn new(features: usize, of_time: usize, steps: usize, felt: bool) -> Self {
        let slopes = |products: bool| Basis::width(features, products) * (steps + 1);
        let products = slopes(true) <= MOST_WITH_PRODUCTS;
        let width = Basis::width(features, products);
        let step = if slopes(products) <= MOST_COEFFICIENTS { width } else { 1 };
        let more = usize::from(felt);
        Self { width, of_time, steps, step, more }
    }

    /// Length of the control's basis.
    pub(super) fn whole(&self) -> usize {
        self.width + self.of_time
    }

    /// All coefficients.
    pub(super) fn coefficients(&self) -> usize {
        self.whole() + (self.step + self.more) * self.steps
    }

    /// The first coefficient of a step.
    pub(super) fn of_step(&self, step: usize) -> usize {
        self.whole() + self.step * step
    }

    /// The first coefficient of what it adds where it is felt more than usual.
    pub(super) fn of_more(&self, step: usize) -> usize {
        self.of_step(self.steps) + self.more * step
    }

    /// The parts that speak for an arm, the control's first; whether it is felt otherwise by one than by another.
    pub(super) fn parts(&self, steps: &[usize], felt: bool) -> Vec<Part> {
        let (whole, step, more) = (self.whole(), self.step, self.more);
        let at = if felt { whole } else { 0 };
        let mut parts = vec![Part { from: 0, length: whole, at: 0 }];
        parts.extend(steps.iter().map(|of| Part { from: self.of_step(*of), length: step, at }));
        if felt && more > 0 {
            let at = whole + step;
            parts.extend(steps.iter().map(|of| Part { from: self.of_more(*of), length: more, at }));
        }
        parts
    }

    /// Length of an arm's basis.
    pub(super) fn length(&self, felt: bool) -> usize {
        self.whole() + if felt { self.step + self.more } else { 0 }
    }

    /// An arm's basis: the control's, and where the arm is felt otherwise by one than by another, what its steps are
    /// multiplied by.
    pub(super) fn of_arm(&self, mut basis: Vec<f64>, felt: Option<Felt>) -> Vec<f64> {
        let Some(Felt { share, beyond }) = felt else { return basis };
        for i in 0..self.step {
            basis.push(share * basis[i]);
        }
        for i in 0..self.more {
            basis.push(share * beyond * basis[i]);
        }
        basis
    }
}
