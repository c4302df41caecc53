//! Which learner to believe, and how far: effects predicted out of fold, regressed on doubly robust pseudo-outcomes with
//! weights of at least 0 (stacking, Breiman 1996; as Nie and Wager 2021 do for effects).
//!
//! Pseudo-outcomes are noisy far beyond the effects, so the regression starts from a prior: the learners whose responses
//! came closest to what happened, and no intercept. It is the posterior mode of a normal model, and with more rows it
//! goes where the pseudo-outcomes say. Noise is larger where effects are (baskets are large there, or an arm is rare), so
//! what rows tell of a weight is counted by the noise they have themselves (as White 1980 does for errors). A weight that
//! ends near its prior stays there.

/// Intercept and weights.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
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
    /// Of each learner: squared prediction times pseudo-outcome, and times its square.
    squares: Vec<(f64, f64)>,
    width: usize,
}

impl Moments {
    /// Of no rows, for `learners`.
    pub(super) fn new(learners: usize) -> Self {
        let width = learners + 1;
        let (means, products) = (vec![0.0; width], vec![0.0; width * width]);
        Self { n: 0.0, means, products, squares: vec![(0.0, 0.0); learners], width }
    }

    /// One row: each learner's prediction, then the pseudo-outcome.
    pub(super) fn add(&mut self, row: &[f64]) {
        self.n += 1.0;
        let outcome = row[self.width - 1];
        for ((once, twice), x) in self.squares.iter_mut().zip(row) {
            *once += x * x * outcome;
            *twice += (x * outcome).powi(2);
        }
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
            squares: self.squares.iter().zip(&part.squares).map(|(a, p)| (a.0 - p.0, a.1 - p.1)).collect(),
            width: self.width,
        }
    }

    /// The weights, by coordinate descent. `prior` holds each learner's weight before anything is known of effects.
    pub(super) fn solve(&self, prior: &[f64]) -> Weights {
        let all = Weighing::new(self, prior);
        let told = all.told(&all.descend(&Told::all(prior.len())));
        let mut found = all.descend(&told);
        found.of.iter_mut().filter(|weight| **weight < LEAST_WEIGHT).for_each(|weight| *weight = 0.0);
        found
    }
}

/// Standard deviation of a learner's weight around its prior.
const WEIGHT_SPREAD: f64 = 0.15;
/// That of the intercept, as a share of the effects the learners predict (root mean square).
const INTERCEPT_SPREAD: f64 = 0.1;
/// Weights below this are nothing: what has next to no say is not worth its time at every prediction.
const LEAST_WEIGHT: f64 = 0.03;
/// Standard deviations of the posterior a weight has to lie from its prior to leave it. Weights are at least 0, so that of
/// many learners that add nothing half would get a little of it by chance, and blur what the others say.
const EARNED: f64 = 2.0;
/// Sweeps over the weights; learners that are nearly the same need many.
const SWEEPS: usize = 5_000;

/// What the rows tell apart from its prior.
struct Told {
    intercept: bool,
    of: Vec<bool>,
}

impl Told {
    fn all(learners: usize) -> Self {
        Self { intercept: true, of: vec![true; learners] }
    }
}

/// The normal equations: mean squares of the rows and of the prior on one scale.
struct Weighing<'a> {
    prior: &'a [f64],
    means: Vec<f64>,
    products: Vec<f64>,
    width: usize,
    /// What the prior of each weight, and of the intercept, counts beside the rows.
    hold: Vec<f64>,
    hold_intercept: f64,
    /// Squared standard error of the mean pseudo-outcome.
    noise: f64,
}

impl<'a> Weighing<'a> {
    fn new(moments: &Moments, prior: &'a [f64]) -> Self {
        let (width, learners) = (moments.width, moments.width - 1);
        let n = moments.n.max(1.0);
        let means: Vec<f64> = moments.means.iter().map(|sum| sum / n).collect();
        let products: Vec<f64> = moments.products.iter().map(|sum| sum / n).collect();
        let noise = (products[learners * width + learners] - means[learners].powi(2)).max(0.0) / n;
        let size = (0..learners).map(|i| products[i * width + i]).sum::<f64>() / learners.max(1) as f64;
        let hold_intercept = if size > 0.0 { noise / (size * INTERCEPT_SPREAD.powi(2)) } else { 0.0 };
        let hold = (0..learners)
            .map(|i| {
                let size = moments.products[i * width + i];
                let ((once, twice), mean) = (moments.squares[i], means[learners]);
                let around = twice - 2.0 * mean * once + mean * mean * size;
                let own = if size > 0.0 { around / size / n } else { 0.0 };
                own.max(noise) / WEIGHT_SPREAD.powi(2)
            })
            .collect();
        Self { prior, means, products, width, hold, hold_intercept, noise }
    }

