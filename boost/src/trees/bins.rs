//! Features as small whole numbers: 0 for a missing value, then bins in ascending order.

use rayon::prelude::*;

use crate::matrix::Matrix;

/// Rows a feature's cuts are chosen from, evenly spaced: enough for quantiles to within a thousandth.
const LOOKED_AT: usize = 200_000;

/// A feature's cuts and the codes of all rows.
pub(super) struct Binned {
    /// Ascending; a value up to and including `cuts[i]` lies in bin `i + 1`, one above all in the last.
    pub(super) cuts: Vec<f64>,
    /// Bin of each row.
    pub(super) codes: Vec<u8>,
}

impl Binned {
    /// Number of bins with the one for missing values.
    pub(super) fn bins(&self) -> usize {
        self.cuts.len() + 2
    }
}

/// Bins all features, at most `most` bins each.
pub(super) fn bin(features: &Matrix, most: usize) -> Vec<Binned> {
    (0..features.columns())
        .into_par_iter()
        .map(|feature| {
            let cuts = cuts(features, feature, most);
            let code = |value: f64| {
                if value.is_nan() { 0 } else { cuts.partition_point(|cut| *cut < value) as u8 + 1 }
            };
            let codes = features.column(feature).map(code).collect();
            Binned { cuts, codes }
        })
        .collect()
}

/// Between every two neighbouring values where there are few, else at quantiles.
fn cuts(features: &Matrix, feature: usize, most: usize) -> Vec<f64> {
    let step = (features.rows() / LOOKED_AT).max(1);
    let mut values: Vec<f64> = features.column(feature).step_by(step).filter(|v| !v.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let mut distinct = values.clone();
    distinct.dedup();
    // Codes are bytes and 0 is taken, so at most 254 bins hold values.
    let most = most.min(254);
    let between = |low: f64, high: f64| {
        let middle = low + (high - low) / 2.0;
        if middle < high { middle } else { low }
    };
    if distinct.len() <= most {
        return distinct.windows(2).map(|pair| between(pair[0], pair[1])).collect();
    }
    let mut cuts: Vec<f64> = (1..most)
        .filter_map(|part| {
            let value = values[part * values.len() / most];
            let next = distinct.partition_point(|d| *d <= value);
            distinct.get(next).map(|high| between(value, *high))
        })
        .collect();
    cuts.dedup();
    cuts
}
