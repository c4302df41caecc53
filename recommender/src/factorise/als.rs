//! Alternating least squares of implicit feedback (Hu, Koren and Volinsky 2008): preferences of 1 with confidence
//! c = 1 + α·r where something was taken, of 0 with confidence 1 elsewhere.
//!
//! Each row's normal equations are formed whole by a register-tiled product of the gathered factors, half of it for
//! symmetry, and solved by conjugate gradients started from the row's last factor: once the small matrix is in
//! cache, a step of it costs next to nothing, so each half-step is exact to 1e-4 and fewer of them are needed.

mod solve;

use ndarray::Array2;
use rayon::prelude::*;

use self::solve::{Rows, Scratch, Sides};
use super::dense::{gaussian, gram};
use super::{SvdError, Watch};
use crate::matrix::Csr;

/// Factors are kept as a multiple of this: two of the widest registers.
const LANES: usize = 32;
/// Rows a task takes.
const ROWS_A_TASK: usize = 64;

/// What to compute.
#[derive(Debug, Clone, Copy)]
pub struct AlsPlan {
    /// Factors.
    pub rank: usize,
    /// α.
    pub alpha: f32,
    /// λ.
    pub ridge: f32,
    /// Times both sides are solved for.
    pub iterations: usize,
    /// Seed of the random start.
    pub seed: u64,
}

/// Factors of both sides.
#[derive(Debug, Clone)]
pub struct AlsFactors {
    /// One row a row of the matrix.
    pub rows: Array2<f32>,
    /// One row a column of the matrix.
    pub columns: Array2<f32>,
}

/// Factors of `matrix`, whose entries are r above 0; `each` sees them after each iteration.
///
/// # Errors
/// An empty matrix, values that overflow, or cancellation.
pub fn alternating_least_squares(
    matrix: &Csr,
    plan: AlsPlan,
    watch: Watch,
    each: &mut dyn FnMut(usize, &AlsFactors),
) -> Result<AlsFactors, SvdError> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    if matrix.nnz() == 0 {
        return Err(SvdError::Empty { rows, cols, nnz: 0 });
    }
    let transposed = matrix.transpose();
    let width = plan.rank.next_multiple_of(LANES);
    let start = |count: usize, seed: u64| {
        let mut factors = gaussian(count, plan.rank, seed);
        factors *= 0.1 / (plan.rank as f32).sqrt();
        padded(&factors, width)
    };
    let mut factors = AlsFactors { rows: Array2::zeros((rows, width)), columns: start(cols, plan.seed) };
    for iteration in 0..plan.iterations {
        watch.step(iteration as f64 / plan.iterations as f64)?;
        half_step(matrix, &factors.columns, &mut factors.rows, plan);
        watch.step((iteration as f64 + 0.5) / plan.iterations as f64)?;
        half_step(&transposed, &factors.rows, &mut factors.columns, plan);
        each(iteration, &factors);
    }
    if factors.columns.iter().chain(&factors.rows).any(|value| !value.is_finite()) {
        return Err(SvdError::Numerical("the factors overflowed; scale the matrix or alpha down".into()));
    }
    watch.step(1.0)?;
    let cut = |x: &Array2<f32>| x.slice(ndarray::s![.., ..plan.rank]).to_owned();
    Ok(AlsFactors { rows: cut(&factors.rows), columns: cut(&factors.columns) })
}

fn padded(factors: &Array2<f32>, width: usize) -> Array2<f32> {
    let mut wide = Array2::zeros((factors.nrows(), width));
    wide.slice_mut(ndarray::s![.., ..factors.ncols()]).assign(factors);
    wide
}

/// Solves for every row's factor with the other side's `fixed`; `target` holds the last ones, to start from.
fn half_step(matrix: &Csr, fixed: &Array2<f32>, target: &mut Array2<f32>, plan: AlsPlan) {
    let width = fixed.ncols();
    let mut shared = gram(fixed.view(), fixed.view()).mapv(|value| value as f32);
    shared.diag_mut().mapv_inplace(|value| value + plan.ridge);
    let (Some(shared), Some(fixed), Some(target)) =
        (shared.as_slice(), fixed.as_slice(), target.as_slice_mut())
    else {
        unreachable!("all three are made in standard layout");
    };
    let arch = pulp::Arch::new();
    let sides = Sides { matrix, fixed, shared, alpha: plan.alpha, width };
    target.par_chunks_mut(ROWS_A_TASK * width).enumerate().for_each_init(
        || Scratch::new(width),
        |scratch, (task, target)| {
            arch.dispatch(Rows { sides, first: task * ROWS_A_TASK, scratch, target });
        },
    );
}
