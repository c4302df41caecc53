//! All items' scores for one person: factors in panels of 32 items, dimension-major, so that a panel's sums
//! live in registers and memory is read once, in order.

use ndarray::Array2;

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
                    let mut sums = [0.0_f32; LANES];
                    for (values, &weight) in panel.chunks_exact(LANES).zip(person) {
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum += weight * value;
                        }
                    }
                    target.copy_from_slice(&sums[..target.len()]);
                }
            },
        );
    }
}
