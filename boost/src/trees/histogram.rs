use rayon::prelude::*;

use super::bins::Binned;

/// Below this many additions threads cost more than they bring.
const WORTH_THREADS: usize = 40_000;

/// Sums over the rows in a bin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) gradient: f64,
    pub(super) hessian: f64,
    pub(super) rows: u32,
}

impl Sums {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            hessian: self.hessian + other.hessian,
            rows: self.rows + other.rows,
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            hessian: self.hessian - other.hessian,
            rows: self.rows - other.rows,
        }
    }
}

/// Sums by bin of each feature a tree sees; features it does not see are empty.
pub(super) type Histogram = Vec<Vec<Sums>>;

/// Runs `work` for every feature, on several threads where `size` additions are worth it.
pub(super) fn each<T: Send>(features: usize, size: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if size >= WORTH_THREADS {
        (0..features).into_par_iter().map(work).collect()
    } else {
        (0..features).map(work).collect()
    }
}

/// The histogram of `rows`, whose derivatives are `derivatives` by row.
pub(super) fn build(binned: &[Binned], seen: &[bool], rows: &[u32], derivatives: &[(f64, f64)]) -> Histogram {
    // Gathered once, so that each feature reads them in order.
    let gathered: Vec<(f64, f64)> = rows.iter().map(|&row| derivatives[row as usize]).collect();
    each(binned.len(), rows.len() * binned.len(), |feature| {
        if !seen[feature] {
            return Vec::new();
        }
        let of = &binned[feature];
        let mut sums = vec![Sums::default(); of.bins()];
        for (&row, &(gradient, hessian)) in rows.iter().zip(&gathered) {
            let bin = &mut sums[of.codes[row as usize] as usize];
            bin.gradient += gradient;
            bin.hessian += hessian;
            bin.rows += 1;
        }
        sums
    })
}

/// What remains of `whole` without `part`: the sibling's histogram at the price of a subtraction.
pub(super) fn without(mut whole: Histogram, part: &Histogram) -> Histogram {
    for (whole, part) in whole.iter_mut().zip(part) {
        for (whole, part) in whole.iter_mut().zip(part) {
            *whole = whole.minus(*part);
        }
    }
    whole
}
