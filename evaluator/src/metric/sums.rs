//! Exact additive sums: integers, so that what is added can be taken away again to the last bit.

use std::fmt;
use std::str::FromStr;

use super::{MetricKind, Moments};

/// Sums over units in a metric's smallest unit: counts, minor units of money, millionths of a rating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums([i128; FIELDS]);

/// What of a unit is summed, in the order it is written.
const FIELDS: usize = 15;

/// One unit's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// The outcome.
    pub outcome: i64,
    /// Of a ratio, what it is divided by.
    pub denominator: i64,
    /// The same outcome before the unit's first exposure.
    pub covariate: i64,
    /// Of a ratio, the denominator before the unit's first exposure.
    pub covariate_denominator: i64,
}

impl Figures {
    /// Whether nothing is to be summed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Sums {
    /// One unit's.
    pub fn of(figures: &Figures) -> Self {
        let Figures { outcome, denominator, covariate, covariate_denominator } = *figures;
        let [x, d, c, q] = [outcome, denominator, covariate, covariate_denominator].map(i128::from);
        let before = [q, q * q, c * q, x * q, d * c, d * q];
        let mut sums = [i128::from(x > 0), x, x * x, d, d * d, x * d, c, c * c, x * c, 0, 0, 0, 0, 0, 0];
        sums[9..].copy_from_slice(&before);
        Self(sums)
    }

    /// Adds `sign` (1 or −1) times `other`. Wraps only beyond 10³⁸: ten billion units of ten billion each.
    pub fn add(&mut self, other: &Self, sign: i128) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.wrapping_add(theirs.wrapping_mul(sign));
        }
    }

    /// Whether all are zero.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Units whose outcome is above 0.
    pub fn positive_units(&self) -> i128 {
        self.0[0]
    }

    /// Σ outcome.
    pub fn outcome(&self) -> i128 {
        self.0[1]
    }

    /// Σ denominator.
    pub fn denominator(&self) -> i128 {
        self.0[3]
    }

    /// The same units with an outcome of `value` each; their denominators count them.
    #[must_use]
    pub fn capped(&self, value: i64) -> Self {
        let [_, _, _, d, dd, _, c, cc, _, before @ ..] = self.0;
        let x = i128::from(value);
        let mut sums =
            [if value > 0 { d } else { 0 }, d * x, d * x * x, d, dd, d * x, c, cc, c * x, 0, 0, 0, 0, 0, 0];
        sums[9..].copy_from_slice(&before);
        Self(sums)
    }

    /// The sums over `units` as a metric of `kind`; outcomes (and covariates) are told in `scale`ths. A proportion is
    /// the share of units with any of the outcome.
    pub fn moments(&self, units: u64, kind: MetricKind, scale: f64) -> Moments {
        let [positive, x, xx, d, dd, xd, c, cc, xc, q, qq, cq, xq, dc, dq] = self.0.map(|sum| sum as f64);
        let covariates = |moments: Moments| Moments {
            covariate_sum: c / scale,
            covariate_sum_squares: cc / (scale * scale),
            covariate_cross_sum: xc / (scale * scale),
            ..moments
        };
        match kind {
            MetricKind::Proportion => covariates(Moments::proportion(units, positive)),
            MetricKind::Mean => covariates(Moments {
                units,
                sum: x / scale,
                sum_squares: xx / (scale * scale),
                ..Moments::default()
            }),
            MetricKind::Ratio => Moments {
                units,
                sum: x / scale,
                sum_squares: xx / (scale * scale),
                denominator_sum: d,
                denominator_sum_squares: dd,
                cross_sum: xd / scale,
                covariate_sum: c / scale,
                covariate_sum_squares: cc / (scale * scale),
                covariate_cross_sum: xc / (scale * scale),
                covariate_denominator_sum: q,
                covariate_denominator_sum_squares: qq,
                covariate_denominator_cross_sum: cq / scale,
                outcome_covariate_denominator_sum: xq / scale,
                denominator_covariate_sum: dc / scale,
                denominator_covariate_denominator_sum: dq,
            },
        }
    }
}

/// The sums in order, separated by spaces; zeros at the end are left out.
impl fmt::Display for Sums {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = self.0.iter().rposition(|sum| *sum != 0).map_or(1, |last| last + 1);
        for (place, sum) in self.0[..written].iter().enumerate() {
            write!(to, "{}{sum}", if place == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl FromStr for Sums {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sums = [0; FIELDS];
        for (place, field) in text.split(' ').enumerate() {
            let sum = sums
                .get_mut(place)
                .ok_or_else(|| format!("must be at most {FIELDS} numbers, is {text:?}"))?;
            *sum = field.parse().map_err(|error| format!("{field:?}: {error}"))?;
        }
        Ok(Self(sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_can_be_taken_away_to_the_last_bit() {
        let one = Sums::of(&Figures {
            outcome: i64::MAX,
            denominator: 3,
            covariate: -7,
            covariate_denominator: 11,
        });
        let other = Sums::of(&Figures { outcome: 5, denominator: 1, covariate: 2, covariate_denominator: 0 });
        let mut sums = one;
        sums.add(&other, 1);
        assert_eq!(sums.to_string().parse::<Sums>(), Ok(sums));
        sums.add(&one, -1);
        assert_eq!(sums, other);
        sums.add(&other, -1);
        assert!(sums.is_empty());
        assert!("1 x".parse::<Sums>().is_err() && "".parse::<Sums>().is_err());
        assert!("1 ".repeat(16).trim_end().parse::<Sums>().is_err(), "too many numbers");
    }

    #[test]
    fn sums_are_read_as_the_kind_asked_for() {
        let mut sums = Sums::default();
        for (outcome, denominator) in [(0, 1), (4, 2), (6, 3)] {
            sums.add(&Sums::of(&Figures { outcome, denominator, ..Figures::default() }), 1);
        }
        assert_eq!(sums.moments(4, MetricKind::Proportion, 1.0), Moments::proportion(4, 2.0));
        let mean = sums.moments(4, MetricKind::Mean, 2.0);
        assert_eq!((mean.units, mean.sum, mean.sum_squares), (4, 5.0, 13.0));
        let ratio = sums.moments(3, MetricKind::Ratio, 1.0);
        assert_eq!(
            (ratio.denominator_sum, ratio.denominator_sum_squares, ratio.cross_sum),
            (6.0, 14.0, 26.0)
        );
    }
}
