//! Additive sums over units. Everything an analysis needs is in them, so it costs arms, not units.

use crate::error::Violation;

/// Sums over the units of one arm, or of one cell of a report.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// Units.
    pub units: u64,
    /// Σ outcome.
    pub sum: f64,
    /// Σ outcome².
    pub sum_squares: f64,
    /// Of a ratio: Σ denominator.
    pub denominator_sum: f64,
    /// Of a ratio: Σ denominator².
    pub denominator_sum_squares: f64,
    /// Of a ratio: Σ outcome × denominator.
    pub cross_sum: f64,
    /// For CUPED: Σ covariate.
    pub covariate_sum: f64,
    /// For CUPED: Σ covariate².
    pub covariate_sum_squares: f64,
    /// For CUPED: Σ outcome × covariate.
    pub covariate_cross_sum: f64,
    /// For CUPED of a ratio: Σ covariate's denominator.
    pub covariate_denominator_sum: f64,
    /// For CUPED of a ratio: Σ covariate's denominator².
    pub covariate_denominator_sum_squares: f64,
    /// For CUPED of a ratio: Σ covariate × covariate's denominator.
    pub covariate_denominator_cross_sum: f64,
    /// For CUPED of a ratio: Σ outcome × covariate's denominator.
    pub outcome_covariate_denominator_sum: f64,
    /// For CUPED of a ratio: Σ denominator × covariate.
    pub denominator_covariate_sum: f64,
    /// For CUPED of a ratio: Σ denominator × covariate's denominator.
    pub denominator_covariate_denominator_sum: f64,
}

impl Moments {
    /// Units of which `successes` had the outcome.
    pub fn proportion(units: u64, successes: f64) -> Self {
        Self { units, sum: successes, sum_squares: successes, ..Self::default() }
    }

    /// Adds one unit's outcome and, for a ratio, its denominator.
    pub fn add_unit(&mut self, outcome: f64, denominator: f64) {
        self.units += 1;
        self.sum += outcome;
        self.sum_squares += outcome * outcome;
        self.denominator_sum += denominator;
        self.denominator_sum_squares += denominator * denominator;
        self.cross_sum += outcome * denominator;
    }

    /// Adds the covariate of a unit that [`Moments::add_unit`] added, with the denominator of a ratio's covariate.
    pub fn add_covariate(
        &mut self,
        outcome: f64,
        denominator: f64,
        covariate: f64,
        covariate_denominator: f64,
    ) {
        self.covariate_sum += covariate;
        self.covariate_sum_squares += covariate * covariate;
        self.covariate_cross_sum += outcome * covariate;
        self.covariate_denominator_sum += covariate_denominator;
        self.covariate_denominator_sum_squares += covariate_denominator * covariate_denominator;
        self.covariate_denominator_cross_sum += covariate * covariate_denominator;
        self.outcome_covariate_denominator_sum += outcome * covariate_denominator;
        self.denominator_covariate_sum += denominator * covariate;
        self.denominator_covariate_denominator_sum += denominator * covariate_denominator;
    }

