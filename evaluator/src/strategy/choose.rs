//! Thompson sampling with true propensities.
//!
//! Each treatment's value is believed to be normal. Thompson's rule draws one value each and takes the best, so a
//! treatment's probability is that of being the best: w_a = ∫φ(z)·Π_{b≠a} Φ((m_a + s_a·z − m_b)/s_b) dz over the
//! values above that of no offer, which is 0. It is computed instead of drawn, mixed with a floor, and then drawn
//! from: what is logged is the probability with which it was chosen, and no treatment's is ever 0.

use crate::stats::normal;

/// What is believed of one treatment's value beside no offer's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Mean.
    pub mean: f64,
    /// Standard error.
    pub error: f64,
}

/// Points of the integration, over ±[`REACH`] standard errors.
const POINTS: usize = 32;
const REACH: f64 = 5.0;

/// Probability of no offer, then of each treatment. `floor` is the share chosen uniformly.
pub fn probabilities(beliefs: &[Belief], floor: f64) -> Vec<f64> {
    let scale = beliefs.iter().map(|b| b.mean.abs() + b.error).fold(0.0, f64::max).max(1e-300);
    let errors: Vec<f64> = beliefs.iter().map(|b| b.error.max(scale * 1e-9)).collect();
    let mut weights = Vec::with_capacity(beliefs.len() + 1);
    // No offer is best where every treatment's value is below 0.
    weights.push(beliefs.iter().zip(&errors).map(|(b, e)| normal::cdf(-b.mean / e)).product::<f64>());
    let width = 2.0 * REACH / POINTS as f64;
    for (a, belief) in beliefs.iter().enumerate() {
        let mut weight = 0.0;
        for point in 0..POINTS {
            let z = -REACH + width * (point as f64 + 0.5);
            let value = belief.mean + errors[a] * z;
            if value <= 0.0 {
                continue;
            }
            let others = beliefs.iter().zip(&errors).enumerate().filter(|(b, _)| *b != a);
            let best: f64 = others.map(|(_, (b, e))| normal::cdf((value - b.mean) / e)).product();
            weight += normal::density(z) * best * width;
        }
        weights.push(weight);
    }
    let total: f64 = weights.iter().sum();
    let arms = weights.len() as f64;
    if total > 0.0 {
        for weight in &mut weights {
            *weight = (1.0 - floor) * *weight / total + floor / arms;
        }
    } else {
        weights.fill(1.0 / arms);
    }
    weights
}

/// The arm at `place` in [0, 1) of the probabilities laid end to end.
pub fn pick(probabilities: &[f64], place: f64) -> usize {
    let mut end = 0.0;
    for (arm, probability) in probabilities.iter().enumerate() {
        end += probability;
        if place < end {
            return arm;
        }
    }
    // Rounding may leave the sum a hair under 1.
    probabilities.iter().rposition(|probability| *probability > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belief(mean: f64, error: f64) -> Belief {
        Belief { mean, error }
    }

    /// One treatment against 0: Φ(m/s). Two alike and certain to be above 0: a half each.
    #[test]
    fn weights_are_the_probabilities_of_being_best() {
        let one = probabilities(&[belief(1.0, 1.0)], 0.0);
        assert!((one[1] - 0.841_344_746).abs() < 0.01 && (one[0] + one[1] - 1.0).abs() < 1e-12, "{one:?}");
        let two = probabilities(&[belief(50.0, 1.0), belief(50.0, 1.0)], 0.0);
        assert!(two[0] < 1e-12 && (two[1] - 0.5).abs() < 1e-9);
        // P(N(1, 1) > N(0, 1)) = Φ(1/√2), far above 0.
        let apart = probabilities(&[belief(101.0, 1.0), belief(100.0, 1.0)], 0.0);
        assert!((apart[1] - 0.760_249_938).abs() < 1e-3, "{apart:?}");
    }

    #[test]
    fn nobody_falls_under_the_floor_and_certainty_is_no_division_by_zero() {
        let found = probabilities(&[belief(10.0, 0.0), belief(-10.0, 0.0)], 0.03);
        assert!((found[1] - 0.98).abs() < 1e-9 && (found[2] - 0.01).abs() < 1e-9, "{found:?}");
        let level = probabilities(&[belief(0.0, 0.0)], 0.0);
        assert!(level.iter().all(|p| p.is_finite()) && (level.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn arms_are_picked_as_often_as_their_probability_says() {
        let probabilities = [0.2, 0.5, 0.3];
        let mut counts = [0_u32; 3];
        for i in 0..10_000 {
            counts[pick(&probabilities, f64::from(i) / 10_000.0)] += 1;
        }
        assert_eq!(counts, [2_000, 5_000, 3_000]);
        assert_eq!(pick(&[0.5, 0.5, 0.0], 0.999_999_999_999_999_9), 1);
    }
}
