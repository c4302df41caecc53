//! All items' scores for one person: factors in panels of 64 items, dimension-major, so that a panel's sums
//! live in registers and memory is read once, in order.

#![expect(clippy::inline_always, reason = "vector code must be compiled inside what dispatches it")]

use ndarray::Array2;
use pulp::{Simd, WithSimd};

use super::top::Top;

/// Items in a panel.
const LANES: usize = 64;

/// Factors of all items, times their output scales, in the order they are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels {
    items: usize,
    rank: usize,
    /// Panel after panel; in a panel, `LANES` items' values of the first dimension, then of the second.
    values: Vec<f32>,
}

impl Panels {
    /// Panels of `factors`, items × rank, each row times its `output`; as many as there are rows.
    pub fn new(factors: &Array2<f32>, output: &[f32]) -> Self {
        let (items, rank) = factors.dim();
        let mut values = vec![0.0; items.div_ceil(LANES) * LANES * rank];
        for (item, (row, scale)) in factors.rows().into_iter().zip(output).enumerate() {
            let start = item / LANES * LANES * rank + item % LANES;
            for (dimension, value) in row.iter().enumerate() {
                values[start + dimension * LANES] = value * scale;
            }
        }
        Self { items, rank, values }
    }

    /// The product of every row with `person`; `out` has a place a row.
    ///
    /// # Panics
    /// `person` or `out` has another length.
    pub fn score_into(&self, person: &[f32], out: &mut [f32]) {
        assert_eq!(
            (person.len(), out.len()),
            (self.rank, self.items),
            "a person's vector and a place an item"
        );
        if self.rank == 0 {
            out.fill(0.0);
            return;
        }
        self.each(person, &mut |first, sums| {
            let target = &mut out[first..];
            let known = target.len().min(LANES);
            target[..known].copy_from_slice(&sums[..known]);
        });
    }

    /// The rows with the largest products with `person`, the largest first; of equals the lower row.
    ///
    /// # Panics
    /// `person` is not as long as a row.
    pub fn top(&self, person: &[f32], limit: usize) -> Vec<(u32, f32)> {
        assert_eq!(person.len(), self.rank, "a person's vector is as long as a row");
        let mut top = Top::new(limit);
        if self.rank == 0 {
            (0..self.items as u32).for_each(|item| top.add(item, 0.0));
            return top.into_best();
        }
        self.each(person, &mut |first, sums| {
            let bar = top.bar();
            // All lanes are compared, without a short cut: that is a handful of instructions.
            if sums.iter().map(|&score| u32::from(score > bar)).sum::<u32>() > 0 {
                for (lane, &score) in sums.iter().enumerate().take(self.items - first) {
                    top.add((first + lane) as u32, score);
                }
            }
        });
        top.into_best()
    }

    /// Gives `take` the products of each panel's rows with `person`, and the first row.
    fn each(&self, person: &[f32], take: &mut impl FnMut(usize, &[f32; LANES])) {
        pulp::Arch::new().dispatch(Each { values: &self.values, person, take });
    }
}

struct Each<'a, F> {
    values: &'a [f32],
    person: &'a [f32],
    take: &'a mut F,
}

impl<F: FnMut(usize, &[f32; LANES])> WithSimd for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, person, take } = self;
        for (number, panel) in values.chunks_exact(LANES * person.len()).enumerate() {
            let sums = match S::F32_LANES {
                16 => products::<S, 4>(simd, panel, person),
                8 => products::<S, 8>(simd, panel, person),
                4 => products::<S, 16>(simd, panel, person),
                _ => products::<S, LANES>(simd, panel, person),
            };
            take(number * LANES, &sums);
        }
    }
}

/// The products of one panel's rows with `person`, in `N` registers.
#[inline(always)]
fn products<S: Simd, const N: usize>(simd: S, panel: &[f32], person: &[f32]) -> [f32; LANES] {
    let mut sums = [simd.splat_f32s(0.0); N];
    let (panel, _) = S::as_simd_f32s(panel);
    for (values, &weight) in panel.chunks_exact(N).zip(person) {
        let weight = simd.splat_f32s(weight);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = simd.mul_add_e_f32s(weight, *value, *sum);
        }
    }
    let mut told = [0.0; LANES];
    told.copy_from_slice(pulp::bytemuck::cast_slice(&sums));
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_top_are_the_largest_of_all_scores(
            values in proptest::collection::vec(-3_i8..4, 75 * 3),
            person in proptest::collection::vec(-3_i8..4, 3),
            limit in 0_usize..90,
        ) {
            let rows = Array2::from_shape_vec((75, 3), values.into_iter().map(f32::from).collect()).expect("as many");
            let person: Vec<f32> = person.into_iter().map(f32::from).collect();
            let panels = Panels::new(&rows, &[1.0; 75]);
            let mut scores = vec![0.0; 75];
            panels.score_into(&person, &mut scores);
            prop_assert_eq!(rows.dot(&ndarray::ArrayView1::from(&person)).to_vec(), scores.clone());
            let mut order: Vec<(u32, f32)> = (0..).zip(scores).collect();
            order.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
            order.truncate(limit);
            prop_assert_eq!(panels.top(&person, limit), order);
        }
    }
}
