//! Scores and weighted sums over many rows: what nearly all the time of a fit goes into.

#![expect(clippy::inline_always, reason = "vector code must be compiled inside what dispatches it")]

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

/// Rows that are added to a sum at once: it is read and written once for all of them.
const TOGETHER: usize = 8;

/// x·β of each of `rows`, which lie one behind the other, each as long as `beta`.
pub fn scores(rows: &[f64], beta: &[f64]) -> Vec<f64> {
    let mut scores = vec![0.0; rows.len() / beta.len()];
    Arch::new().dispatch(Scores { rows, beta, scores: &mut scores });
    scores
}

/// Adds Σ w·x·xᵀ over `rows`, one weight to a row, to the lower triangle of `gram`, which is row-major and `width` wide.
pub fn add_gram(gram: &mut [f64], width: usize, rows: &[f64], weights: &[f64]) {
    Arch::new().dispatch(Gram { gram, width, rows, weights });
}

struct Scores<'a> {
    rows: &'a [f64],
    beta: &'a [f64],
    scores: &'a mut [f64],
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (whole, rest) = S::as_simd_f64s(self.beta);
        for (score, row) in self.scores.iter_mut().zip(self.rows.chunks_exact(self.beta.len())) {
            let (x, x_rest) = S::as_simd_f64s(row);
            let mut sums = [simd.splat_f64s(0.0); 2];
            for (at, (x, beta)) in x.iter().zip(whole).enumerate() {
                sums[at % 2] = simd.mul_add_e_f64s(*x, *beta, sums[at % 2]);
            }
            let last: f64 = x_rest.iter().zip(rest).map(|(x, beta)| x * beta).sum();
            *score = simd.reduce_sum_f64s(simd.add_f64s(sums[0], sums[1])) + last;
        }
    }
}

struct Gram<'a> {
    gram: &'a mut [f64],
    width: usize,
    rows: &'a [f64],
    weights: &'a [f64],
}

impl WithSimd for Gram<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { gram, width, rows, weights } = self;
        for (rows, weights) in rows.chunks(TOGETHER * width).zip(weights.chunks(TOGETHER)) {
            // The last rows may be fewer: the first of them stands in for the others, and weighs nothing.
            let row = |k: usize| &rows[if k < weights.len() { k * width } else { 0 }..][..width];
            let rows: [&[f64]; TOGETHER] = from_fn(row);
            let weights: [f64; TOGETHER] = from_fn(|k| weights.get(k).copied().unwrap_or(0.0));
            for (i, sums) in gram.chunks_exact_mut(width).enumerate() {
                let scaled: [f64; TOGETHER] = from_fn(|k| weights[k] * rows[k][i]);
                add(simd, &mut sums[..=i], rows, scaled);
            }
        }
    }
}

/// Adds the rows, each scaled, to `sums`.
#[inline(always)]
fn add<S: Simd>(simd: S, sums: &mut [f64], rows: [&[f64]; TOGETHER], scaled: [f64; TOGETHER]) {
    let length = sums.len();
    let (sums, last) = S::as_mut_simd_f64s(sums);
    let parts: [(&[S::f64s], &[f64]); TOGETHER] = from_fn(|k| S::as_simd_f64s(&rows[k][..length]));
    let wide: [S::f64s; TOGETHER] = from_fn(|k| simd.splat_f64s(scaled[k]));
    for (at, sum) in sums.iter_mut().enumerate() {
        for k in 0..TOGETHER {
            *sum = simd.mul_add_e_f64s(wide[k], parts[k].0[at], *sum);
        }
    }
    for (at, sum) in last.iter_mut().enumerate() {
        for k in 0..TOGETHER {
            *sum += scaled[k] * parts[k].1[at];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that sums are exact in any order.
    #[test]
    fn sums_are_those_of_the_definition() {
        for width in [1, 3, 8, 13, 21] {
            for count in [0, 1, 7, 8, 9, 30] {
                let value = |at: usize| (at * 7 % 11) as f64 - 5.0;
                let rows: Vec<f64> = (0..width * count).map(value).collect();
                let weights: Vec<f64> = (0..count).map(|row| (row % 4) as f64).collect();
                let beta: Vec<f64> = (0..width).map(|at| (at % 3) as f64 - 1.0).collect();
                let row = |at: usize| &rows[at * width..][..width];
                let wanted = |at: usize| row(at).iter().zip(&beta).map(|(x, b)| x * b).sum::<f64>();
                assert_eq!(scores(&rows, &beta), (0..count).map(wanted).collect::<Vec<_>>());
                let mut gram = vec![1.0; width * width];
                add_gram(&mut gram, width, &rows, &weights);
                for (i, j) in (0..width).flat_map(|i| (0..width).map(move |j| (i, j))) {
                    let sum: f64 = (0..count).map(|at| weights[at] * row(at)[i] * row(at)[j]).sum();
                    let wanted = if j <= i { 1.0 + sum } else { 1.0 };
                    assert!((gram[i * width + j] - wanted).abs() < 1e-12, "{width} × {count}: {i}, {j}");
                }
            }
        }
    }
}
