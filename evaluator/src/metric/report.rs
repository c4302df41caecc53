//! Metrics by dimension and time.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike as _, Days, NaiveDate};

use super::Metric;
use super::activity::Activity;
use super::column::Column;
use super::fact::{Exposure, Fact};
use crate::stats::Interval;

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
    /// The metric's name.
    pub metric: String,
    /// Its value.
    pub value: Interval,
    /// People behind it.
    pub units: u64,
    /// Currency of money; empty otherwise.
    pub currency: String,
}

/// Start of a cell's time and its place in each dimension.
type Cell = (Option<String>, Vec<String>);

/// A report in the making: people are added one by one and forgotten, so it takes the memory of its cells.
pub struct Report {
    metrics: Vec<Metric>,
    dimensions: Vec<Dimension>,
    granularity: Granularity,
    cells: BTreeMap<Cell, Vec<Column>>,
}

impl Report {
    /// Of nobody yet.
    pub fn new(metrics: Vec<Metric>, dimensions: Vec<Dimension>, granularity: Granularity) -> Self {
        Self { metrics, dimensions, granularity, cells: BTreeMap::new() }
    }

    /// Adds all of one person's facts, in order of time. The same people in the same order give the same bytes.
    pub fn add(&mut self, facts: &[Fact]) {
        let mut parts: BTreeMap<Cell, Vec<&Fact>> = BTreeMap::new();
        for fact in facts {
            let places = self.dimensions.iter().map(|dimension| place(fact, dimension)).collect();
            parts.entry((start(fact.at, self.granularity), places)).or_default().push(fact);
        }
        for (cell, facts) in parts {
            let fresh = || self.metrics.iter().map(|metric| Column::new(metric.clone())).collect();
            let columns = self.cells.entry(cell).or_insert_with(fresh);
            let mut activity = Activity::default();
            for fact in &facts {
                activity.add(fact, true);
            }
            for column in columns {
                column.add(&facts, &activity);
            }
        }
    }

    /// Rows for every cell in which a metric has something to divide by, in order of time and dimensions.
    pub fn rows(self) -> Vec<Row> {
        let row =
            |((from, values), columns): (Cell, Vec<Column>)| {
                columns.into_iter().flat_map(Column::values).map(move |(metric, currency, value, units)| {
                    Row { from: from.clone(), values: values.clone(), metric, value, units, currency }
                })
            };
        self.cells.into_iter().flat_map(row).collect()
    }
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
