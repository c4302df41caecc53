//! Weighted ridge regression within trials, by conjugate gradients (Hestenes & Stiefel 1952): no matrix is formed.

use rayon::prelude::*;

/// Steps at most.
const STEPS: usize = 150;
/// The residual, as a share of the first, at which the search ends.
const ENOUGH: f64 = 1e-4;
/// Variance of the log-odds that no text explains (picture, hour), added to that of counting.
pub(super) const UNEXPLAINED: f64 = 0.03;

/// A text as the regression sees it.
pub(super) struct Row {
    pub(super) dense: Vec<f32>,
    pub(super) grams: Vec<(u32, f32)>,
}

/// One text of a trial.
#[derive(Clone, Copy)]
pub(super) struct Observation {
    pub(super) row: usize,
    pub(super) trial: usize,
    /// 1 ÷ variance of the target.
    pub(super) weight: f64,
    pub(super) target: f64,
}

/// Coefficients: the dense ones, then one a bucket.
#[derive(Clone)]
pub(super) struct Weights {
    pub(super) dense: Vec<f32>,
    pub(super) grams: Vec<f32>,
}

impl Weights {
    fn zero(dense: usize, grams: usize) -> Self {
        Self { dense: vec![0.0; dense], grams: vec![0.0; grams] }
    }

    pub(super) fn score(&self, row: &Row) -> f64 {
        let grams = row.grams.iter().map(|&(bucket, value)| self.grams[bucket as usize] * value);
        f64::from(dot(&self.dense, &row.dense)) + f64::from(grams.sum::<f32>())
    }

    fn add(&mut self, factor: f32, other: &Self) {
        let pairs = self.dense.iter_mut().zip(&other.dense).chain(self.grams.iter_mut().zip(&other.grams));
        pairs.for_each(|(ours, theirs)| *ours += factor * theirs);
    }

    fn product(&self, other: &Self) -> f64 {
        let pairs = self.dense.iter().zip(&other.dense).chain(self.grams.iter().zip(&other.grams));
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }
}

/// Minimises Σ w·(y − x·β)² + λ·|β|², x and y centred within each trial by the weights; of `trials` trials.
pub(super) fn ridge(
    rows: &[Row],
    observed: &[Observation],
    trials: usize,
    buckets: usize,
    lambda: f64,
) -> Weights {
    let size = rows.first().map_or(0, |row| row.dense.len());
    let fall = |weights: &Weights| -> Vec<f64> {
        observed.par_iter().map(|one| weights.score(&rows[one.row])).collect()
    };
    // For a projection C that is symmetric under W: Cᵀ·W·C = W·C.
    let back = |values: &[f64]| -> Weights {
        let centred = centre(observed, trials, values);
        let terms: Vec<(usize, f32)> =
            observed.iter().zip(centred).map(|(one, value)| (one.row, (one.weight * value) as f32)).collect();
        let add = |mut sum: Weights, &(row, factor): &(usize, f32)| {
            sum.dense.iter_mut().zip(&rows[row].dense).for_each(|(sum, value)| *sum += factor * value);
            for &(bucket, value) in &rows[row].grams {
                sum.grams[bucket as usize] += factor * value;
            }
            sum
        };
        // Pieces of a fixed size: the sum is the same on any number of threads.
        let parts: Vec<Weights> = terms
            .par_chunks(2048)
            .map(|terms| terms.iter().fold(Weights::zero(size, buckets), add))
            .collect();
        parts.iter().fold(Weights::zero(size, buckets), |mut sum, part| {
            sum.add(1.0, part);
            sum
        })
    };
    let targets: Vec<f64> = observed.iter().map(|one| one.target).collect();
    let mut solution = Weights::zero(size, buckets);
    let mut residual = back(&targets);
    let mut direction = residual.clone();
    let mut error = residual.product(&residual);
    let enough = error * ENOUGH * ENOUGH;
    for _ in 0..STEPS {
        if error <= enough {
            break;
        }
        let mut image = back(&fall(&direction));
        image.add(lambda as f32, &direction);
        let step = error / direction.product(&image);
        solution.add(step as f32, &direction);
        residual.add(-step as f32, &image);
        let next = residual.product(&residual);
        let mut turned = residual.clone();
        turned.add((next / error) as f32, &direction);
        (direction, error) = (turned, next);
    }
    solution
}

/// `values` less their weighted mean within each trial.
pub(super) fn centre(observed: &[Observation], trials: usize, values: &[f64]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); trials];
    for (one, value) in observed.iter().zip(values) {
        sums[one.trial].0 += one.weight * value;
        sums[one.trial].1 += one.weight;
    }
    observed.iter().zip(values).map(|(one, value)| value - sums[one.trial].0 / sums[one.trial].1).collect()
}

/// Sixteen sums side by side, which the compiler keeps in registers.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (left, left_rest) = left.as_chunks::<16>();
    let (right, right_rest) = right.as_chunks::<16>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..16 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
