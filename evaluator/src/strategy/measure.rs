//! What a plan promised beside what it brought.

use std::collections::HashMap;

use proto::common::v1::EventKind;

use super::plan::Plan;
use crate::effect::log::{Answer, Decided};
use crate::effect::train::Outcome;
use crate::effect::{LEVEL, Model, NONE};
use crate::stats::{Interval, normal};

/// Least decisions without an offer before promises are judged.
const LEAST_CONTROL: usize = 100;
/// Parts of the decisions that coverage is counted over.
const PARTS: usize = 10;

/// A plan's outcome so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Decisions it made.
    pub decisions: u64,
    /// Of them, with an offer.
    pub offers: u64,
    /// Offers redeemed.
    pub redeemed: u64,
    /// Discounts given, minor units.
    pub spend: i64,
    /// Profit over no offers, minor units.
    pub profit: Interval,
    /// What was promised for the same decisions.
    pub promised: Interval,
    /// Mean distance of predicted and measured probabilities of the target over the parts.
    pub calibration_error: f64,
    /// Share of parts whose promised and measured intervals meet.
    pub coverage: f64,
    /// Why its promises failed, where they did.
    pub why: Option<String>,
}

/// Times redemptions took, microseconds.
pub fn delays(decided: &[Decided], answers: &[Answer]) -> Vec<i64> {
    let at: HashMap<&str, i64> =
        decided.iter().map(|decided| (decided.decision_id.as_str(), decided.at)).collect();
    let redeemed = answers.iter().filter(|answer| answer.kind == EventKind::OfferRedeemed);
    redeemed.filter_map(|answer| at.get(answer.decision_id.as_str()).map(|at| answer.at - at)).collect()
}

/// Measures `plan` on the decisions of `log` it made.
///
/// The profit over no offers is doubly robust: for each decision the model's promise, corrected by its errors on what
/// was done and, by inverse propensity, on decisions where the plan gave nothing.
pub fn measure(plan: &Plan, model: &Model, log: &[Outcome]) -> Measured {
    let mut rows: Vec<Row> =
        log.iter().filter(|row| row.plan_id == plan.id).map(|row| Row::new(model, row)).collect();
    let sums = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    let (decisions, offers) = (rows.len() as u64, sums(&|row| row.offered) as u64);
    let (spend, redeemed) = (sums(&|row| row.spend) as i64, sums(&|r| f64::from(u8::from(r.spend > 0.0))));
    let control = rows.iter().filter(|row| row.offered < 1.0).count();
    let profit = total(&rows, |row| row.measured);
    let promised = promise(&rows);
    rows.sort_by(|a, b| a.hit_promised.total_cmp(&b.hit_promised));
    let parts: Vec<&[Row]> = rows.chunks(rows.len().div_ceil(PARTS).max(1)).collect();
    let count = parts.len().max(1) as f64;
    let calibration_error = parts
        .iter()
        .map(|part| {
            let n = part.len() as f64;
            let mean = |of: fn(&Row) -> f64| part.iter().map(of).sum::<f64>() / n;
            (mean(|row| row.hit_promised) - mean(|row| row.hit)).abs()
        })
        .sum::<f64>()
        / count;
    let covered = parts.iter().filter(|part| meet(total(part, |row| row.measured), promise(part))).count();
    // The plan is judged again and again: its own interval must hold however often one looks.
    let sure = at_any_time(profit, rows.len() as f64);
    let failed = control >= LEAST_CONTROL && offers as usize >= LEAST_CONTROL && sure.upper < promised.lower;
    let why = failed.then(|| {
        format!(
            "it promised a profit of {:.0} to {:.0} over no offers and brought {:.0} to {:.0}",
            promised.lower, promised.upper, profit.lower, profit.upper
        )
    });
    Measured {
        decisions,
        offers,
        redeemed: redeemed as u64,
        spend,
        profit,
        promised,
        calibration_error,
        coverage: covered as f64 / count,
        why,
    }
}

/// A decision of the plan.
struct Row {
    offered: f64,
    spend: f64,
    hit: f64,
    hit_promised: f64,
    measured: f64,
    promised: f64,
    error: f64,
}

impl Row {
    fn new(model: &Model, row: &Outcome) -> Self {
        let x = model.row(&row.features);
        let forecast = model.forecast(&x);
        let found = model.arm(&row.action).map(|arm| forecast.arms[arm]).unwrap_or_default();
        let control = forecast.profit;
        let offered = row.action != NONE;
        // Of the row itself: what it brought less what no offer was expected to bring; that expectation's error is
        // measured where no offer was made.
        let correction = if offered { 0.0 } else { (row.profit - control) / row.propensity };
        Self {
            offered: f64::from(u8::from(offered)),
            spend: row.spend,
            hit: row.hit,
            hit_promised: (forecast.base + found.uplift.mean).clamp(0.0, 1.0),
            measured: row.profit - control - correction,
            // What the next days bring is not among the decision's own outcomes.
            promised: found.profit.mean - found.later,
            error: found.profit.error(),
        }
    }
}

fn total(rows: &[Row], of: fn(&Row) -> f64) -> Interval {
    let n = rows.len() as f64;
    let sum: f64 = rows.iter().map(of).sum();
    let mean = sum / n.max(1.0);
    let variance = rows.iter().map(|row| (of(row) - mean).powi(2)).sum::<f64>();
    Interval::around(sum, normal::quantile(f64::midpoint(1.0, LEVEL)) * variance.sqrt(), LEVEL)
}

/// Rows at which an interval that always holds is tightest.
const TUNED: f64 = 5_000.0;

/// `fixed`, of a sum over `n` rows, widened to hold at every look at once (asymptotic confidence sequence, Waudby-Smith
/// et al. 2021): half-width σ√n·√[((n+r)/n)·ln((n+r)/(rα²))] with r = N/(−2 ln α + ln(1 − 2 ln α)).
fn at_any_time(fixed: Interval, n: f64) -> Interval {
    let (alpha, n) = (1.0 - fixed.level, n.max(1.0));
    let r = TUNED / (-2.0 * alpha.ln() + (-2.0 * alpha.ln()).ln_1p());
    let wider = ((n + r) / n * ((n + r) / (r * alpha * alpha)).ln()).sqrt();
    let error = (fixed.upper - fixed.estimate) / normal::quantile(f64::midpoint(1.0, fixed.level));
    Interval::around(fixed.estimate, wider * error, fixed.level)
}

fn promise(rows: &[Row]) -> Interval {
    let sum = rows.iter().map(|row| row.promised).sum();
    let error: f64 = rows.iter().map(|row| row.error).sum();
    Interval::around(sum, normal::quantile(f64::midpoint(1.0, LEVEL)) * error, LEVEL)
}

fn meet(one: Interval, other: Interval) -> bool {
    one.lower <= other.upper && other.lower <= one.upper
}

#[cfg(test)]
mod tests {
    use super::*;

    /// r = 5 000 / (5.9915 + ln 6.9915) = 630.0; at 5 000 rows √(1.126 · ln 3 575) = 3.035 standard errors for 1.96.
    #[test]
    fn an_interval_that_always_holds_is_wider() {
        let fixed = Interval::around(10.0, 1.959_963_984_540_054, LEVEL);
        let found = at_any_time(fixed, 5_000.0);
        assert!((found.upper - 10.0 - 3.035).abs() < 0.005, "{found:?}");
        assert!(at_any_time(fixed, 100.0).upper > found.upper && at_any_time(fixed, 1e7).upper > found.upper);
    }
}
