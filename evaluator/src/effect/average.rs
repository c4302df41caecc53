//! The average effect of a treatment, straight from the two arms.

use crate::stats::proportion::{self, Count};
use crate::stats::{Interval, normal, student};

/// Nominal coverage.
pub const LEVEL: f64 = 0.95;

/// What is known of one arm's outcomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arm {
    /// Rows.
    pub rows: f64,
    /// Their mean.
    pub mean: f64,
    /// Their variance with n − 1 below; not looked at for proportions.
    pub variance: f64,
}

/// The difference of two arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average {
    /// The treated.
    pub treated: Arm,
    /// The control.
    pub control: Arm,
    /// The difference of their means: Wald's interval for proportions, Welch's for amounts.
    pub difference: Interval,
    /// Newcombe's interval (1998, method 10) of a difference of proportions.
    pub newcombe: Option<Interval>,
    /// Two-sided p: pooled z for proportions, Welch's t for amounts.
    pub p_value: f64,
}

impl Arm {
    /// Of these outcomes.
    pub fn of(values: &[f64]) -> Self {
        let rows = values.len() as f64;
        let mean = values.iter().sum::<f64>() / rows;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (rows - 1.0);
        Self { rows, mean, variance }
    }
}

/// Compares two arms' outcomes; `None` with fewer than two rows in one.
pub fn average(treated: &[f64], control: &[f64]) -> Option<Average> {
    if treated.len() < 2 || control.len() < 2 {
        return None;
    }
    let compare = if is_proportion(treated) && is_proportion(control) { proportions } else { amounts };
    Some(compare(Arm::of(treated), Arm::of(control)))
}

/// Whether all outcomes are 0 or 1.
pub fn is_proportion(values: &[f64]) -> bool {
    values.iter().all(|value| *value == 0.0 || (*value - 1.0).abs() == 0.0)
}

/// Compares the shares of two arms.
pub fn proportions(treated: Arm, control: Arm) -> Average {
    let count = |arm: Arm| Count { successes: arm.mean * arm.rows, trials: arm.rows };
    let (base, changed) = (count(control), count(treated));
    Average {
        treated,
        control,
        difference: proportion::wald(base, changed, LEVEL),
        newcombe: Some(proportion::newcombe(base, changed, LEVEL)),
        p_value: 2.0 * normal::sf(proportion::pooled_z(base, changed).abs()),
    }
}

/// Compares the mean amounts of two arms.
pub fn amounts(treated: Arm, control: Arm) -> Average {
    let difference = treated.mean - control.mean;
    let (a, b) = (treated.variance / treated.rows, control.variance / control.rows);
    let error = (a + b).sqrt();
    let (half, p_value) = if error > 0.0 {
        // Welch and Satterthwaite's degrees of freedom.
        let freedom = (a + b).powi(2) / (a * a / (treated.rows - 1.0) + b * b / (control.rows - 1.0));
        let t = student::quantile(f64::midpoint(1.0, LEVEL), freedom);
        (t * error, student::two_sided(difference / error, freedom))
    } else {
        (0.0, if difference == 0.0 { 1.0 } else { 0.0 })
    };
    Average {
        treated,
        control,
        difference: Interval::around(difference, half, LEVEL),
        newcombe: None,
        p_value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    /// Hillstrom's mail experiment, each mail against none, visits and conversions: scipy's and statsmodels' figures.
    #[test]
    fn proportions_equal_the_reference_on_hillstrom() {
        let (mens, womens, control) = (21_307.0, 21_387.0, 21_306.0);
        for ((rows, hits), control_hits, difference, wald, newcombe, p_value) in [
            (
                (womens, 3_238.0),
                2_262.0,
                0.045_233_106_587_052_985,
                [0.038_893_825_712_642_61, 0.051_572_387_361_463_36],
                [0.038_894_095_359_988_13, 0.051_574_342_962_213_596],
                3.182_403_159_334_921_4e-44,
            ),
            (
                (mens, 3_894.0),
                2_262.0,
                0.076_589_563_651_531_25,
                [0.069_953_501_218_108_38, 0.083_225_626_084_954_11],
                [0.069_953_308_083_731_54, 0.083_226_741_274_111_37],
                5.685_165_482_802_317e-112,
            ),
            (
                (womens, 189.0),
                122.0,
                0.003_111_057_511_085_258,
                [0.001_498_677_821_402_234_8, 0.004_723_437_200_768_281],
                [0.001_501_657_131_877_008, 0.004_745_471_313_672_931],
                0.000_157_105_129_106_684_48,
            ),
            (
                (mens, 267.0),
                122.0,
                0.006_805_006_519_615_695,
                [0.005_000_171_380_452_313, 0.008_609_841_658_779_076],
                [0.005_014_344_671_481_532, 0.008_640_723_396_917_826],
                1.523_223_500_595_542_7e-13,
            ),
        ] {
            let share = |rows: f64, hits: f64| Arm { rows, mean: hits / rows, variance: f64::NAN };
            let found = proportions(share(rows, hits), share(control, control_hits));
            close(found.difference.estimate, difference);
            close(found.difference.lower, wald[0]);
            close(found.difference.upper, wald[1]);
            let other = found.newcombe.expect("proportions");
            close(other.lower, newcombe[0]);
            close(other.upper, newcombe[1]);
            assert!((found.p_value / p_value - 1.0).abs() < 1e-6, "{} is not {p_value}", found.p_value);
        }
    }

    /// The same experiment's spend, from its sums: scipy's Welch test.
    #[test]
    fn amounts_equal_the_reference_on_hillstrom() {
        let arm = |rows: f64, sum: f64, squares: f64| Arm {
            rows,
            mean: sum / rows,
            variance: (squares - sum * sum / rows) / (rows - 1.0),
        };
        let control = arm(21_306.0, 13_908.33, 2_870_050.362_1);
        for (treated, difference, welch, p_value) in [
            (
                arm(21_387.0, 23_038.11, 4_911_446.576_3),
                0.424_412_215_936_596_7,
                [0.168_956_789_883_778_7, 0.679_867_641_989_414_7],
                0.001_129_397_102_363_249_5,
            ),
            (
                arm(21_307.0, 30_311.69, 6_759_024.497_3),
                0.769_827_155_894_536_8,
                [0.485_139_732_568_407_6, 1.054_514_579_220_665_8],
                1.163_814_968_225_482e-7,
            ),
        ] {
            let found = amounts(treated, control);
            close(found.difference.estimate, difference);
            close(found.difference.lower, welch[0]);
            close(found.difference.upper, welch[1]);
            assert!((found.p_value / p_value - 1.0).abs() < 1e-6, "{} is not {p_value}", found.p_value);
        }
    }

    #[test]
    fn arms_of_one_row_are_not_compared() {
        assert_eq!(average(&[1.0], &[0.0, 1.0]), None);
        let level = average(&[2.0, 2.0], &[2.0, 2.0]).expect("two arms");
        assert!((level.p_value - 1.0).abs() < 1e-15 && level.difference.is_finite());
    }
}
