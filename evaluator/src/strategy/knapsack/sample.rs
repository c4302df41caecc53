//! First prices of all limits together, from a sample.
//!
//! The dual λ·b + Σ max(0, max(v − λ·a)) is convex in the prices λ, but has edges: going round the limits one by one, it
//! creeps where they lean on each other (stock that costs budget, channels that carry stock). With maxima softened
//! (τ·ln(1 + Σ exp((v − λ·a)/τ)), Nesterov 2005) it has none, and a few Newton steps on prices of at least 0 find the least
//! of it; then τ falls. A sample is enough for that: what it leaves is settled on all people.

use boost::linear::Cholesky;

use super::{Candidate, People};

/// People in the sample at least, once there are as many; at most twice that.
const ENOUGH: usize = 8_192;
/// Softness, as a share of the mean value of what brings anything, from the first on.
const SOFTNESS: [f64; 5] = [1.0, 0.3, 0.1, 0.03, 0.01];
/// Newton steps for each.
const STEPS: usize = 20;
/// A step that gains less, as a share of the dual, is the last.
const TOLERANCE: f64 = 1e-7;
/// Ridge of the curvature, as a share of its mean diagonal: limits nobody meets have none.
const RIDGE: f64 = 1e-9;

/// What one candidate takes of a bound.
type Uses = Vec<(usize, f64)>;

/// Some of the people, and how many they stand for each.
pub(super) struct Sample {
    people: Vec<Vec<(f64, Uses)>>,
    weight: f64,
}

impl Sample {
    /// Of every so manyth person, who has anything to bring. Their order must not repeat itself, or the sample is of some
    /// kinds of people only; pseudonyms, by which plans tell them, are in none.
    pub(super) fn of<P: People + ?Sized>(
        people: &P,
        uses: impl Fn(&Candidate) -> Uses,
    ) -> Result<Self, P::Error> {
        let (mut kept, mut every, mut seen) = (Vec::new(), 1_usize, 0_usize);
        people.visit(&mut |person| {
            if seen.is_multiple_of(every) {
                let told = person.iter().filter(|candidate| candidate.value > 0.0);
                kept.push(told.map(|candidate| (candidate.value, uses(candidate))).collect::<Vec<_>>());
                if kept.len() == 2 * ENOUGH {
                    let mut keep = [false, true].into_iter().cycle();
                    kept.retain(|_| !keep.next().unwrap_or_default());
                    every *= 2;
                }
            }
            seen += 1;
        })?;
        let weight = seen as f64 / kept.len().max(1) as f64;
        kept.retain(|person| !person.is_empty());
        Ok(Self { people: kept, weight })
    }

    /// Prices under which the `bounds` of all people are worth least.
    pub(super) fn prices(&self, bounds: &[f64]) -> Vec<f64> {
        let mut prices = vec![0.0; bounds.len()];
        let count = self.people.iter().map(Vec::len).sum::<usize>().max(1) as f64;
        let mean = self.people.iter().flatten().map(|(value, _)| value).sum::<f64>() / count;
        for softness in SOFTNESS {
            self.descend(bounds, softness * mean, &mut prices);
        }
        prices
    }

    /// Newton's method on prices of at least 0 (projected, Bertsekas 1982).
    fn descend(&self, bounds: &[f64], softness: f64, prices: &mut Vec<f64>) {
        let mut here = self.look(bounds, softness, prices);
        for _ in 0..STEPS {
            let free: Vec<usize> =
                (0..prices.len()).filter(|&at| prices[at] > 0.0 || here.slope[at] < 0.0).collect();
            let n = free.len();
            let mut curvature: Vec<f64> = free
                .iter()
                .flat_map(|&a| free.iter().map(move |&b| (a, b)))
                .map(|(a, b)| here.curvature[a * prices.len() + b])
                .collect();
            let ridge = RIDGE * (0..n).map(|at| curvature[at * n + at]).sum::<f64>() / n.max(1) as f64;
            (0..n).for_each(|at| curvature[at * n + at] += ridge.max(f64::MIN_POSITIVE));
            let Some(root) = Cholesky::new(&curvature, n) else { return };
            let step = root.solve(&free.iter().map(|&at| here.slope[at]).collect::<Vec<_>>());
            let mut share = 1.0;
            let gained = loop {
                let mut tried = prices.clone();
                free.iter().zip(&step).for_each(|(&at, by)| tried[at] = (tried[at] - share * by).max(0.0));
                let there = self.look(bounds, softness, &tried);
                if there.value < here.value {
                    let gained = here.value - there.value;
                    (*prices, here) = (tried, there);
                    break gained;
                }
                share /= 4.0;
                if share < 1e-6 {
                    return;
                }
            };
            if gained < TOLERANCE * here.value {
                return;
            }
        }
    }

    /// The softened dual at `prices`, its gradient and its Hessian.
    fn look(&self, bounds: &[f64], softness: f64, prices: &[f64]) -> Look {
        let n = bounds.len();
        let value = prices.iter().zip(bounds).map(|(price, bound)| price * bound).sum();
        let mut found = Look { value, slope: bounds.to_vec(), curvature: vec![0.0; n * n] };
        let (mut nets, mut mean) = (Vec::new(), Uses::new());
        for person in &self.people {
            nets.clear();
            nets.extend(person.iter().map(|(value, uses)| {
                (value - uses.iter().map(|(limit, amount)| prices[*limit] * amount).sum::<f64>()) / softness
            }));
            // Nothing is worth 0: the largest exponent is taken out, so that none overflows.
            let top = nets.iter().copied().fold(0.0, f64::max);
            let total = (-top).exp() + nets.iter().map(|net| (net - top).exp()).sum::<f64>();
            found.value += self.weight * softness * (top + total.ln());
            mean.clear();
            for ((_, uses), net) in person.iter().zip(&nets) {
                let share = self.weight * (net - top).exp() / total;
                for &(limit, amount) in uses {
                    found.slope[limit] -= share * amount;
                    mean.push((limit, share * amount));
                    for &(beside, other) in uses {
                        found.curvature[limit * n + beside] += share * amount * other / softness;
                    }
                }
            }
            for &(limit, amount) in &mean {
                for &(beside, other) in &mean {
                    found.curvature[limit * n + beside] -= amount * other / (self.weight * softness);
                }
            }
        }
        found
    }
}

struct Look {
    value: f64,
    slope: Vec<f64>,
    curvature: Vec<f64>,
}
