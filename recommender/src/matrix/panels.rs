//! All items' scores for one person: factors in panels of 32 items, dimension-major, so that a panel's sums
//! live in registers and memory is read once, in order.

use ndarray::Array2;

use super::top::Top;

/// Items in a panel.
const LANES: usize = 32;

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
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (panel, target) in self.values.chunks_exact(LANES * self.rank).zip(out.chunks_mut(LANES))
                {
                    let sums = products(panel, person);
                    target.copy_from_slice(&sums[..target.len()]);
                }
            },
        );
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
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (number, panel) in self.values.chunks_exact(LANES * self.rank).enumerate() {
                    let sums = products(panel, person);
                    let bar = top.bar();
                    // All lanes are compared, without a short cut: that is one instruction.
                    if sums.iter().map(|&score| u32::from(score > bar)).sum::<u32>() > 0 {
                        let first = number * LANES;
                        for (lane, &score) in sums.iter().enumerate().take(self.items - first) {
                            top.add((first + lane) as u32, score);
                        }
                    }
                }
            },
        );
        top.into_best()
    }
}

/// The products of one panel's rows with `person`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled inside the dispatching closure")]
fn products(panel: &[f32], person: &[f32]) -> [f32; LANES] {
    let mut sums = [0.0_f32; LANES];
    for (values, &weight) in panel.chunks_exact(LANES).zip(person) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += weight * value;
        }
    }
    sums
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
