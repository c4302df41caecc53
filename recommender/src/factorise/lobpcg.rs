//! The accurate road: linfa-linalg's matrix-free LOBPCG (Knyazev 2001) on AᵀA.

use std::sync::atomic::{AtomicUsize, Ordering};

use linfa_linalg::Order;
use linfa_linalg::lobpcg::lobpcg;
use ndarray::{Array2, ArrayView2};

use super::dense::{gaussian, orthonormal, ritz};
use super::{Factors, Settings, SvdError, Watch, krylov};
use crate::matrix::Csr;

/// Iterations at most: it converges in ten to twenty or, in `f32`, not at all.
const ITERATIONS: usize = 40;

/// Factors of `a` (rows × columns, columns the smaller side); `transposed` is its transpose.
pub(super) fn right_side(
    a: &Csr,
    transposed: &Csr,
    settings: Settings,
    watch: Watch,
) -> Result<Factors, SvdError> {
    let n = a.cols();
    // Its search space is three blocks wide: on a matrix narrower than that the Krylov basis spans everything,
    // which is exact, while LOBPCG's Gram matrices become singular.
    let width = (settings.rank + 8).min(n);
    if n < width * 5 {
        return krylov::right_side(a, transposed, settings, watch);
    }
    watch.step(0.0)?;
    let passes = AtomicUsize::new(0);
    let apply = |x: ArrayView2<f32>| -> Array2<f32> {
        if watch.step(passes.load(Ordering::Relaxed) as f64 / (2.0 * ITERATIONS as f64)).is_err() {
            return Array2::zeros(x.raw_dim()); // It notices at once: nothing is left to orthonormalise.
        }
        passes.fetch_add(2, Ordering::Relaxed);
        transposed.dot(a.dot(x).view())
    };
    // One application turns the start towards the large values and tells their size.
    let start = orthonormal(apply(orthonormal(gaussian(n, width, settings.seed))?.view()))?;
    let image = a.dot(start.view());
    passes.fetch_add(1, Ordering::Relaxed);
    let (_, sigma, start) = ritz(start.view(), image.view(), start.ncols(), settings.seed)?;
    let least = sigma.get(settings.rank - 1).map_or(0.0, |&s| s * s);
    // Its tolerance is absolute on σ²: a thousandth of the least one wanted.
    let tolerance = (least * 1e-3).max(f32::MIN_POSITIVE);
    let found = lobpcg(apply, start, |_| {}, None, tolerance, ITERATIONS, Order::Largest);
    if (watch.cancelled)() {
        return Err(SvdError::Cancelled);
    }
    // Without convergence it still gives its best block; the Ritz step below makes an honest answer of it.
    let block = match found {
        Ok(result) | Err((_, Some(result))) => result.eigvecs,
        Err((error, None)) => return Err(SvdError::Numerical(error.to_string())),
    };
    let block = orthonormal(block)?;
    let image = a.dot(block.view());
    let (u, s, v) = ritz(block.view(), image.view(), settings.rank, settings.seed)?;
    watch.step(1.0)?;
    Ok(Factors { u, s, v, passes: passes.into_inner() + 1 })
}
