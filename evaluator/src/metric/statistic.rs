//! From sums to a mean and a variance a unit, by the kind of metric.

use super::Moments;
use crate::stats::{Interval, interval};

/// What a metric is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Share of units with the outcome.
    Proportion,
    /// Mean of the outcome over units.
    Mean,
    /// Σ outcome ÷ Σ denominator over units.
    Ratio,
}

/// A metric's value in one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistic {
    /// Units.
    pub units: f64,
    /// The metric's value.
    pub mean: f64,
    /// Variance such that `variance / units` is the squared standard error of `mean`. Zero where it is not defined.
    pub variance: f64,
}

impl Statistic {
    /// The value of `moments` as a metric of `kind`; `None` where there is nothing to divide by.
    ///
    /// A ratio's variance is the delta method's: σm²/μd² + σd²μm²/μd⁴ − 2σmd·μm/μd³.
    pub fn of(moments: &Moments, kind: MetricKind) -> Option<Self> {
        let n = moments.units as f64;
        if moments.units == 0 {
            return None;
        }
        let mean = moments.sum / n;
        let statistic = match kind {
            MetricKind::Proportion => Self { units: n, mean, variance: mean * (1.0 - mean) },
            MetricKind::Mean => Self {
                units: n,
                mean,
                variance: covariance(n, moments.sum, moments.sum, moments.sum_squares),
            },
            MetricKind::Ratio => {
                let denominator = moments.denominator_sum / n;
                if denominator == 0.0 {
                    return None;
                }
                let ratio = mean / denominator;
                let var_m = covariance(n, moments.sum, moments.sum, moments.sum_squares);
                let d = moments.denominator_sum;
                let var_d = covariance(n, d, d, moments.denominator_sum_squares);
                let cov = covariance(n, moments.sum, d, moments.cross_sum);
                let variance = (var_m + ratio * ratio * var_d - 2.0 * ratio * cov) / denominator.powi(2);
                Self { units: n, mean: ratio, variance: variance.max(0.0) }
            }
        };
        (statistic.mean.is_finite() && statistic.variance.is_finite()).then_some(statistic)
    }

    /// Squared standard error.
    pub fn squared_error(&self) -> f64 {
        self.variance / self.units
    }
}

/// A covariate measured before the exposure, beside the metric, in one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covariate {
    /// The covariate's value.
    pub mean: f64,
    /// Its variance per unit.
    pub variance: f64,
    /// Its covariance per unit with the metric.
    pub covariance: f64,
}

impl Covariate {
    /// Reads the covariate of `moments` for a metric of `kind`; `None` where no covariate was given.
    ///
    /// The covariate of a ratio is a ratio too. Both are linearised around their own values (delta method): unit i
    /// contributes (mᵢ − R·dᵢ)/d̄ to the metric and (pᵢ − Q·qᵢ)/q̄ to the covariate, R and Q being the ratios (Deng,
    /// Knoblich & Lu 2018, section 3).
    pub fn of(moments: &Moments, kind: MetricKind) -> Option<Self> {
        let n = moments.units as f64;
        let pre = moments.covariate_sum;
        let found = match kind {
            MetricKind::Proportion | MetricKind::Mean => {
                if !moments.has_covariate() {
                    return None;
                }
                let rate = pre / n;
                // The covariate of a proportion is mostly a proportion too: its squares sum to what it sums to.
                let binary = kind == MetricKind::Proportion
                    && (pre - moments.covariate_sum_squares).abs() <= 1e-9 * pre.abs();
                let variance = if binary {
                    rate * (1.0 - rate)
                } else {
                    covariance(n, pre, pre, moments.covariate_sum_squares)
                };
                let covariance = covariance(n, moments.sum, pre, moments.covariate_cross_sum);
                Self { mean: rate, variance, covariance }
            }
            MetricKind::Ratio => {
                let own = Statistic::of(&moments.of_covariate(), MetricKind::Ratio)?;
                let metric = Statistic::of(moments, MetricKind::Ratio)?;
                let (m, d) = (moments.sum, moments.denominator_sum);
                let q = moments.covariate_denominator_sum;
                let shared = covariance(n, m, pre, moments.covariate_cross_sum)
                    - own.mean * covariance(n, m, q, moments.outcome_covariate_denominator_sum)
                    - metric.mean * covariance(n, d, pre, moments.denominator_covariate_sum)
                    + metric.mean
                        * own.mean
                        * covariance(n, d, q, moments.denominator_covariate_denominator_sum);
                Self { mean: own.mean, variance: own.variance, covariance: shared / (d / n * q / n) }
            }
        };
        (found.mean.is_finite() && found.variance.is_finite() && found.covariance.is_finite())
            .then_some(found)
    }
}

/// Σ(x−x̄)(y−ȳ)/(n−1) from sums; 0 below two units.
pub(crate) fn covariance(n: f64, sum_x: f64, sum_y: f64, sum_xy: f64) -> f64 {
    if n < 2.0 { 0.0 } else { (sum_xy - sum_x * sum_y / n) / (n - 1.0) }
}

/// The metric's value with its interval: Wilson's for a proportion, Student's otherwise.
///
/// `None` where there is no value, or where one unit alone leaves its error unknown.
pub fn value_with_interval(moments: &Moments, kind: MetricKind, level: f64) -> Option<Interval> {
    let statistic = Statistic::of(moments, kind)?;
    match kind {
        MetricKind::Proportion => interval::wilson(moments.sum, statistic.units, level),
        MetricKind::Mean | MetricKind::Ratio => {
            interval::mean(statistic.mean, statistic.variance, statistic.units, level)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GrowthBook gbstats 0.8.0, case `ratio_rev_per_session`.
    #[test]
    fn a_ratios_variance_equals_the_delta_method_of_gbstats() {
        let moments = Moments {
            units: 1000,
            sum: 5000.0,
            sum_squares: 60_000.0,
            denominator_sum: 3000.0,
            denominator_sum_squares: 12_000.0,
            cross_sum: 21_000.0,
            ..Moments::default()
        };
        let found = Statistic::of(&moments, MetricKind::Ratio).expect("a denominator");
        assert!((found.mean - 1.666_666_666_666_666_7).abs() < 1e-12);
        assert!((found.variance - 2.595_187_780_372_966_4).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_divide_by_is_no_value() {
        assert_eq!(Statistic::of(&Moments::default(), MetricKind::Mean), None);
        let zero_denominator = Moments { units: 5, sum: 1.0, sum_squares: 1.0, ..Moments::default() };
        assert_eq!(Statistic::of(&zero_denominator, MetricKind::Ratio), None);
        assert_eq!(
            value_with_interval(&Moments { units: 1, ..zero_denominator }, MetricKind::Mean, 0.95),
            None
        );
    }
}
