//! Whether an experiment's data can be trusted at all.

use crate::stats::chi;

/// Below this p-value the arms' sizes are not what was designed: something selects units.
pub const SRM_THRESHOLD: f64 = 0.001;
/// Above this share of units in more than one arm the comparison is diluted beyond use.
pub const MULTIPLE_EXPOSURE_THRESHOLD: f64 = 0.01;

/// What the checks found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// p-value of the sample-ratio test; `None` where it cannot be computed.
    pub srm_p_value: Option<f64>,
    /// Units seen in more than one arm.
    pub multiple_exposures: u64,
    /// Names of what is wrong.
    pub warnings: Vec<&'static str>,
}

impl Health {
    /// Whether no conclusion may be drawn.
    pub fn is_fatal(&self) -> bool {
        !self.warnings.is_empty()
    }
}

/// Checks the arms' `units` against their designed `weights`, and the share of units seen in several arms.
pub fn check(units: &[u64], weights: &[f64], multiple_exposures: u64) -> Health {
    let observed: Vec<f64> = units.iter().map(|&n| n as f64).collect();
    let equal = vec![1.0; units.len()];
    let weights = if weights.iter().all(|&w| w == 0.0) { &equal } else { weights };
    let srm_p_value = chi::goodness_of_fit(&observed, weights).map(|(_, p)| p);
    let mut warnings = Vec::new();
    if srm_p_value.is_some_and(|p| p < SRM_THRESHOLD) {
        warnings.push("SAMPLE_RATIO_MISMATCH");
    }
    let total: f64 = observed.iter().sum();
    if multiple_exposures as f64 > MULTIPLE_EXPOSURE_THRESHOLD * total {
        warnings.push("MULTIPLE_EXPOSURES");
    }
    if units.iter().zip(weights).any(|(&n, &w)| n > 0 && w == 0.0) {
        warnings.push("UNITS_IN_A_VARIANT_WITHOUT_WEIGHT");
    }
    Health { srm_p_value, multiple_exposures, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatched_ratio_is_named() {
        assert!(check(&[1000, 1010], &[0.5, 0.5], 0).warnings.is_empty());
        assert_eq!(check(&[1000, 1300], &[0.5, 0.5], 0).warnings, ["SAMPLE_RATIO_MISMATCH"]);
        assert_eq!(check(&[1000, 1000], &[0.0, 0.0], 40).warnings, ["MULTIPLE_EXPOSURES"]);
        assert_eq!(check(&[0, 0], &[0.5, 0.5], 0).srm_p_value, None);
    }
}
