//! Sparse × dense, the one loop training spends its time in.
//!
//! The dense operand is cut into panels of fixed width so that a row's sums live in registers; rows are
//! shared among rayon's threads. The widest vector instructions are chosen at run time (pulp).

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::Csr;

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
    target.par_chunks_mut(ROWS_A_TASK * width).enumerate().for_each(|(task, rows)| {
        arch.dispatch(
            #[inline(always)]
            || {
                for (offset, row) in rows.chunks_exact_mut(width).enumerate() {
                    row_product(matrix, task * ROWS_A_TASK + offset, dense, row);
                }
            },
        );
    });
    out
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled inside the dispatching closure")]
fn row_product(matrix: &Csr, row: usize, dense: &[f32], target: &mut [f32]) {
    let range = matrix.starts[row]..matrix.starts[row + 1];
    let (columns, values) = (&matrix.columns[range.clone()], &matrix.values[range]);
    let width = target.len();
    let mut done = 0;
    while width - done >= 80 {
        panel::<80>(columns, values, dense, width, done, target);
        done += 80;
    }
    while width - done >= 16 {
        panel::<16>(columns, values, dense, width, done, target);
        done += 16;
    }
    while width - done >= 4 {
        panel::<4>(columns, values, dense, width, done, target);
        done += 4;
    }
    while done < width {
        panel::<1>(columns, values, dense, width, done, target);
        done += 1;
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled inside the dispatching closure")]
fn panel<const W: usize>(
    columns: &[u32],
    values: &[f32],
    dense: &[f32],
    width: usize,
    from: usize,
    target: &mut [f32],
) {
    let mut sums = [0.0_f32; W];
    for (&column, &value) in columns.iter().zip(values) {
        let at = column as usize * width + from;
        let Some(operand) = dense.get(at..at + W) else { unreachable!("columns are checked when built") };
        for (sum, x) in sums.iter_mut().zip(operand) {
            *sum += value * x;
        }
    }
    target[from..from + W].copy_from_slice(&sums);
}
