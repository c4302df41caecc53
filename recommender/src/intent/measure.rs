//! How good probabilities are.

use serde::{Deserialize, Serialize};

/// Bins of the calibration error.
const BINS: usize = 10;

/// Measures of predictions against what came to pass.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quality {
    /// Area under the receiver operating characteristic: how often one that came to pass outranks one that did not,
    /// ties counted half.
    pub auc: f64,
    /// Mean of −ln of the probability given to what happened.
    pub log_loss: f64,
    /// Mean precision over the ranks of those that came to pass.
    pub average_precision: f64,
    /// Mean distance of predicted and true rate over ten bins of equal size.
    pub calibration_error: f64,
}

/// Measures `probabilities` against `outcomes`, which must be as long; 0 each where there is nothing to measure.
pub fn quality(probabilities: &[f64], outcomes: &[bool]) -> Quality {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let positives = outcomes.iter().filter(|came| **came).count();
    let negatives = outcomes.len() - positives;
    if positives == 0 || negatives == 0 {
        return Quality { log_loss: log_loss(probabilities, outcomes), ..Quality::default() };
    }
    let (mut hits, mut seen, mut pairs, mut precision) = (0_usize, 0_usize, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]).is_eq()) {
        let came = tied.iter().filter(|row| outcomes[**row]).count();
        let not = (tied.len() - came) as f64;
        pairs += not * (hits as f64 + 0.5 * came as f64);
        (hits, seen) = (hits + came, seen + tied.len());
        precision += came as f64 * hits as f64 / seen as f64;
    }
    Quality {
        auc: pairs / (positives as f64 * negatives as f64),
        log_loss: log_loss(probabilities, outcomes),
        average_precision: precision / positives as f64,
        calibration_error: calibration_error(&order, probabilities, outcomes),
    }
}

pub(super) fn log_loss(probabilities: &[f64], outcomes: &[bool]) -> f64 {
    let one = |(p, came): (&f64, &bool)| -(if *came { *p } else { 1.0 - p }).max(1e-15).ln();
    probabilities.iter().zip(outcomes).map(one).sum::<f64>() / outcomes.len().max(1) as f64
}

fn calibration_error(order: &[usize], probabilities: &[f64], outcomes: &[bool]) -> f64 {
    let size = order.len().div_ceil(BINS).max(1);
    let bins = order.chunks(size).map(|bin| {
        let told: f64 = bin.iter().map(|row| probabilities[*row]).sum();
        let came = bin.iter().filter(|row| outcomes[**row]).count() as f64;
        (told - came).abs()
    });
    bins.sum::<f64>() / order.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measures_of_a_small_case_by_hand() {
        // Ranks: 0.9 yes, 0.6 no, 0.6 yes, 0.2 no. Pairs won: 1 + 1 (by 0.9), ½ + 1 (by 0.6) of 4.
        let found = quality(&[0.6, 0.9, 0.2, 0.6], &[false, true, false, true]);
        assert!((found.auc - 0.875).abs() < 1e-12, "{found:?}");
        assert!((found.average_precision - f64::midpoint(1.0, 2.0 / 3.0)).abs() < 1e-12, "{found:?}");
        let loss = -(0.4_f64.ln() + 0.9_f64.ln() + 0.8_f64.ln() + 0.6_f64.ln()) / 4.0;
        assert!((found.log_loss - loss).abs() < 1e-12, "{found:?}");
        // Each row is a bin of its own.
        assert!((found.calibration_error - (0.6 + 0.1 + 0.2 + 0.4) / 4.0).abs() < 1e-12, "{found:?}");
    }
}
