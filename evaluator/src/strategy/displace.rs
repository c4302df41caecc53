//! What offers take from other sales, and when people come.

use std::collections::{BTreeMap, HashMap};

use super::plan::Plan;
use crate::effect::model::Estimate;
use crate::effect::train::Outcome;
use crate::effect::{Model, NONE};
use crate::metric::fact::DAY;

/// How long after a decision later purchases count as taken from it, microseconds.
const AFTER: i64 = 7 * DAY;
/// Least decisions with their whole follow-up in the log.
const LEAST: usize = 200;

/// Change of later purchases a decision with each offer makes, by inverse propensity weights: purchases under other
/// decisions within a week. Offers whose follow-up the log does not hold are left out.
pub fn later_purchases(log: &[Outcome], model: &Model) -> BTreeMap<String, Estimate> {
    let Some(end) = log.last().map(|row| row.at) else { return BTreeMap::new() };
    let mut purchases: HashMap<&str, Vec<i64>> = HashMap::new();
    for row in log.iter().filter(|row| row.bought > 0.0) {
        purchases.entry(&row.unit).or_default().push(row.at);
    }
    let mut arms: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in log.iter().filter(|row| row.at + AFTER <= end) {
        let later = purchases.get(row.unit.as_str()).map_or(0, |at| {
            at.partition_point(|at| *at <= row.at + AFTER) - at.partition_point(|at| *at <= row.at)
        });
        arms.entry(&row.action).or_default().push((row.propensity.recip(), later as f64));
    }
    let mean = |rows: &[(f64, f64)]| {
        let total: f64 = rows.iter().map(|(weight, _)| weight).sum();
        let mean = rows.iter().map(|(weight, value)| weight * value).sum::<f64>() / total;
        let squares: f64 = rows.iter().map(|(weight, value)| (weight * (value - mean)).powi(2)).sum();
        Estimate { mean, variance: squares / (total * total) }
    };
    let Some(control) = arms.get(NONE).filter(|rows| rows.len() >= LEAST).map(|rows| mean(rows)) else {
        return BTreeMap::new();
    };
    let known = model.arms.iter().skip(1);
    known
        .filter_map(|arm| {
            let rows = arms.get(arm.id.as_str()).filter(|rows| rows.len() >= LEAST)?;
            let with = mean(rows);
            let change =
                Estimate { mean: with.mean - control.mean, variance: with.variance + control.variance };
            Some((arm.id.clone(), change))
        })
        .collect()
}

/// The busiest three hours of the day of each audience, UTC.
pub fn hours(log: &[Outcome], model: &Model, plan: &Plan) -> BTreeMap<&'static str, Vec<u32>> {
    let mut counts: BTreeMap<&'static str, [u64; 24]> = BTreeMap::new();
    // A tenth of the log tells the hours as well as all of it.
    for row in log.iter().step_by((log.len() / 10_000).max(1)) {
        let segment = plan.segment(model.base(&model.row(&row.features)).mean);
        let hour = row.at.rem_euclid(DAY) / (DAY / 24);
        counts.entry(segment).or_default()[hour as usize] += 1;
    }
    let busiest = |counts: [u64; 24]| {
        let mut hours: Vec<u32> = (0..24).filter(|hour| counts[*hour as usize] > 0).collect();
        hours.sort_by(|a, b| counts[*b as usize].cmp(&counts[*a as usize]).then(a.cmp(b)));
        hours.truncate(3);
        hours
    };
    counts.into_iter().map(|(segment, counts)| (segment, busiest(counts))).collect()
}

/// The side of an offer that brought most, where the log has shown at least two often enough; else none.
pub fn angle(log: &[Outcome], offer_id: &str) -> String {
    let mut angles: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for row in log.iter().filter(|row| !row.open && row.action == offer_id && !row.angle.is_empty()) {
        let entry = angles.entry(&row.angle).or_default();
        entry.0 += 1.0;
        entry.1 += row.hit;
    }
    angles.retain(|_, (shown, _)| *shown >= LEAST as f64);
    if angles.len() < 2 {
        return String::new();
    }
    // Drawn towards the mean of all by a hundred decisions' worth.
    let (shown, hits) = angles.values().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let rate = |(n, k): &(f64, f64)| (k + 100.0 * hits / shown) / (n + 100.0);
    angles
        .iter()
        .max_by(|a, b| rate(a.1).total_cmp(&rate(b.1)))
        .map_or(String::new(), |(name, _)| (*name).into())
}