    /// The sums of both: moments are additive over disjoint units.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            units: self.units + other.units,
            sum: self.sum + other.sum,
            sum_squares: self.sum_squares + other.sum_squares,
            denominator_sum: self.denominator_sum + other.denominator_sum,
            denominator_sum_squares: self.denominator_sum_squares + other.denominator_sum_squares,
            cross_sum: self.cross_sum + other.cross_sum,
            covariate_sum: self.covariate_sum + other.covariate_sum,
            covariate_sum_squares: self.covariate_sum_squares + other.covariate_sum_squares,
            covariate_cross_sum: self.covariate_cross_sum + other.covariate_cross_sum,
            covariate_denominator_sum: self.covariate_denominator_sum + other.covariate_denominator_sum,
            covariate_denominator_sum_squares: self.covariate_denominator_sum_squares
                + other.covariate_denominator_sum_squares,
            covariate_denominator_cross_sum: self.covariate_denominator_cross_sum
                + other.covariate_denominator_cross_sum,
            outcome_covariate_denominator_sum: self.outcome_covariate_denominator_sum
                + other.outcome_covariate_denominator_sum,
            denominator_covariate_sum: self.denominator_covariate_sum + other.denominator_covariate_sum,
            denominator_covariate_denominator_sum: self.denominator_covariate_denominator_sum
                + other.denominator_covariate_denominator_sum,
        }
    }

    /// Whether sums of a covariate were given.
    pub fn has_covariate(&self) -> bool {
        self.covariate_sum != 0.0 || self.covariate_sum_squares != 0.0
    }

    /// Whether sums of the covariate's denominator were given, which makes the covariate a ratio.
    pub fn has_covariate_denominator(&self) -> bool {
        self.covariate_denominator_sum != 0.0 || self.covariate_denominator_sum_squares != 0.0
    }

    /// Returns the sums of the covariate as if it were the outcome.
    #[must_use]
    pub fn of_covariate(&self) -> Self {
        Self {
            units: self.units,
            sum: self.covariate_sum,
            sum_squares: self.covariate_sum_squares,
            denominator_sum: self.covariate_denominator_sum,
            denominator_sum_squares: self.covariate_denominator_sum_squares,
            cross_sum: self.covariate_denominator_cross_sum,
            ..Self::default()
        }
    }

    /// What no set of real units could have summed to, with `path` before each field's name.
    pub fn check(&self, kind: super::MetricKind, path: &str) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut fault = |field: &str, reason, text: String| {
            found.push(Violation::new(format!("{path}.{field}"), reason, text));
        };
        for (field, value) in self.fields() {
            if !value.is_finite() {
                fault(field, "NOT_FINITE", format!("must be a finite number, is {value}"));
            }
        }
        let n = self.units as f64;
        if self.units == 0 {
            fault("units", "OUT_OF_RANGE", "must be at least 1".into());
        }
        if kind == super::MetricKind::Proportion {
            if self.sum < 0.0 || self.sum > n {
                fault(
                    "sum",
                    "OUT_OF_RANGE",
                    format!("must be 0 to units ({n}) for a proportion, is {}", self.sum),
                );
            }
        } else {
            impossible(&mut fault, "sum_squares", n, self.sum, self.sum_squares);
        }
        if kind == super::MetricKind::Ratio {
            impossible(
                &mut fault,
                "denominator_sum_squares",
                n,
                self.denominator_sum,
                self.denominator_sum_squares,
            );
            impossible_cross(
                &mut fault,
                "cross_sum",
                self.cross_sum,
                self.sum_squares,
                self.denominator_sum_squares,
            );
        }
        if self.has_covariate() {
            impossible(
                &mut fault,
                "covariate_sum_squares",
                n,
                self.covariate_sum,
                self.covariate_sum_squares,
            );
            let squares = if kind == super::MetricKind::Proportion { self.sum } else { self.sum_squares };
            impossible_cross(
                &mut fault,
                "covariate_cross_sum",
                self.covariate_cross_sum,
                squares,
                self.covariate_sum_squares,
            );
        }
        if kind == super::MetricKind::Ratio && self.has_covariate_denominator() {
            let (p, q) = (self.covariate_sum_squares, self.covariate_denominator_sum_squares);
            impossible(&mut fault, "covariate_denominator_sum_squares", n, self.covariate_denominator_sum, q);
            for (field, cross, squares, other_squares) in [
                ("covariate_denominator_cross_sum", self.covariate_denominator_cross_sum, p, q),
                (
                    "outcome_covariate_denominator_sum",
                    self.outcome_covariate_denominator_sum,
                    self.sum_squares,
                    q,
                ),
                (
                    "denominator_covariate_sum",
                    self.denominator_covariate_sum,
                    self.denominator_sum_squares,
                    p,
                ),
                (
                    "denominator_covariate_denominator_sum",
                    self.denominator_covariate_denominator_sum,
                    self.denominator_sum_squares,
                    q,
                ),
            ] {
                impossible_cross(&mut fault, field, cross, squares, other_squares);
            }
        }
        found
    }

    fn fields(&self) -> [(&'static str, f64); 14] {
        [
            ("sum", self.sum),
            ("sum_squares", self.sum_squares),
            ("denominator_sum", self.denominator_sum),
            ("denominator_sum_squares", self.denominator_sum_squares),
            ("cross_sum", self.cross_sum),
            ("covariate_sum", self.covariate_sum),
            ("covariate_sum_squares", self.covariate_sum_squares),
            ("covariate_cross_sum", self.covariate_cross_sum),
            ("covariate_denominator_sum", self.covariate_denominator_sum),
            ("covariate_denominator_sum_squares", self.covariate_denominator_sum_squares),
            ("covariate_denominator_cross_sum", self.covariate_denominator_cross_sum),
            ("outcome_covariate_denominator_sum", self.outcome_covariate_denominator_sum),
            ("denominator_covariate_sum", self.denominator_covariate_sum),
            ("denominator_covariate_denominator_sum", self.denominator_covariate_denominator_sum),
        ]
    }
}

