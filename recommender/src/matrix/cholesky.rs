//! The inverse of a large symmetric positive definite matrix: blocked Cholesky (Golub and Van Loan 2013, alg. 4.2.4)
//! so that nearly all work is in matrix products, which run on all threads.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayViewMut2, s};

use crate::algorithm::FitError;
use crate::factorise::Watch;

/// Rows of a block.
const BLOCK: usize = 192;

/// L⁻¹ of A = L·Lᵀ, from which A⁻¹ = L⁻ᵀ·L⁻¹ is applied or made whole.
pub struct Inverse {
    lower: Array2<f32>,
}

impl Inverse {
    /// Of a symmetric matrix, which it takes the place of; only the lower half is read.
    ///
    /// # Errors
    /// A matrix that is not positive definite in `f32`, or cancellation.
    pub fn of(mut matrix: Array2<f32>, watch: Watch) -> Result<Self, FitError> {
        factorise(&mut matrix, watch)?;
        invert_lower(matrix.view_mut());
        if (watch.cancelled)() {
            return Err(FitError::Cancelled);
        }
        Ok(Self { lower: matrix })
    }

    /// A⁻¹·right.
    pub fn solve(&self, right: &Array2<f32>) -> Array2<f32> {
        let n = self.lower.nrows();
        let mut half = Array2::zeros(right.raw_dim());
        for from in (0..n).step_by(BLOCK) {
            let to = (from + BLOCK).min(n);
            let (lower, right) = (self.lower.slice(s![from..to, ..to]), right.slice(s![..to, ..]));
            general_mat_mul(1.0, &lower, &right, 0.0, &mut half.slice_mut(s![from..to, ..]));
        }
        let mut whole = Array2::zeros(right.raw_dim());
        for from in (0..n).step_by(BLOCK) {
            let to = (from + BLOCK).min(n);
            let lower = self.lower.slice(s![from.., from..to]);
            let half = half.slice(s![from.., ..]);
            general_mat_mul(1.0, &lower.t(), &half, 0.0, &mut whole.slice_mut(s![from..to, ..]));
        }
        whole
    }

    /// A⁻¹, both halves.
    pub fn whole(&self) -> Array2<f32> {
        let n = self.lower.nrows();
        let mut whole = Array2::zeros((n, n));
        for from in (0..n).step_by(BLOCK) {
            let to = (from + BLOCK).min(n);
            let (rows, all) = (self.lower.slice(s![from.., from..to]), self.lower.slice(s![from.., ..to]));
            general_mat_mul(1.0, &rows.t(), &all, 0.0, &mut whole.slice_mut(s![from..to, ..to]));
        }
        for row in 0..n {
            for column in 0..row {
                whole[[column, row]] = whole[[row, column]];
            }
        }
        whole
    }
}

/// L of A = L·Lᵀ in A's place, the upper half zero.
fn factorise(a: &mut Array2<f32>, watch: Watch) -> Result<(), FitError> {
    let n = a.nrows();
    for from in (0..n).step_by(BLOCK) {
        if (watch.cancelled)() {
            return Err(FitError::Cancelled);
        }
        let to = (from + BLOCK).min(n);
        factorise_block(a.slice_mut(s![from..to, from..to]))?;
        if to == n {
            break;
        }
        let mut inverse = a.slice(s![from..to, from..to]).to_owned();
        invert_lower(inverse.view_mut());
        let panel = a.slice(s![to.., from..to]).dot(&inverse.t());
        a.slice_mut(s![to.., from..to]).assign(&panel);
        for left in (to..n).step_by(BLOCK) {
            let right = (left + BLOCK).min(n);
            let (down, across) =
                (panel.slice(s![left - to.., ..]), panel.slice(s![left - to..right - to, ..]));
            general_mat_mul(-1.0, &down, &across.t(), 1.0, &mut a.slice_mut(s![left.., left..right]));
        }
    }
    for row in 0..n {
        a.slice_mut(s![row, row + 1..]).fill(0.0);
    }
    Ok(())
}

/// One block on the diagonal, in `f64`.
fn factorise_block(mut block: ArrayViewMut2<f32>) -> Result<(), FitError> {
    let n = block.nrows();
    let mut lower = block.mapv(f64::from);
    for column in 0..n {
        for row in column..n {
            let known = lower.slice(s![row, ..column]).dot(&lower.slice(s![column, ..column]));
            let rest = lower[[row, column]] - known;
            if row > column {
                lower[[row, column]] = rest / lower[[column, column]];
            } else if rest > 0.0 {
                lower[[row, column]] = rest.sqrt();
            } else {
                let field = "ridge".to_owned();
                let range = "what keeps the matrix positive definite; give more".to_owned();
                return Err(FitError::Setting { field, value: rest, range });
            }
        }
    }
    block.zip_mut_with(&lower, |place, value| *place = *value as f32);
    Ok(())
}

/// The inverse of a lower triangular matrix in its place: [[A, 0], [B, C]]⁻¹ = [[A⁻¹, 0], [−C⁻¹·B·A⁻¹, C⁻¹]].
fn invert_lower(mut lower: ArrayViewMut2<f32>) {
    let n = lower.nrows();
    if n > BLOCK / 2 {
        let middle = if n > BLOCK { (n / 2).next_multiple_of(BLOCK / 2).min(n - 1) } else { n / 2 };
        // What the factorisation left above the diagonal must not enter the products.
        lower.slice_mut(s![..middle, middle..]).fill(0.0);
        invert_lower(lower.slice_mut(s![..middle, ..middle]));
        invert_lower(lower.slice_mut(s![middle.., middle..]));
        let left = lower.slice(s![middle.., ..middle]).dot(&lower.slice(s![..middle, ..middle]));
        let corner = lower.slice(s![middle.., middle..]).to_owned();
        general_mat_mul(-1.0, &corner, &left, 0.0, &mut lower.slice_mut(s![middle.., ..middle]));
        return;
    }
    let mut inverse = Array2::<f64>::zeros((n, n));
    for column in 0..n {
        inverse[[column, column]] = 1.0 / f64::from(lower[[column, column]]);
        for row in column + 1..n {
            let known: f64 = (column..row).map(|k| f64::from(lower[[row, k]]) * inverse[[k, column]]).sum();
            inverse[[row, column]] = -known / f64::from(lower[[row, row]]);
        }
    }
    for row in 0..n {
        for column in 0..=row {
            lower[[row, column]] = inverse[[row, column]] as f32;
        }
        lower.slice_mut(s![row, row + 1..]).fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    #[test]
    fn the_inverse_times_the_matrix_is_the_identity() {
        for n in [1, 5, 96, 97, 192, 193, 450] {
            let factor = Array2::from_shape_fn((n, n), |(i, j)| ((i * 7 + j * 13) % 11) as f32 / 11.0 - 0.4);
            let mut a = factor.dot(&factor.t());
            a.diag_mut().mapv_inplace(|value| value + 3.0);
            let inverse = Inverse::of(a.clone(), Watch::idle()).expect("positive definite");
            let ones = Array2::<f32>::from_diag(&Array1::<f32>::ones(n));
            for product in [a.dot(&inverse.whole()), inverse.solve(&a)] {
                let worst = (&product - &ones).iter().fold(0.0_f32, |worst, x| worst.max(x.abs()));
                assert!(worst < 2e-3, "{n}: {worst}");
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        let a = ndarray::arr2(&[[1.0, 2.0], [2.0, 1.0]]);
        assert!(matches!(Inverse::of(a, Watch::idle()), Err(FitError::Setting { .. })));
    }
}
