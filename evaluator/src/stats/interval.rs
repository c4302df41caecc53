//! An estimate with its interval, and the intervals for one proportion or one mean.

use super::{normal, student};

/// An estimate with the bounds that hold it at `level` (0.95 = 95 %).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Point estimate.
    pub estimate: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Nominal coverage, in (0, 1).
    pub level: f64,
}

impl Interval {
    /// `estimate` ± `half_width`.
    pub fn around(estimate: f64, half_width: f64, level: f64) -> Self {
        Self { estimate, lower: estimate - half_width, upper: estimate + half_width, level }
    }

    /// Whether every part is a finite number.
    pub fn is_finite(&self) -> bool {
        self.estimate.is_finite() && self.lower.is_finite() && self.upper.is_finite()
    }

    /// The interval of `factor` × the quantity.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let (a, b) = (self.lower * factor, self.upper * factor);
        Self { estimate: self.estimate * factor, lower: a.min(b), upper: a.max(b), level: self.level }
    }
}

/// Wilson's score interval of `successes` in `trials`: keeps inside [0, 1] and needs no success to have width.
///
/// Wilson (1927), JASA 22. `None` when there are no trials.
pub fn wilson(successes: f64, trials: f64, level: f64) -> Option<Interval> {
    if trials <= 0.0 {
        return None;
    }
    let z = normal::quantile(0.5 + level / 2.0);
    let rate = successes / trials;
    let spread = z * z / trials;
    let centre = (rate + spread / 2.0) / (1.0 + spread);
    let half = z / (1.0 + spread) * (rate * (1.0 - rate) / trials + spread / (4.0 * trials)).max(0.0).sqrt();
    // At the ends the bound is exactly 0 or 1, which rounding would miss by a hair.
    let lower = if successes <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let upper = if successes >= trials { 1.0 } else { (centre + half).min(1.0) };
    Some(Interval { estimate: rate, lower, upper, level })
}

/// Student's interval of a mean with `variance` (a unit's) over `units`. `None` with fewer than two units.
pub fn mean(mean: f64, variance: f64, units: f64, level: f64) -> Option<Interval> {
    if units < 2.0 {
        return None;
    }
    let t = student::quantile(0.5 + level / 2.0, units - 1.0);
    Some(Interval::around(mean, t * (variance.max(0.0) / units).sqrt(), level))
}

/// Fieller's interval of the ratio of two independent estimates, `numerator` ± `numerator_se` over `denominator` ±
/// `denominator_se`: right where the denominator is uncertain and the delta method is not (Fieller 1954, JRSS B 16).
///
/// `critical` is the two-sided critical value. `None` where the denominator is not apart from zero at that level:
/// the set is then unbounded.
pub fn fieller(
    (numerator, numerator_se): (f64, f64),
    (denominator, denominator_se): (f64, f64),
    critical: f64,
    level: f64,
) -> Option<Interval> {
    let g = (critical * denominator_se / denominator).powi(2);
    if !g.is_finite() || g >= 1.0 {
        return None;
    }
    let ratio = numerator / denominator;
    let spread = (1.0 - g) * numerator_se.powi(2) + ratio * ratio * denominator_se.powi(2);
    let half = critical / denominator.abs() * spread.sqrt();
    Some(Interval {
        estimate: ratio,
        lower: (ratio - half) / (1.0 - g),
        upper: (ratio + half) / (1.0 - g),
        level,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// statsmodels 0.15.0 `proportion_confint(method="wilson")`.
    #[test]
    fn wilson_equals_statsmodels() {
        for (successes, trials, lower, upper) in [
            (120.0, 1000.0, 0.101_299_260_601_309_12, 0.141_609_075_847_712_76),
            (1620.0, 100_500.0, 0.015_359_099_685_012_11, 0.016_916_696_063_051_802),
            (5.0, 500.0, 0.004_278_753_896_590_498, 0.023_193_099_755_730_71),
        ] {
            let found = wilson(successes, trials, 0.95).expect("trials");
            assert!((found.lower - lower).abs() < 1e-12 && (found.upper - upper).abs() < 1e-12, "{found:?}");
        }
        let none = wilson(0.0, 10.0, 0.95).expect("trials");
        assert!(none.lower == 0.0 && none.upper > 0.2);
        assert_eq!(wilson(0.0, 0.0, 0.95), None);
    }

    #[test]
    fn fieller_is_unbounded_when_the_denominator_may_be_zero() {
        assert_eq!(fieller((1.0, 0.1), (0.1, 0.1), 1.96, 0.95), None);
        // A certain denominator leaves the numerator's own interval.
        let certain = fieller((2.0, 0.5), (4.0, 0.0), 2.0, 0.95).expect("bounded");
        assert!((certain.lower - 0.25).abs() < 1e-12 && (certain.upper - 0.75).abs() < 1e-12);
    }
}
