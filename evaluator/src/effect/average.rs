//! The average effect of a treatment, straight from the two arms.

use crate::stats::{Interval, interval, normal, student};

/// Nominal coverage.
pub const LEVEL: f64 = 0.95;

/// The difference of two arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average {
    /// Mean of the treated.
    pub treated: f64,
    /// Mean of the control.
    pub control: f64,
    /// Their difference: Wald's interval for proportions, Welch's for amounts.
    pub difference: Interval,
    /// Newcombe's interval (1998, method 10) of a difference of proportions.
    pub newcombe: Option<Interval>,
    /// Two-sided p: pooled z for proportions, Welch's t for amounts.
    pub p_value: f64,
}

/// Compares two arms' outcomes; `None` with fewer than two rows in one.
pub fn average(treated: &[f64], control: &[f64]) -> Option<Average> {
    if treated.len() < 2 || control.len() < 2 {
        return None;
    }
    let proportion = treated.iter().chain(control).all(|value| *value == 0.0 || (*value - 1.0).abs() == 0.0);
    let ((n1, m1, v1), (n0, m0, v0)) = (moments(treated), moments(control));
    let difference = m1 - m0;
    if proportion {
        let error = (m1 * (1.0 - m1) / n1 + m0 * (1.0 - m0) / n0).sqrt();
        let z = normal::quantile(f64::midpoint(1.0, LEVEL));
        let pooled = (m1 * n1 + m0 * n0) / (n1 + n0);
        let pooled_error = (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n0)).sqrt();
        let p_value =
            if pooled_error > 0.0 { 2.0 * normal::sf((difference / pooled_error).abs()) } else { 1.0 };
        return Some(Average {
            treated: m1,
            control: m0,
            difference: Interval::around(difference, z * error, LEVEL),
            newcombe: newcombe((m1, n1), (m0, n0)),
            p_value,
        });
    }
    let (a, b) = (v1 / n1, v0 / n0);
    let error = (a + b).sqrt();
    let (half, p_value) = if error > 0.0 {
        // Welch and Satterthwaite's degrees of freedom.
        let freedom = (a + b).powi(2) / (a * a / (n1 - 1.0) + b * b / (n0 - 1.0));
        let t = student::quantile(f64::midpoint(1.0, LEVEL), freedom);
        (t * error, student::two_sided(difference / error, freedom))
    } else {
        (0.0, if difference == 0.0 { 1.0 } else { 0.0 })
    };
    let difference = Interval::around(difference, half, LEVEL);
    Some(Average { treated: m1, control: m0, difference, newcombe: None, p_value })
}

fn moments(values: &[f64]) -> (f64, f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (n, mean, variance)
}

/// From Wilson's interval of each proportion.
fn newcombe((m1, n1): (f64, f64), (m0, n0): (f64, f64)) -> Option<Interval> {
    let a = interval::wilson(m1 * n1, n1, LEVEL)?;
    let b = interval::wilson(m0 * n0, n0, LEVEL)?;
    let estimate = m1 - m0;
    Some(Interval {
        estimate,
        lower: estimate - ((m1 - a.lower).powi(2) + (b.upper - m0).powi(2)).sqrt(),
        upper: estimate + ((a.upper - m1).powi(2) + (m0 - b.lower).powi(2)).sqrt(),
        level: LEVEL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hillstrom's mail experiment, visits of the women's mail against none; scipy and statsmodels' figures.
    #[test]
    fn proportions_equal_the_reference_on_hillstrom() {
        let arm = |n: usize, hits: usize| (0..n).map(|i| f64::from(u8::from(i < hits))).collect::<Vec<_>>();
        let found = average(&arm(21_387, 3_238), &arm(21_306, 2_262)).expect("two arms");
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
        close(found.difference.estimate, 0.045_233_106_587_052_985);
        close(found.difference.lower, 0.038_893_825_712_642_61);
        close(found.difference.upper, 0.051_572_387_361_463_36);
        let newcombe = found.newcombe.expect("proportions");
        close(newcombe.lower, 0.038_894_095_359_988_13);
        close(newcombe.upper, 0.051_574_342_962_213_596);
        assert!((found.p_value / 3.182_403_159_334_921_4e-44 - 1.0).abs() < 1e-6, "{}", found.p_value);
    }

    #[test]
    fn arms_of_one_row_are_not_compared() {
        assert_eq!(average(&[1.0], &[0.0, 1.0]), None);
        let level = average(&[2.0, 2.0], &[2.0, 2.0]).expect("two arms");
        assert!((level.p_value - 1.0).abs() < 1e-15 && level.difference.is_finite());
    }
}
