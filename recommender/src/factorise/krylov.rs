//! Block Krylov with Cholesky-QR (Musco and Musco 2015): the best approximation within
//! span{X, (AᵀA)X, …, (AᵀA)^q X}.

use ndarray::{Array2, s};

use super::dense::{gaussian, orthonormal, orthonormal_once, project_out, ritz};
use super::{Factors, Settings, SvdError, Watch};
use crate::matrix::Csr;

/// Blocks in the basis: measured on 100 000 × 50 000 with 10 million entries, five reach what eight power iterations do.
const BLOCKS: usize = 5;
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
    // Whole vector registers. A block more does more for the last wanted values than wider blocks do.
    let width = share.next_multiple_of(16).min(n);
    let most = (width * BLOCKS).min(n);
    // Room for all of it at once: growing would copy it, and touch new memory, at every step.
    let mut basis: Array2<f32> = Array2::zeros((n, most));
    let mut images: Array2<f32> = Array2::zeros((a.rows(), most));
    let mut known = 0;
    let mut block = orthonormal(gaussian(n, width, settings.seed))?;
    let mut passes = 0;
    for step in 0.. {
        watch.step(0.9 * f64::from(step) / BLOCKS as f64)?;
        let image = a.dot(block.view());
        passes += 1;
        let wider = known + block.ncols();
        basis.slice_mut(s![.., known..wider]).assign(&block);
        images.slice_mut(s![.., known..wider]).assign(&image);
        known = wider;
        if known >= most {
            break;
        }
        let basis = basis.slice(s![.., ..known]);
        let mut next = transposed.dot(image.view());
        passes += 1;
        watch.step(0.9 * (f64::from(step) + 0.5) / BLOCKS as f64)?;
        project_out(&mut next, basis);
        next = orthonormal_once(next)?;
        // What survives of directions already known is rounding error, made large by normalising.
        project_out(&mut next, basis);
        next = orthonormal(next)?;
        let room = (most - known).min(next.ncols());
        block = next.slice_move(s![.., ..room]);
        if block.ncols() == 0 {
            break; // The basis spans everything A can reach: the answer is exact.
        }
    }
    let (basis, images) = (basis.slice(s![.., ..known]), images.slice(s![.., ..known]));
    let (u, s, v) = ritz(basis, images, settings.rank, settings.seed)?;
    watch.step(1.0)?;
    Ok(Factors { u, s, v, passes })
}
