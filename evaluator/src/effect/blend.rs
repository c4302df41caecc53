//! Which learner to believe, and how far: effects predicted out of fold, regressed on doubly robust pseudo-outcomes with
//! weights of at least 0 (stacking, Breiman 1996; as Nie and Wager 2021 do for effects). The free intercept and the
//! weights together calibrate: learners that saw only noise get no weight, and the effect is then the same for all.

use boost::linear::solve;

/// Intercept and weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    pub(super) intercept: f64,
    pub(super) of: Vec<f64>,
}

impl Weights {
    pub(super) fn apply(&self, predictions: impl Iterator<Item = f64>) -> f64 {
        self.intercept + self.of.iter().zip(predictions).map(|(weight, value)| weight * value).sum::<f64>()
    }
}

/// Sums a blend is solved from; sums of parts add up to the sums of the whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moments {
    n: f64,
    means: Vec<f64>,
    products: Vec<f64>,
    width: usize,
}

impl Moments {
    /// Of no rows, for `learners`.
    pub(super) fn new(learners: usize) -> Self {
        let width = learners + 1;
        Self { n: 0.0, means: vec![0.0; width], products: vec![0.0; width * width], width }
    }

    /// One row: each learner's prediction, then the pseudo-outcome.
    pub(super) fn add(&mut self, row: &[f64]) {
        self.n += 1.0;
        for (i, x) in row.iter().enumerate() {
            self.means[i] += x;
            for (j, y) in row.iter().enumerate() {
                self.products[i * self.width + j] += x * y;
            }
        }
    }

    /// These rows without `part`.
    pub(super) fn without(&self, part: &Self) -> Self {
        let less = |all: &[f64], part: &[f64]| all.iter().zip(part).map(|(a, p)| a - p).collect();
        Self {
            n: self.n - part.n,
            means: less(&self.means, &part.means),
            products: less(&self.products, &part.products),
            width: self.width,
        }
    }

    /// The weights. Learners enter one by one while they help and leave when their weight falls under 0 (Lawson and
    /// Hanson's active set).
    pub(super) fn solve(&self) -> Weights {
        let learners = self.width - 1;
        let covariance = |i: usize, j: usize| {
            self.products[i * self.width + j] / self.n - self.means[i] / self.n * (self.means[j] / self.n)
        };
        let ridge = |i: usize| covariance(i, i).max(0.0) * RIDGE + 1e-300;
        let mut active: Vec<usize> = Vec::new();
        let mut of = vec![0.0; learners];
        for _ in 0..3 * learners {
            let gradient = |i: usize, of: &[f64]| {
                let fitted: f64 = (0..learners).map(|j| of[j] * covariance(i, j)).sum();
                (covariance(i, learners) - fitted) / covariance(i, i).max(1e-300).sqrt()
            };
            let entering = (0..learners)
                .filter(|i| !active.contains(i) && covariance(*i, *i) > 1e-18)
                .max_by(|&a, &b| gradient(a, &of).total_cmp(&gradient(b, &of)))
                .filter(|&i| gradient(i, &of) > 1e-12);
            let Some(entering) = entering else { break };
            active.push(entering);
            loop {
                let matrix: Vec<f64> = active
                    .iter()
                    .flat_map(|&i| active.iter().map(move |&j| (i, j)))
                    .map(|(i, j)| covariance(i, j) + if i == j { ridge(i) } else { 0.0 })
                    .collect();
                let right: Vec<f64> = active.iter().map(|&i| covariance(i, learners)).collect();
                let Some(found) = solve(&matrix, &right) else {
                    active.pop();
                    break;
                };
                if found.iter().all(|weight| *weight > 0.0) {
                    of.fill(0.0);
                    active.iter().zip(&found).for_each(|(&i, &weight)| of[i] = weight);
                    break;
                }
                // As far towards the solution as all weights stay at least 0; who reaches 0 leaves.
                let share = active
                    .iter()
                    .zip(&found)
                    .filter(|(_, to)| **to <= 0.0)
                    .map(|(&i, to)| if of[i] > *to { of[i] / (of[i] - to) } else { 0.0 })
                    .fold(1.0, f64::min);
                active.iter().zip(&found).for_each(|(&i, to)| of[i] += share * (to - of[i]));
                active.retain(|&i| of[i] > 1e-12);
                if active.is_empty() {
                    of.fill(0.0);
                    break;
                }
            }
        }
        let intercept = if self.n > 0.0 {
            let fitted: f64 = of.iter().zip(&self.means).map(|(weight, mean)| weight * mean / self.n).sum();
            self.means[learners] / self.n - fitted
        } else {
            0.0
        };
        Weights { intercept, of }
    }
}

/// Share of a learner's own variance added to it: keeps weights sound where learners are nearly the same.
const RIDGE: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_recover_a_mixture_and_ignore_noise_and_the_wrong_sign() {
        let mut moments = Moments::new(3);
        for i in 0..1_000_u32 {
            let (a, noise) = (f64::from(i % 10), f64::from(i * 7919 % 13));
            moments.add(&[a, noise, -a, 3.0 + 0.5 * a]);
        }
        let weights = moments.solve();
        assert!(
            (weights.of[0] - 0.5).abs() < 0.02 && weights.of[1] < 0.01 && weights.of[2] <= 0.0,
            "{weights:?}"
        );
        assert!((weights.apply([4.0, 0.0, -4.0].into_iter()) - 5.0).abs() < 0.1);
    }

    #[test]
    fn learners_that_say_nothing_leave_the_mean() {
        let mut moments = Moments::new(2);
        for i in 0..100 {
            moments.add(&[1.0, -1.0, f64::from(i % 2)]);
        }
        let weights = moments.solve();
        assert_eq!(weights.of, [0.0, 0.0]);
        assert!((weights.intercept - 0.5).abs() < 1e-12);
    }
}
