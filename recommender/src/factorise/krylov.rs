//! Block Krylov with Cholesky-QR (Musco and Musco 2015): the best approximation within
//! span{X, (AᵀA)X, …, (AᵀA)^q X} for a random block X a little wider than the rank.

use ndarray::{Array2, s};

use super::dense::{gaussian, orthonormal, project_out, ritz};
use super::{Factors, Settings, SvdError, Watch};
use crate::matrix::Csr;

/// Blocks in the basis: measured on 100 000 × 50 000 with 10 million entries, four reach .99999 of the energy.
const BLOCKS: usize = 4;
/// Columns beyond the rank, so that the last wanted values converge like the first.
const SPARE: usize = 16;
/// From this rank on a block holds half of it: the basis is wide enough through its later blocks.
const WIDE: usize = 128;

/// Factors of `a` (rows × columns, columns the smaller side); `transposed` is its transpose.
pub(super) fn right_side(
    a: &Csr,
    transposed: &Csr,
    settings: Settings,
    watch: Watch,
) -> Result<Factors, SvdError> {
    let n = a.cols();
    let share = if settings.rank > WIDE { settings.rank.div_ceil(2) } else { settings.rank };
    // Round up to whole vector registers.
    let width = (share + SPARE).next_multiple_of(16).min(n);
    let most = (width * BLOCKS).min(n);
    let mut basis: Array2<f32> = Array2::zeros((n, 0));
    let mut images: Array2<f32> = Array2::zeros((a.rows(), 0));
    let mut block = orthonormal(gaussian(n, width, settings.seed))?;
    let mut passes = 0;
    for step in 0.. {
        watch.step(0.9 * f64::from(step) / BLOCKS as f64)?;
        let image = a.dot(block.view());
        passes += 1;
        basis = append(basis, &block);
        images = append(images, &image);
        if basis.ncols() >= most {
            break;
        }
        let mut next = transposed.dot(image.view());
        passes += 1;
        watch.step(0.9 * (f64::from(step) + 0.5) / BLOCKS as f64)?;
        project_out(&mut next, basis.view());
        next = orthonormal(next)?;
        // What survives of directions already known is rounding error, made large by normalising.
        project_out(&mut next, basis.view());
        next = orthonormal(next)?;
        let room = (most - basis.ncols()).min(next.ncols());
        block = next.slice_move(s![.., ..room]);
        if block.ncols() == 0 {
            break; // The basis spans everything A can reach: the answer is exact.
        }
    }
    let (u, s, v) = ritz(basis.view(), images.view(), settings.rank, settings.seed)?;
    watch.step(1.0)?;
    Ok(Factors { u, s, v, passes })
}

fn append(left: Array2<f32>, right: &Array2<f32>) -> Array2<f32> {
    if left.ncols() == 0 {
        return right.as_standard_layout().into_owned();
    }
    let mut joined = Array2::zeros((left.nrows(), left.ncols() + right.ncols()));
    joined.slice_mut(s![.., ..left.ncols()]).assign(&left);
    joined.slice_mut(s![.., left.ncols()..]).assign(right);
    joined
}
