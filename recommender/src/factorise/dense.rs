//! Dense algebra on tall blocks: Gram matrices in `f64`, orthonormal bases, Rayleigh-Ritz, start blocks.

use linfa_linalg::cholesky::CholeskyInplace;
use linfa_linalg::eigh::{EigSort, EighInto};
use linfa_linalg::triangular::{SolveTriangularInplace, UPLO};
use ndarray::parallel::prelude::*;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::SvdError;

/// Rows handled at once: a slab of a few hundred columns stays in the second-level cache.
const SLAB: usize = 1024;

/// A `rows` × `cols` block of independent standard normal numbers.
pub(super) fn gaussian(rows: usize, cols: usize, seed: u64) -> Array2<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, cols), || StandardNormal.sample(&mut random))
}

/// Columns of a block of a symmetric Gram matrix.
const ACROSS: usize = 80;
/// Shares a Gram matrix is summed in: fixed, so that the answer does not depend on the number of threads.
const SHARES: usize = 16;

/// xᵀ·y of tall blocks: products in `f32` by slabs, summed in `f64`, so that cancellation costs nothing.
pub(super) fn gram(x: ArrayView2<f32>, y: ArrayView2<f32>) -> Array2<f64> {
    let shape = (x.ncols(), y.ncols());
    let share = x.nrows().div_ceil(SHARES).max(SLAB);
    let sums: Vec<Array2<f64>> = x
        .axis_chunks_iter(Axis(0), share)
        .into_par_iter()
        .zip(y.axis_chunks_iter(Axis(0), share))
        .map(|(x, y)| {
            let slabs = x.axis_chunks_iter(Axis(0), SLAB).zip(y.axis_chunks_iter(Axis(0), SLAB));
            slabs.fold(Array2::zeros(shape), |mut sum: Array2<f64>, (x, y)| {
                sum.zip_mut_with(&x.t().dot(&y), |sum, &part| *sum += f64::from(part));
                sum
            })
        })
        .collect();
    sums.into_iter().fold(Array2::zeros(shape), |sum, part| sum + part)
}

/// xᵀ·x of a tall block: the lower half by blocks of columns, then mirrored.
pub(super) fn square(x: ArrayView2<f32>) -> Array2<f64> {
    let n = x.ncols();
    let mut whole = Array2::zeros((n, n));
    for from in (0..n).step_by(ACROSS) {
        let to = (from + ACROSS).min(n);
        let lower = gram(x.slice(s![.., from..]), x.slice(s![.., from..to]));
        whole.slice_mut(s![from.., from..to]).assign(&lower);
    }
    for row in 0..n {
        for column in 0..row {
            whole[[column, row]] = whole[[row, column]];
        }
    }
    whole
}

/// x·w of a tall block and a small matrix, by slabs in parallel.
pub(super) fn rotate(x: ArrayView2<f32>, w: &Array2<f64>) -> Array2<f32> {
    let w = w.mapv(|value| value as f32);
    let mut out = Array2::zeros((x.nrows(), w.ncols()));
    out.axis_chunks_iter_mut(Axis(0), SLAB)
        .into_par_iter()
        .zip(x.axis_chunks_iter(Axis(0), SLAB))
        .for_each(|(mut out, x)| out.assign(&x.dot(&w)));
    out
}

/// Eigenvalues, descending, and eigenvectors of a symmetric matrix.
pub(super) fn symmetric_eigen(mut a: Array2<f64>) -> Result<(Array1<f64>, Array2<f64>), SvdError> {
    if a.iter().any(|value| !value.is_finite()) {
        return Err(SvdError::Numerical("a product overflowed; scale the matrix down".into()));
    }
    a = (&a + &a.t()) / 2.0;
    let pairs = a.eigh_into().map_err(|error| SvdError::Numerical(error.to_string()))?;
    Ok(pairs.sort_eig_desc())
}

/// An orthonormal basis of the columns of `x`, without directions that depend on the others.
///
/// Cholesky-QR twice; where the Gram matrix is not safely positive definite, by its eigenvectors instead
/// (Stathopoulos and Wu 2002, SVQB), which finds and drops the dependent directions.
pub(super) fn orthonormal(x: Array2<f32>) -> Result<Array2<f32>, SvdError> {
    let once = orthonormal_once(x)?;
    orthonormal_once(once)
}

