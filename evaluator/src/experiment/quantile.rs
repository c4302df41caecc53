//! Quantiles of two arms compared: the error from two order statistics, widened where values come in clusters.

use super::analyse::{Comparison, Question, blank_of, conclude};
use super::effect::{Obstacle, Side, between};
use crate::error::Violation;
use crate::metric::{MetricKind, Moments, Statistic};
use crate::stats::normal;

/// What is known of one arm's sample quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The share below, in (0, 1).
    pub level: f64,
    /// Number of values.
    pub values: u64,
    /// The sample quantile.
    pub estimate: f64,
    /// Value at the share `level` − z·√(level(1 − level)/bound_values), z for 95 %.
    pub lower: f64,
    /// Value at the share `level` + the same.
    pub upper: f64,
    /// The number of values these two shares were computed for.
    pub bound_values: u64,
    /// Where units have several values: sums over units of how many lie at or below the quantile (`sum`) and how many
    /// there are (`denominator_sum`).
    pub clusters: Option<Moments>,
}

/// Fewer values than this with no spread beside the quantile tell no error; more are taken to have the least one.
const MANY: u64 = 1_000;
/// The least variance of a value where there are at least [`SOME`]: ties are rounding, not certainty.
const LEAST_VARIANCE: f64 = 1e-5;
/// See [`LEAST_VARIANCE`].
const SOME: u64 = 100;

impl Quantile {
    /// What is wrong with it; `path` stands before each field's name.
    pub fn check(&self, path: &str) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut fault = |field: &str, reason, text: String| {
            found.push(Violation::new(format!("{path}.{field}"), reason, text));
        };
        if !(self.level > 0.0 && self.level < 1.0) {
            fault("level", "OUT_OF_RANGE", format!("must be above 0 and below 1, is {}", self.level));
        }
        if self.values == 0 {
            fault("values", "OUT_OF_RANGE", "must be at least 1".into());
        }
        for (field, value) in [("estimate", self.estimate), ("lower", self.lower), ("upper", self.upper)] {
            if !value.is_finite() {
                fault(field, "NOT_FINITE", format!("must be a finite number, is {value}"));
            }
        }
        if self.lower > self.estimate || self.estimate > self.upper {
            let text = format!(
                "must lie between lower ({}) and upper ({}), is {}",
                self.lower, self.upper, self.estimate
            );
            fault("estimate", "OUT_OF_ORDER", text);
        }
        found
    }

    /// Its value and error, `units` the number of values.
    ///
    /// The distance of the two order statistics is 2z standard errors (Deng, Knoblich & Lu 2018, section 4.2); where
    /// values come in clusters the variance grows as that of the share below the quantile does, by the delta method of
    /// a ratio over units against ν(1 − ν)/n. The same as GrowthBook's gbstats 0.8.0, with its floors.
    fn statistic(&self) -> Result<Statistic, Obstacle> {
        let n = self.values as f64;
        let square = normal::quantile(0.975).powi(2);
        let odds = self.level / (1.0 - self.level);
        if n <= square * odds.max(odds.recip()) {
            return Err(Obstacle::ZeroVariance);
        }
        let error = (self.upper - self.lower) / (2.0 * square.sqrt());
        let alone = self.bound_values as f64 / n * (n - 1.0) * error * error;
        let variance = alone * self.clustering()?;
        if variance <= 0.0 && self.values < MANY {
            return Err(Obstacle::ZeroVariance);
        }
        let floor = if self.values < SOME { 0.0 } else { LEAST_VARIANCE };
        Ok(Statistic { units: n, mean: self.estimate, variance: variance.max(floor) })
    }

    /// How many times greater the variance of the share below the quantile is than if all values were independent.
    fn clustering(&self) -> Result<f64, Obstacle> {
        let Some(clusters) = &self.clusters else { return Ok(1.0) };
        let share = Statistic::of(clusters, MetricKind::Ratio).ok_or(Obstacle::ZeroVariance)?;
        let alone = self.level * (1.0 - self.level) / self.values as f64;
        Ok(share.squared_error() / alone)
    }
}

/// Compares the quantile of `treatment` with that of `control`.
pub fn compare(control: &Quantile, treatment: &Quantile, question: &Question) -> Comparison {
    let values = [control, treatment].map(|arm| Some(arm.estimate));
    let mut answer = blank_of(values, control.values.min(treatment.values), question);
    let side = |quantile: &Quantile| {
        quantile.statistic().map(|statistic| Side { raw: statistic, adjusted: statistic })
    };
    let found = side(control)
        .and_then(|a| side(treatment).map(|b| (a, b)))
        .and_then(|(a, b)| between(a, b, question.difference, None));
    conclude(found, question, &mut answer);
    answer
}
