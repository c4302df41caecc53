//! One row's normal equations: formed whole, then solved.

#![expect(clippy::inline_always, reason = "vector code must be compiled inside what dispatches it")]

use pulp::{Simd, WithSimd};

use crate::matrix::Csr;

/// Rows of a register tile, each two registers wide: eight sums that do not wait for each other.
const TALL: usize = 4;
/// Gathered factors that stay in the first-level cache.
const GATHERED: usize = 64;
/// Residual of a solve, relative to the right-hand side.
const TOLERANCE: f32 = 1e-4;

/// What every row is solved with.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) matrix: &'a Csr,
    pub(super) fixed: &'a [f32],
    pub(super) shared: &'a [f32],
    pub(super) alpha: f32,
    pub(super) width: usize,
}

/// Some rows, from `first` on.
pub(super) struct Rows<'a> {
    pub(super) sides: Sides<'a>,
    pub(super) first: usize,
    pub(super) scratch: &'a mut Scratch,
    pub(super) target: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (offset, target) in self.target.chunks_exact_mut(self.sides.width).enumerate() {
            solve_row(simd, self.sides, self.first + offset, self.scratch, target);
        }
    }
}

/// What one thread works in.
pub(super) struct Scratch {
    normal: Vec<f32>,
    right: Vec<f32>,
    gathered: Vec<f32>,
    residual: Vec<f32>,
    direction: Vec<f32>,
    image: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(width: usize) -> Self {
        let row = || vec![0.0; width];
        Self {
            normal: vec![0.0; width * width],
            right: row(),
            gathered: vec![0.0; GATHERED * width],
            residual: row(),
            direction: row(),
            image: row(),
        }
    }
}

#[inline(always)]
fn solve_row<S: Simd>(simd: S, sides: Sides, row: usize, scratch: &mut Scratch, target: &mut [f32]) {
    let Sides { matrix, fixed, shared, alpha, width } = sides;
    let (columns, values) = matrix.row_parts(row);
    if columns.is_empty() {
        target.fill(0.0);
        return;
    }
    scratch.normal.copy_from_slice(shared);
    scratch.right.fill(0.0);
    for (columns, values) in columns.chunks(GATHERED).zip(values.chunks(GATHERED)) {
        let gathered = &mut scratch.gathered[..columns.len() * width];
        for ((place, &column), &value) in gathered.chunks_exact_mut(width).zip(columns).zip(values) {
            let extra = alpha * value;
            let root = extra.max(0.0).sqrt();
            let factor = &fixed[column as usize * width..][..width];
            for ((place, sum), x) in place.iter_mut().zip(&mut scratch.right).zip(factor) {
                *place = root * x;
                *sum += (1.0 + extra) * x;
            }
        }
        add_square(simd, gathered, width, &mut scratch.normal);
    }
    mirror(&mut scratch.normal, width);
    conjugate_gradients(simd, scratch, target);
}

/// Adds the lower half, by tiles, of GᵀG to `normal`; `gathered` holds G's rows.
#[inline(always)]
fn add_square<S: Simd>(simd: S, gathered: &[f32], width: usize, normal: &mut [f32]) {
    let across = 2 * S::F32_LANES;
    for top in (0..width).step_by(TALL) {
        for left in (0..top + TALL).step_by(across) {
            let mut tile = [[simd.splat_f32s(0.0); 2]; TALL];
            for row in gathered.chunks_exact(width) {
                let (right, _) = S::as_simd_f32s(&row[left..left + across]);
                for (sums, &x) in tile.iter_mut().zip(&row[top..top + TALL]) {
                    let x = simd.splat_f32s(x);
                    sums[0] = simd.mul_add_e_f32s(x, right[0], sums[0]);
                    sums[1] = simd.mul_add_e_f32s(x, right[1], sums[1]);
                }
            }
            for (offset, sums) in tile.iter().enumerate() {
                let place = (top + offset) * width + left;
                let parts: &[f32] = pulp::bytemuck::cast_slice(sums);
                normal[place..place + across].iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
        }
    }
}

/// Copies the lower half onto the upper.
fn mirror(normal: &mut [f32], width: usize) {
    for row in 0..width {
        for column in 0..row {
            normal[column * width + row] = normal[row * width + column];
        }
    }
}

#[inline(always)]
fn conjugate_gradients<S: Simd>(simd: S, scratch: &mut Scratch, x: &mut [f32]) {
    let Scratch { normal, right, residual, direction, image, .. } = scratch;
    times(simd, normal, x, image);
    residual.iter_mut().zip(right.iter().zip(image.iter())).for_each(|(r, (b, ax))| *r = b - ax);
    direction.copy_from_slice(residual);
    let mut size = dot(simd, residual, residual);
    let enough = dot(simd, right, right) * TOLERANCE * TOLERANCE;
    for _ in 0..x.len() {
        if size <= enough {
            return;
        }
        times(simd, normal, direction, image);
        let step = size / dot(simd, direction, image);
        for i in 0..x.len() {
            x[i] += step * direction[i];
            residual[i] -= step * image[i];
        }
        let next = dot(simd, residual, residual);
        let turn = next / size;
        direction.iter_mut().zip(residual.iter()).for_each(|(d, r)| *d = r + turn * *d);
        size = next;
    }
}

/// A symmetric matrix times a vector, by columns: no sums across lanes.
#[inline(always)]
fn times<S: Simd>(simd: S, matrix: &[f32], x: &[f32], out: &mut [f32]) {
    let mut from = 0;
    while out.len() - from >= 8 * S::F32_LANES {
        from = columns::<S, 8>(simd, matrix, x, from, out);
    }
    while from < out.len() {
        from = columns::<S, 2>(simd, matrix, x, from, out);
    }
}

/// `N` registers of columns from `from` on; where the next begin.
#[inline(always)]
fn columns<S: Simd, const N: usize>(
    simd: S,
    matrix: &[f32],
    x: &[f32],
    from: usize,
    out: &mut [f32],
) -> usize {
    let to = from + N * S::F32_LANES;
    let mut sums = [simd.splat_f32s(0.0); N];
    for (row, &x) in matrix.chunks_exact(x.len()).zip(x) {
        let x = simd.splat_f32s(x);
        let (row, _) = S::as_simd_f32s(&row[from..to]);
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum = simd.mul_add_e_f32s(x, *value, *sum);
        }
    }
    out[from..to].copy_from_slice(pulp::bytemuck::cast_slice(&sums));
    to
}

#[inline(always)]
fn dot<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    let ((x, _), (y, _)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let mut sums = [simd.splat_f32s(0.0); 2];
    for (x, y) in x.chunks_exact(2).zip(y.chunks_exact(2)) {
        sums[0] = simd.mul_add_e_f32s(x[0], y[0], sums[0]);
        sums[1] = simd.mul_add_e_f32s(x[1], y[1], sums[1]);
    }
    simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]))
}