/// One turn of it: enough for what is made orthonormal again.
pub(super) fn orthonormal_once(x: Array2<f32>) -> Result<Array2<f32>, SvdError> {
    let g = square(x.view());
    if let Some(inverse) = inverse_cholesky(&g) {
        return Ok(rotate(x.view(), &inverse));
    }
    let (values, vectors) = symmetric_eigen(g)?;
    let largest = values.first().copied().unwrap_or(0.0);
    // Below this share a direction is the rounding error of f32 products.
    let kept = values.iter().take_while(|&&value| value > largest * 1e-9 && value > 0.0).count();
    let mut w = vectors.slice_move(s![.., ..kept]);
    for (mut column, value) in w.columns_mut().into_iter().zip(&values) {
        column /= value.sqrt();
    }
    Ok(rotate(x.view(), &w))
}

/// (Lᵀ)⁻¹ of g = L·Lᵀ; `None` where g is not positive definite with a margin for rounding.
fn inverse_cholesky(g: &Array2<f64>) -> Option<Array2<f64>> {
    let scale = g.diag().iter().copied().fold(0.0, f64::max);
    let mut lower = g.clone();
    lower.cholesky_inplace().ok()?;
    let least = lower.diag().iter().map(|pivot| pivot * pivot).fold(f64::INFINITY, f64::min);
    if least.is_nan() || least <= scale * 1e-9 {
        return None;
    }
    let mut inverse = Array2::eye(g.nrows());
    lower.solve_triangular_inplace(&mut inverse, UPLO::Lower).ok()?;
    Some(inverse.reversed_axes())
}

/// Takes the part of `x` within the span of the orthonormal `basis` out of it; in `f32` it takes two turns, with
/// [`orthonormal`] between them.
pub(super) fn project_out(x: &mut Array2<f32>, basis: ArrayView2<f32>) {
    let within = gram(basis, x.view());
    *x -= &rotate(basis, &within);
}

/// `u` with the columns from `known` on replaced by an orthonormal completion: the left vectors of
/// singular values that are zero, which no product with the matrix can give.
pub(super) fn complete(u: &mut Array2<f32>, known: usize, seed: u64) -> Result<(), SvdError> {
    let missing = u.ncols() - known;
    if missing == 0 {
        return Ok(());
    }
    let mut extra = gaussian(u.nrows(), missing, seed);
    project_out(&mut extra, u.slice(s![.., ..known]));
    let mut extra = orthonormal(extra)?;
    project_out(&mut extra, u.slice(s![.., ..known]));
    let extra = orthonormal(extra)?;
    if extra.ncols() < missing {
        return Err(SvdError::Numerical("no orthonormal completion was found".into()));
    }
    u.slice_mut(s![.., known..]).assign(&extra);
    Ok(())
}

/// Factors from a basis of the right side: `k` (columns × w, orthonormal) and `ak` = A·k (rows × w).
///
/// U, σ and V.
pub(super) type Triplet = (Array2<f32>, Vec<f32>, Array2<f32>);

/// Rayleigh-Ritz: (A·k)ᵀ(A·k) = W·Σ²·Wᵀ gives V = k·W and U = A·k·W·Σ⁻¹.
pub(super) fn ritz(
    k: ArrayView2<f32>,
    ak: ArrayView2<f32>,
    rank: usize,
    seed: u64,
) -> Result<Triplet, SvdError> {
    let (values, vectors) = symmetric_eigen(square(ak))?;
    let w = vectors.slice_move(s![.., ..rank]);
    let mut sigma: Vec<f64> = values.iter().take(rank).map(|value| value.max(0.0).sqrt()).collect();
    let largest = sigma.first().copied().unwrap_or(0.0);
    let known = sigma.iter().take_while(|&&value| value > largest * 1e-5).count();
    let v = rotate(k, &w);
    let mut left = w;
    for (mut column, value) in left.columns_mut().into_iter().zip(&sigma) {
        column /= value.max(f64::MIN_POSITIVE);
    }
    left.slice_mut(s![.., known..]).fill(0.0);
    let mut u = rotate(ak, &left);
    // The Gram matrix cannot tell a value near zero from the rounding of the largest; the image can. A left
    // vector that is not of length one came from rounding, and its value is the length of its image.
    let lengths: Vec<f64> = u.columns().into_iter().map(|x| f64::from(x.dot(&x)).sqrt()).collect();
    let known = lengths[..known].iter().position(|length| (length - 1.0).abs() > 0.01).unwrap_or(known);
    let mut least = known.checked_sub(1).map_or(f64::INFINITY, |last| sigma[last]);
    for (value, length) in sigma.iter_mut().zip(&lengths).skip(known) {
        least = least.min(*value * length);
        *value = least;
    }
    complete(&mut u, known, seed.wrapping_add(1))?;
    Ok((u, sigma.iter().map(|&value| value as f32).collect(), v))
}
