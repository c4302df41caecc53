//! Whether an experiment's data can be trusted at all.

use super::analyse::{Method, Question, compare};
use super::effect::Difference;
use crate::metric::{MetricKind, Moments};
use crate::stats::adjust::{Adjustment, adjusted};
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
    /// Least p-value of the covariate's difference from the control before treatment, adjusted by Holm; `None`
    /// without a covariate.
    pub covariate_p_value: Option<f64>,
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
    Health { srm_p_value, multiple_exposures, covariate_p_value: None, warnings }
}

impl Health {
    /// Adds the p-values of the arms' differences before treatment, as [`pre_period_p_values`] returns them for one
    /// metric.
    #[must_use]
    pub fn with_pre_period(mut self, p_values: &[Option<f64>]) -> Self {
        let known: Vec<f64> = p_values.iter().copied().flatten().collect();
        let least = adjusted(&known, Adjustment::Holm).into_iter().reduce(f64::min);
        self.covariate_p_value = match (self.covariate_p_value, least) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let uneven = least.is_some_and(|p| p < SRM_THRESHOLD);
        if uneven && !self.warnings.contains(&COVARIATE_IMBALANCE) {
            self.warnings.push(COVARIATE_IMBALANCE);
        }
        self
    }
}

/// Tests whether each arm after the first, the control, differed from the control before treatment: Welch's test on the
/// covariate, of a ratio on the linearised ratio. `None` where an arm has no covariate.
pub fn pre_period_p_values(arms: &[Moments], kind: MetricKind) -> Vec<Option<f64>> {
    let Some((control, others)) = arms.split_first() else { return Vec::new() };
    // A covariate that is a share of units is compared as a mean: Welch's test needs no more than its moments.
    let kind = if kind == MetricKind::Ratio { kind } else { MetricKind::Mean };
    let has =
        |arm: &Moments| arm.has_covariate() && (kind != MetricKind::Ratio || arm.has_covariate_denominator());
    let question = Question::new(kind, Difference::Absolute, Method::Fixed);
    let test = |arm: &Moments| {
        let found = compare(&control.of_covariate(), &arm.of_covariate(), &question);
        found.effect.and(found.p_value)
    };
    others.iter().map(|arm| (has(control) && has(arm)).then(|| test(arm)).flatten()).collect()
}

const COVARIATE_IMBALANCE: &str = "COVARIATE_IMBALANCE";

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

    #[test]
    fn arms_that_differed_before_treatment_are_named() {
        let arm = |covariate_sum: f64| Moments {
            units: 1000,
            covariate_sum,
            covariate_sum_squares: covariate_sum * covariate_sum / 1000.0 + 4000.0,
            ..Moments::proportion(1000, 100.0)
        };
        let health = |arms: &[Moments]| {
            let p_values = pre_period_p_values(arms, MetricKind::Proportion);
            check(&[1000, 1000], &[0.5, 0.5], 0).with_pre_period(&p_values)
        };
        let even = health(&[arm(10_000.0), arm(10_050.0)]);
        assert!(even.warnings.is_empty() && even.covariate_p_value.is_some_and(|p| p > 0.5));
        // 0.5 is 5.6 standard errors of the difference of two means of 1000 with variance 4.
        let uneven = health(&[arm(10_000.0), arm(10_500.0)]);
        assert_eq!(uneven.warnings, ["COVARIATE_IMBALANCE"]);
        let none = health(&[Moments::proportion(9, 1.0), Moments::proportion(9, 1.0)]);
        assert_eq!(none.covariate_p_value, None);
    }
}
