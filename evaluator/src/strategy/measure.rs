//! What a plan promised beside what it brought.

use std::collections::{HashMap, HashSet};

use super::plan::Plan;
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
    /// Decisions left out of profits since their outcome window is still open.
    pub open: u64,
    /// Decisions left out of profits since the cost of something bought is unknown.
    pub cost_unknown: u64,
    /// Outcome window, microseconds.
    pub window: i64,
}

/// Counts what an exploration plan did on the decisions of `log` it made: chance promises nothing.
pub fn count(plan: &Plan, log: &[Outcome], window: i64) -> Measured {
    let rows: Vec<&Outcome> = log.iter().filter(|row| row.plan_id == plan.id).collect();
    let nothing = Interval::around(0.0, 0.0, LEVEL);
    Measured {
        decisions: rows.len() as u64,
        offers: rows.iter().filter(|row| row.action != NONE).count() as u64,
        redeemed: rows.iter().filter(|row| row.spend > 0.0).count() as u64,
        spend: rows.iter().map(|row| row.spend).sum::<f64>() as i64,
        profit: nothing,
        promised: nothing,
        calibration_error: 0.0,
        coverage: 0.0,
        why: None,
        open: rows.iter().filter(|row| row.open).count() as u64,
        cost_unknown: rows.iter().filter(|row| row.cost_unknown).count() as u64,
        window,
    }
}

/// Measures `plan` on the decisions of `log` it made.
///
/// The profit over no offers is doubly robust: for each decision the model's promise, corrected by its errors on what
/// was done and, by inverse propensity, on decisions where the plan gave nothing. Decisions count from the end of their
/// outcome window on; decisions about one person are no independent ones, so that errors are those of sums by person.
pub fn measure(plan: &Plan, model: &Model, log: &[Outcome], window: i64) -> Measured {
    let all: Vec<&Outcome> = log.iter().filter(|row| row.plan_id == plan.id).collect();
    let count = |of: &dyn Fn(&Outcome) -> bool| all.iter().filter(|row| of(row)).count() as u64;
    let (decisions, made, open) =
        (all.len() as u64, count(&|row| row.action != NONE), count(&|row| row.open));
    let cost_unknown = count(&|row| !row.open && row.cost_unknown);
    let redeemed = count(&|row| row.spend > 0.0);
    let spend = all.iter().map(|row| row.spend).sum::<f64>() as i64;
    let known = all.iter().filter(|row| !row.open && !row.cost_unknown);
    let mut rows: Vec<Row<'_>> = known.map(|row| Row::new(model, row)).collect();
    let offers = rows.iter().filter(|row| row.offered > 0.0).count();
    let control = rows.iter().filter(|row| row.offered < 1.0).count();
    let profit = total(&rows, |row| row.measured);
    let promised = promise(&rows);
    rows.sort_by(|a, b| a.hit_promised.total_cmp(&b.hit_promised));
    let parts: Vec<&[Row<'_>]> = rows.chunks(rows.len().div_ceil(PARTS).max(1)).collect();
    let count = parts.len().max(1) as f64;
    let calibration_error = parts
        .iter()
        .map(|part| {
            let n = part.len() as f64;
            let mean = |of: fn(&Row<'_>) -> f64| part.iter().map(of).sum::<f64>() / n;
            (mean(|row| row.hit_promised) - mean(|row| row.hit)).abs()
        })
        .sum::<f64>()
        / count;
    let covered = parts.iter().filter(|part| meet(total(part, |row| row.measured), promise(part))).count();
    // The plan is judged again and again: its own interval must hold however often one looks.
    let people = rows.iter().map(|row| row.unit).collect::<HashSet<_>>().len();
    let sure = at_any_time(profit, people as f64);
    let failed = control >= LEAST_CONTROL && offers >= LEAST_CONTROL && sure.upper < promised.lower;
    let why = failed.then(|| {
        format!(
            "it promised a profit of {:.0} to {:.0} over no offers and brought {:.0} to {:.0}",
            promised.lower, promised.upper, profit.lower, profit.upper
        )
    });
    Measured {
        decisions,
        offers: made,
        redeemed,
        spend,
        profit,
        promised,
        calibration_error,
        coverage: covered as f64 / count,
        why,
        open,
        cost_unknown,
        window,
    }
}

/// A decision of the plan.
struct Row<'a> {
    unit: &'a str,
    offered: f64,
    hit: f64,
    hit_promised: f64,
    measured: f64,
    promised: f64,
    error: f64,
}

impl<'a> Row<'a> {
    fn new(model: &Model, row: &'a Outcome) -> Self {
        let x = model.row(&row.features);
        let forecast = model.forecast(&x);
        let found = model.arm(&row.action).map(|arm| forecast.arms[arm]).unwrap_or_default();
        let control = forecast.profit;
        let offered = row.action != NONE;
        // Of the row itself: what it brought less what no offer was expected to bring; that expectation's error is
        // measured where no offer was made.
        let correction = if offered { 0.0 } else { (row.profit - control) / row.propensity };
        Self {
            unit: &row.unit,
            offered: f64::from(u8::from(offered)),
            hit: row.hit,
            hit_promised: (forecast.base + found.uplift.mean).clamp(0.0, 1.0),
            measured: row.profit - control - correction,
            // What the next days bring is not among the decision's own outcomes.
            promised: found.profit.mean - found.later,
            error: found.profit.error(),
        }
    }
}

/// The sum of a value over rows, with its error clustered by person.
fn total(rows: &[Row<'_>], of: fn(&Row<'_>) -> f64) -> Interval {
    let n = rows.len() as f64;
    let sum: f64 = rows.iter().map(of).sum();
    let mean = sum / n.max(1.0);
    let mut by_person: HashMap<&str, f64> = HashMap::new();
    for row in rows {
        *by_person.entry(row.unit).or_default() += of(row) - mean;
    }
    let variance = by_person.values().map(|off| off.powi(2)).sum::<f64>();
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

fn promise(rows: &[Row<'_>]) -> Interval {
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

    /// A hundred people decided for four times each: one in two always brings 1 more than the mean, the other 1 less. Each
    /// person's sum lies 4 off: √(100 · 4²) = 40, twice what independent rows would say.
    #[test]
    fn decisions_about_one_person_are_one_observation() {
        let names: Vec<String> = (0..100).map(|person| format!("u{person}")).collect();
        let row = |at: usize| Row {
            unit: &names[at % 100],
            offered: 1.0,
            hit: 0.0,
            hit_promised: 0.0,
            measured: if at.is_multiple_of(2) { 1.0 } else { -1.0 },
            promised: 0.0,
            error: 0.0,
        };
        let rows: Vec<Row<'_>> = (0..400).map(row).collect();
        let found = total(&rows, |row| row.measured);
        assert!(found.estimate.abs() < 1e-9 && (found.upper - 40.0 * 1.959_964).abs() < 1e-3, "{found:?}");
    }

    /// r = 5 000 / (5.9915 + ln 6.9915) = 630.0; at 5 000 rows √(1.126 · ln 3 575) = 3.035 standard errors for 1.96.
    #[test]
    fn an_interval_that_always_holds_is_wider() {
        let fixed = Interval::around(10.0, 1.959_963_984_540_054, LEVEL);
        let found = at_any_time(fixed, 5_000.0);
        assert!((found.upper - 10.0 - 3.035).abs() < 0.005, "{found:?}");
        assert!(at_any_time(fixed, 100.0).upper > found.upper && at_any_time(fixed, 1e7).upper > found.upper);
    }
}
