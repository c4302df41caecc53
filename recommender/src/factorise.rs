//! Truncated singular value decomposition of a sparse matrix, never made dense: A ≈ U · diag(s) · Vᵀ.
//!
//! Two roads to the same factors. [`krylov`] (block Krylov with Cholesky-QR) is fast and serves training;
//! [`lobpcg`] (linfa-linalg's locally optimal block preconditioned conjugate gradients) is accurate to its
//! tolerance and checks the first. Both work on the smaller side of A and use A only through products.

mod als;
mod dense;
mod krylov;
mod lobpcg;
mod loss;
mod output;

use ndarray::Array2;

pub use als::{AlsFactors, AlsPlan, alternating_least_squares};
pub use loss::als_loss;

use crate::matrix::Csr;

/// Which algorithm finds the factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Road {
    /// Block Krylov with Cholesky-QR: four products each way.
    #[default]
    #[value(name = "krylov")]
    Fast,
    /// linfa-linalg's LOBPCG to a residual of 1e-3 of the least eigenvalue wanted.
    #[value(name = "lobpcg")]
    Accurate,
}

/// What to compute.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Singular triplets wanted; 1 to the smaller side of the matrix.
    pub rank: usize,
    /// Seed of the random start.
    pub seed: u64,
    /// The algorithm.
    pub road: Road,
}

/// The leading singular triplets, singular values descending, in `f32`.
#[derive(Debug, Clone)]
pub struct Factors {
    /// Left singular vectors, rows × rank, orthonormal columns.
    pub u: Array2<f32>,
    /// Singular values, rank long, descending, not negative.
    pub s: Vec<f32>,
    /// Right singular vectors, columns × rank, orthonormal columns.
    pub v: Array2<f32>,
    /// Times the matrix was read: products with it and with its transpose.
    pub passes: usize,
}

/// A decomposition was refused or not reached.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SvdError {
    /// The matrix has no rows, no columns or no entries other than zero.
    #[error("the matrix is empty: {rows} x {cols} with {nnz} entries other than zero")]
    Empty {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// Entries other than zero.
        nnz: usize,
    },
    /// The rank does not fit the matrix.
    #[error("rank {rank} is outside 1 to {most}, the smaller side of a {rows} x {cols} matrix")]
    Rank {
        /// Asked for.
        rank: usize,
        /// The smaller side.
        most: usize,
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// The arithmetic broke down: values too large to square in `f32`.
    #[error("the arithmetic broke down: {0}")]
    Numerical(String),
    /// The caller no longer wants the answer.
    #[error("cancelled")]
    Cancelled,
}

/// How a computation tells its progress and learns that it should stop.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Called with the share done, 0 to 1.
    pub report: &'a (dyn Fn(f64) + Sync),
    /// Asked between passes; `true` stops the work.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Watch<'static> {
    /// Tells nobody and never stops.
    pub fn idle() -> Self {
        Self { report: &|_| {}, cancelled: &|| false }
    }
}

impl Watch<'_> {
    pub(crate) fn step(&self, share: f64) -> Result<(), SvdError> {
        if (self.cancelled)() {
            return Err(SvdError::Cancelled);
        }
        (self.report)(share);
        Ok(())
    }
}

/// The leading `settings.rank` singular triplets of `a`.
///
/// # Errors
/// An empty matrix, a rank outside it, values whose squares overflow, or cancellation.
pub fn truncated_svd(a: &Csr, settings: Settings, watch: Watch) -> Result<Factors, SvdError> {
    let (rows, cols) = (a.rows(), a.cols());
    let nnz = (0..rows).flat_map(|r| a.row(r)).filter(|&(_, value)| value != 0.0).count();
    if nnz == 0 {
        return Err(SvdError::Empty { rows, cols, nnz });
    }
    let most = rows.min(cols);
    if settings.rank == 0 || settings.rank > most {
        return Err(SvdError::Rank { rank: settings.rank, most, rows, cols });
    }
    let transposed = a.transpose();
    let road = match settings.road {
        Road::Fast => krylov::right_side,
        Road::Accurate => lobpcg::right_side,
    };
    // Both roads iterate on AᵀA, columns × columns; a wide matrix is turned first.
    if cols <= rows {
        road(a, &transposed, settings, watch)
    } else {
        let turned = road(&transposed, a, settings, watch)?;
        Ok(Factors { u: turned.v, v: turned.u, ..turned })
    }
}

#[cfg(test)]
mod tests;