    /// What of `found` lies so far from its prior that rows must have told it.
    fn told(&self, found: &Weights) -> Told {
        let beyond = |from: f64, variance: f64| from.abs() >= EARNED * variance.sqrt();
        let of_weight = |(i, weight): (usize, &f64)| {
            let (own, prior) = (self.products[i * self.width + i] + self.hold[i], self.prior[i]);
            // The hold is the noise of the weight's own rows in units of the prior's variance.
            let variance = self.hold[i] * WEIGHT_SPREAD.powi(2) / own.max(1e-300);
            beyond(weight - prior, variance)
        };
        Told {
            intercept: beyond(found.intercept, self.noise / (1.0 + self.hold_intercept)),
            of: found.of.iter().enumerate().map(of_weight).collect(),
        }
    }

    /// The weights, of which those not `told` stay at their prior.
    fn descend(&self, told: &Told) -> Weights {
        let learners = self.width - 1;
        let mut of = self.prior.to_vec();
        let mut intercept = 0.0;
        for _ in 0..SWEEPS {
            let fitted: f64 = of.iter().zip(&self.means).map(|(weight, mean)| weight * mean).sum();
            let mut moved: f64 = 0.0;
            if told.intercept {
                let next = (self.means[learners] - fitted) / (1.0 + self.hold_intercept);
                moved = (next - intercept).abs() / next.abs().max(1e-300);
                intercept = next;
            }
            for i in (0..learners).filter(|&i| told.of[i]) {
                let product = |j: usize| self.products[i * self.width + j];
                let own = product(i) + self.hold[i];
                if own <= 0.0 {
                    continue;
                }
                let others: f64 = (0..learners).filter(|&j| j != i).map(|j| of[j] * product(j)).sum();
                let left = product(learners) - intercept * self.means[i] - others;
                let next = ((left + self.hold[i] * self.prior[i]) / own).max(0.0);
                moved = moved.max((next - of[i]).abs());
                of[i] = next;
            }
            if moved < 1e-9 {
                break;
            }
        }
        Weights { intercept, of }
    }
}

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
        let weights = moments.solve(&[0.0, 0.5, 0.5]);
        assert!(weights.of[0] - weights.of[2] > 0.45 && weights.of[1] < 0.03, "{weights:?}");
        assert!((weights.apply([4.0, 0.0, -4.0].into_iter()) - 5.0).abs() < 0.1, "{weights:?}");
    }

    #[test]
    fn learners_that_say_nothing_leave_the_mean() {
        let mut moments = Moments::new(2);
        for i in 0..100 {
            moments.add(&[0.0, 0.0, f64::from(i % 2)]);
        }
        assert!((moments.solve(&[0.5, 0.5]).intercept - 0.5).abs() < 1e-12);
    }

    /// Forty times two thousand rows of noise: of six learners that are nothing but noise hardly one gets a say beside the one that
    /// is right, nor an intercept.
    #[test]
    fn what_adds_nothing_earns_no_weight() {
        use rand::{Rng as _, SeedableRng as _};
        let mut random = rand::rngs::StdRng::seed_from_u64(5);
        let mut earned = 0;
        for _ in 0..40 {
            let mut moments = Moments::new(7);
            for _ in 0..2_000 {
                let mut row: Vec<f64> = (0..7).map(|_| random.random_range(-1.0..1.0)).collect();
                row.push(row[0] + random.random_range(-40.0..40.0));
                moments.add(&row);
            }
            let found = moments.solve(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
            earned += found.of[1..].iter().filter(|weight| **weight > 0.0).count();
            earned += usize::from(found.intercept.abs() > 1e-12 || (found.of[0] - 1.0).abs() > 1e-12);
        }
        // Of 280 counted one in forty lies two standard deviations above its prior by chance, and nothing lies below 0.
        assert!(earned <= 20, "{earned} of 280 were earned by chance");
    }

    /// An effect of 1 under noise of 50: a hundred rows leave the prior as it is, a million overrule it.
    #[test]
    fn few_noisy_rows_move_no_weight_and_many_do() {
        let weights = |rows: u32| {
            let mut moments = Moments::new(2);
            for i in 0..rows {
                let good = f64::from(i % 3) - 1.0;
                let noise = if i / 3 % 2 == 0 { 50.0 } else { -50.0 };
                moments.add(&[1.0 + good, 1.0 - good, 1.0 + good + noise]);
            }
            moments.solve(&[0.0, 1.0]).of
        };
        let (few, many) = (weights(120), weights(1_200_000));
        assert!(few[1] > 0.9 && many[0] > 0.75 && many[1] < 0.25, "{few:?} {many:?}");
    }
}
