//! Values put into at most 255 bins a column.

use ndarray::{Array2, ArrayView2};

/// Bins of a column at most.
const MOST: usize = 255;

/// Upper bounds of the bins of each column, the last bin's left out.
pub(super) struct Bins(Vec<Vec<f64>>);

impl Bins {
    /// Bounds midway between neighbouring values, at quantiles where a column has too many.
    pub(super) fn of(values: ArrayView2<'_, f64>) -> Self {
        let bounds = |column: ndarray::ArrayView1<'_, f64>| {
            let mut sorted = column.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            let mut distinct = sorted.clone();
            distinct.dedup();
            let chosen: Vec<f64> = if distinct.len() <= MOST {
                distinct
            } else {
                let mut chosen: Vec<f64> =
                    (0..MOST).map(|bin| sorted[bin * (sorted.len() - 1) / (MOST - 1)]).collect();
                chosen.dedup();
                chosen
            };
            chosen.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect()
        };
        Self(values.columns().into_iter().map(bounds).collect())
    }

    /// The bin of each value, in the same shape, rows together.
    pub(super) fn encode(&self, values: ArrayView2<'_, f64>) -> Array2<u8> {
        let mut out = Array2::zeros(values.dim());
        for (row, mut binned) in values.rows().into_iter().zip(out.rows_mut()) {
            for ((value, bin), bounds) in row.iter().zip(binned.iter_mut()).zip(&self.0) {
                *bin = bounds.partition_point(|bound| bound < value) as u8;
            }
        }
        out
    }

    /// Number of bins of a column.
    pub(super) fn count(&self, column: usize) -> usize {
        self.0[column].len() + 1
    }

    /// The largest value that goes into the bin; only asked of bins that have one above.
    pub(super) fn bound(&self, column: usize, bin: usize) -> f64 {
        self.0[column][bin]
    }
}