/// Rounding may leave a hair's breadth: this much, relatively, is not called impossible.
const SLACK: f64 = 1e-9;

/// (Σx)² ≤ n·Σx² for every x (Cauchy-Schwarz with a vector of ones).
fn impossible(
    fault: &mut impl FnMut(&str, &'static str, String),
    field: &str,
    units: f64,
    sum: f64,
    squares: f64,
) {
    if sum * sum > units * squares * (1.0 + SLACK) {
        fault(
            field,
            "IMPOSSIBLE_MOMENTS",
            format!("no units sum to {sum} with squares summing to {squares}"),
        );
    }
}

/// (Σxy)² ≤ Σx²·Σy².
fn impossible_cross(
    fault: &mut impl FnMut(&str, &'static str, String),
    field: &str,
    cross: f64,
    squares: f64,
    other_squares: f64,
) {
    if cross * cross > squares * other_squares * (1.0 + SLACK) {
        fault(
            field,
            "IMPOSSIBLE_MOMENTS",
            format!("products cannot sum to {cross} with squares summing to {squares} and {other_squares}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::MetricKind;
    use super::*;

    fn reasons(moments: Moments, kind: MetricKind) -> Vec<(String, &'static str)> {
        moments.check(kind, "m").into_iter().map(|v| (v.field, v.reason)).collect()
    }

    #[test]
    fn impossible_sums_are_named() {
        let sound = Moments { units: 3, sum: 6.0, sum_squares: 14.0, ..Moments::default() };
        assert_eq!(reasons(sound, MetricKind::Mean), []);
        let lying = Moments { sum_squares: 11.0, ..sound };
        assert_eq!(reasons(lying, MetricKind::Mean), [("m.sum_squares".into(), "IMPOSSIBLE_MOMENTS")]);
        assert_eq!(
            reasons(Moments::proportion(10, 11.0), MetricKind::Proportion),
            [("m.sum".into(), "OUT_OF_RANGE")]
        );
        assert_eq!(
            reasons(Moments { sum: f64::NAN, ..sound }, MetricKind::Mean),
            [("m.sum".into(), "NOT_FINITE")]
        );
    }

    #[test]
    fn sums_of_parts_are_the_sums_of_the_whole() {
        let (mut all, mut first, mut second) = (Moments::default(), Moments::default(), Moments::default());
        for i in 0..10_u32 {
            all.add_unit(f64::from(i), 1.0);
            if i < 4 { &mut first } else { &mut second }.add_unit(f64::from(i), 1.0);
        }
        assert_eq!(first.plus(&second), all);
    }
}
