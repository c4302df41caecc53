//! Metrics by dimension and time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Datelike as _, Days, NaiveDate};

use super::activity::Activity;
use super::fact::{Exposure, Fact};
use super::named::Named;
use super::statistic::value_with_interval;
use super::{MetricKind, Moments};
use crate::stats::{Interval, interval, normal};

/// Nominal coverage of a report's intervals.
pub const LEVEL: f64 = 0.95;
/// Value of a dimension an event has none of.
pub const NONE: &str = "none";

/// What rows are told apart by.
pub enum Dimension {
    /// The channel, by its full name.
    Channel,
    /// The campaign.
    Campaign,
    /// The offer of the event, else of the decision it answers to.
    Offer(HashMap<String, String>),
    /// The day, UTC.
    Day,
    /// The variant of an experiment: of the decision the event answers to, else of the person's first exposure.
    Variant(Variants),
}

/// Who was in which variant of one experiment.
pub struct Variants {
    /// Unit and variant by decision.
    pub decisions: HashMap<String, (String, String)>,
    /// First exposure of each unit.
    pub units: HashMap<String, (String, i64)>,
}

impl Variants {
    /// From all exposures and decisions of an experiment.
    pub fn new(exposures: Vec<Exposure>, decisions: HashMap<String, (String, String)>) -> Self {
        let mut units: HashMap<String, (String, i64)> = HashMap::new();
        for exposure in exposures {
            let first = units
                .entry(exposure.unit)
                .or_insert_with(|| (exposure.variant_id.clone(), exposure.first_at));
            if exposure.first_at < first.1 {
                *first = (exposure.variant_id, exposure.first_at);
            }
        }
        Self { decisions, units }
    }
}

/// Length of a row's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// The whole span.
    Whole,
    /// Days.
    Day,
    /// ISO weeks, named by their Monday.
    Week,
    /// Months, named by their first day.
    Month,
}

/// One value of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Start of the row's time, where a granularity was asked for.
    pub from: Option<String>,
    /// Value of each dimension, in the order asked.
    pub values: Vec<String>,
    /// The metric.
    pub metric: Named,
    /// Its value.
    pub value: Interval,
    /// People behind it.
    pub units: u64,
    /// Currency of money; empty otherwise.
    pub currency: String,
}

/// Start of a cell's time and its place in each dimension.
type Cell = (Option<String>, Vec<String>);

/// Rows for every cell in which a metric has something to divide by, in order of time and dimensions.
pub fn report(
    facts: &[Fact],
    metrics: &[Named],
    dimensions: &[Dimension],
    granularity: Granularity,
) -> Vec<Row> {
    let mut cells: BTreeMap<Cell, HashMap<&str, Activity>> = BTreeMap::new();
    for fact in facts {
        let key = (
            start(fact.at, granularity),
            dimensions.iter().map(|dimension| place(fact, dimension)).collect(),
        );
        cells.entry(key).or_default().entry(fact.unit.as_str()).or_default().add(fact, true);
    }
    let mut rows = Vec::new();
    for ((from, values), people) in cells {
        // A fixed order of summation: the same facts give the same bytes.
        let mut people: Vec<_> = people.into_iter().collect();
        people.sort_unstable_by_key(|(unit, _)| *unit);
        let currencies: BTreeSet<&str> =
            people.iter().flat_map(|(_, activity)| activity.money.keys().map(String::as_str)).collect();
        for &metric in metrics {
            let of: Vec<&str> =
                if metric.is_money() { currencies.iter().copied().collect() } else { vec![""] };
            for currency in of {
                let moments = moments(metric, people.iter().map(|(_, activity)| activity), currency);
                if let Some(value) = value(metric, &moments) {
                    let (from, values, units) = (from.clone(), values.clone(), moments.units);
                    rows.push(Row { from, values, metric, value, units, currency: currency.to_owned() });
                }
            }
        }
    }
    rows
}

/// Sums over the people a metric concerns: all for a share of people, else those with a denominator or a purchase.
fn moments<'a>(metric: Named, people: impl Iterator<Item = &'a Activity>, currency: &str) -> Moments {
    let mut moments = Moments::default();
    for activity in people {
        let (numerator, denominator) = metric.pair(activity, currency);
        let concerned = match metric.kind() {
            MetricKind::Proportion => true,
            MetricKind::Ratio => numerator != 0.0 || denominator != 0.0,
            MetricKind::Mean => activity.money.contains_key(currency),
        };
        if concerned {
            moments.add_unit(numerator, denominator);
        }
    }
    moments
}

/// A total's variance is Σx², that of a compound Poisson sum: who comes is chance too. One person alone tells
/// nothing of the spread between people: the value itself is then taken for its standard error.
fn value(metric: Named, moments: &Moments) -> Option<Interval> {
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    if moments.units == 0 {
        return None;
    }
    match metric.kind() {
        MetricKind::Proportion => interval::wilson(moments.sum, moments.units as f64, LEVEL),
        MetricKind::Mean => Some(Interval::around(moments.sum, z * moments.sum_squares.sqrt(), LEVEL)),
        MetricKind::Ratio if moments.units == 1 && moments.denominator_sum > 0.0 => {
            let ratio = moments.sum / moments.denominator_sum;
            Some(Interval::around(ratio, z * ratio.abs(), LEVEL))
        }
        MetricKind::Ratio => value_with_interval(moments, MetricKind::Ratio, LEVEL),
    }
    // No metric of shown, clicked and bought goods can be below nothing, whatever a few units' spread says.
    .map(|interval| Interval { lower: interval.lower.max(interval.estimate.min(0.0)), ..interval })
}

fn place(fact: &Fact, dimension: &Dimension) -> String {
    let given = |text: &str| if text.is_empty() { NONE.to_owned() } else { text.to_owned() };
    match dimension {
        Dimension::Channel => fact.channel.as_str_name().to_owned(),
        Dimension::Campaign => given(&fact.campaign),
        Dimension::Offer(decided) if fact.offer.is_empty() => {
            decided.get(&fact.decision).map_or_else(|| NONE.to_owned(), Clone::clone)
        }
        Dimension::Offer(_) => fact.offer.clone(),
        Dimension::Day => start(fact.at, Granularity::Day).unwrap_or_default(),
        Dimension::Variant(variants) => {
            let answered = variants.decisions.get(&fact.decision).map(|(_, variant)| variant);
            let exposed = || {
                variants
                    .units
                    .get(&fact.unit)
                    .filter(|(_, first)| *first <= fact.at)
                    .map(|(variant, _)| variant)
            };
            answered.or_else(exposed).map_or_else(|| NONE.to_owned(), Clone::clone)
        }
    }
}

fn start(at: i64, granularity: Granularity) -> Option<String> {
    let date = DateTime::from_timestamp_micros(at)?.date_naive();
    let first: NaiveDate = match granularity {
        Granularity::Whole => return None,
        Granularity::Day => date,
        Granularity::Week => {
            date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into()))?
        }
        Granularity::Month => date.with_day(1)?,
    };
    Some(first.to_string())
}
