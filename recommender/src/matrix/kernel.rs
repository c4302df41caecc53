//! Sparse × dense, the one loop training spends its time in.
//!
//! The dense operand is read in panels a row of registers wide, so that a row's sums never leave them; rows are
//! shared among rayon's threads. The widest vector instructions are chosen at run time (pulp), and named: left to
//! themselves compilers spill such sums.

#![expect(clippy::inline_always, reason = "vector code must be compiled inside what dispatches it")]

use ndarray::{Array2, ArrayView2};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::Csr;

/// Entries between the one that is multiplied and the one whose operand is asked for: operands lie all over memory, and the
/// processor alone asks for too few at a time.
const AHEAD: usize = 12;

/// Floats in a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

/// Rows a task takes: enough to pay for the hand-over, few enough to even out long and short rows.
const ROWS_A_TASK: usize = 256;

pub(super) fn product(matrix: &Csr, dense: ArrayView2<f32>) -> Array2<f32> {
    let width = dense.ncols();
    let mut out = Array2::zeros((matrix.rows(), width));
    if width == 0 || matrix.rows() == 0 {
        return out;
    }
    let dense = dense.as_standard_layout();
    let (Some(dense), Some(target)) = (dense.as_slice(), out.as_slice_mut()) else {
        unreachable!("both are in standard layout");
    };
    let arch = pulp::Arch::new();
    target.par_chunks_mut(ROWS_A_TASK * width).enumerate().for_each(|(task, target)| {
        arch.dispatch(Rows { matrix, first: task * ROWS_A_TASK, dense, width, target });
    });
    out
}

/// Some rows of the product, from `first` on.
struct Rows<'a> {
    matrix: &'a Csr,
    first: usize,
    dense: &'a [f32],
    width: usize,
    target: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { matrix, first, dense, width, target } = self;
        for (offset, target) in target.chunks_exact_mut(width).enumerate() {
            let (columns, values) = matrix.row_parts(first + offset);
            let coming = matrix.columns_from(first + offset);
            let row = Row { columns, values, coming, dense, width };
            let mut from = 0;
            while width - from >= 8 * S::F32_LANES {
                from = row.panel::<S, 8>(simd, from, target);
            }
            if width - from >= 4 * S::F32_LANES {
                from = row.panel::<S, 4>(simd, from, target);
            }
            while width - from >= 2 * S::F32_LANES {
                from = row.panel::<S, 2>(simd, from, target);
            }
            while from < width {
                target[from] = row.entry(from);
                from += 1;
            }
        }
    }
}

/// One row of the matrix, and what it is multiplied with.
struct Row<'a> {
    columns: &'a [u32],
    values: &'a [f32],
    /// The columns of this row and of all after it.
    coming: &'a [u32],
    dense: &'a [f32],
    width: usize,
}

impl Row<'_> {
    /// The sums of `N` registers from column `from` on; where the next begin.
    #[inline(always)]
    fn panel<S: Simd, const N: usize>(&self, simd: S, from: usize, target: &mut [f32]) -> usize {
        let to = from + N * S::F32_LANES;
        let mut sums = [simd.splat_f32s(0.0); N];
        for (index, (&column, &value)) in self.columns.iter().zip(self.values).enumerate() {
            if let Some(&next) = self.coming.get(index + AHEAD) {
                prefetch::<S, N>(self.dense.as_ptr().wrapping_add(next as usize * self.width + from));
            }
            let at = column as usize * self.width;
            let Some(operand) = self.dense.get(at + from..at + to) else {
                unreachable!("columns are checked when built")
            };
            let value = simd.splat_f32s(value);
            let (operand, _) = S::as_simd_f32s(operand);
            for (sum, x) in sums.iter_mut().zip(operand) {
                *sum = simd.mul_add_e_f32s(value, *x, *sum);
            }
        }
        target[from..to].copy_from_slice(pulp::bytemuck::cast_slice(&sums));
        to
    }

    #[inline(always)]
    fn entry(&self, column: usize) -> f32 {
        let operand = |at: u32| self.dense[at as usize * self.width + column];
        self.columns.iter().zip(self.values).map(|(&at, value)| value * operand(at)).sum()
    }
}

/// Asks for `N` registers' worth of what will be read soon.
#[allow(
    unsafe_code,
    reason = "an instruction that reads nothing, in every processor the code is compiled for"
)]
#[inline(always)]
fn prefetch<S: Simd, const N: usize>(from: *const f32) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..N * S::F32_LANES).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has SSE, and no address is wrong to ask for.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}
