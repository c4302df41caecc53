//! Metrics by dimension and time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chassis::calendar::{Calendar, Period};
use chrono::{Days, NaiveDate};

use super::activity::{Activity, is_bookkeeping};
use super::column::{Column, UnitPart};
use super::fact::{Fact, Sale};
use super::variants::Variants;
use super::{Metric, Named};
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
    /// The day in the report's time zone.
    Day,
    /// The variant of an experiment: of the decision the event answers to, else of the unit's exposure. Units seen in
    /// several variants are in no row.
    Variant(Variants),
}

/// How a report is cut by time.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Calendar of days, weeks and months.
    pub calendar: Calendar,
    /// Length of a row's time; `None`: the whole span.
    pub period: Option<Period>,
    /// First moment of the span, microseconds since 1970; `None`: from the start.
    pub from: Option<i64>,
    /// Moment up to which events are known: the end of the span.
    pub until: i64,
    /// Days after a unit's first event of a row on which retention looks for another.
    pub retention_days: u32,
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
    /// Its value; `None` where nothing can be divided by, which a warning names.
    pub value: Option<Interval>,
    /// Units behind it.
    pub units: u64,
    /// Currency of money; empty otherwise.
    pub currency: String,
    /// Caveats by name.
    pub warnings: Vec<&'static str>,
}

/// Start of a cell's time and its place in each dimension.
type Cell = (Option<String>, Vec<String>);

/// What a unit did in one cell.
#[derive(Default)]
struct Part<'a> {
    facts: Vec<&'a Fact>,
    exposed: bool,
}

/// A report in the making: units are added one by one and forgotten, so it takes the memory of its cells.
pub struct Report {
    metrics: Vec<Metric>,
    dimensions: Vec<Dimension>,
    frame: Frame,
    exposures: HashMap<String, Vec<Fact>>,
    cells: BTreeMap<Cell, Vec<Column>>,
}

impl Report {
    /// A report without units.
    pub fn new(metrics: Vec<Metric>, mut dimensions: Vec<Dimension>, frame: Frame) -> Self {
        let mut exposures: HashMap<String, Vec<Fact>> = HashMap::new();
        for dimension in &mut dimensions {
            if let Dimension::Variant(variants) = dimension {
                for exposure in variants.take_exposures(frame.from, frame.until) {
                    exposures.entry(exposure.unit.clone()).or_default().push(exposure);
                }
            }
        }
        Self { metrics, dimensions, frame, exposures, cells: BTreeMap::new() }
    }

    /// Adds all facts of one unit, in order of time. The same units in the same order give the same bytes. Purchases before
    /// the frame say what returns within it belong to, and count for nothing else.
    pub fn add(&mut self, facts: &[Fact]) {
        let Some(first) = facts.first() else { return };
        let exposures = self.exposures.remove(&first.unit).unwrap_or_default();
        self.add_unit(facts, &exposures);
    }

    fn add_unit(&mut self, facts: &[Fact], exposures: &[Fact]) {
        let purchases: HashMap<(&str, &str), &Fact> = facts
            .iter()
            .filter_map(|fact| Some((line(fact.sale.as_ref().filter(|s| !s.is_return())?)?, fact)))
            .collect();
        let before = self.frame.from.map_or(0, |from| facts.partition_point(|fact| fact.at < from));
        let facts = &facts[before..];
        let mut parts: BTreeMap<Cell, Part<'_>> = BTreeMap::new();
        for fact in facts {
            let returned = fact.sale.as_ref().filter(|sale| sale.is_return()).and_then(line);
            let bought = returned.and_then(|line| purchases.get(&line).copied());
            if let Some(cell) = self.cell(fact, bought) {
                parts.entry(cell).or_default().facts.push(fact);
            }
        }
        for exposure in exposures {
            if let Some(cell) = self.cell(exposure, None) {
                parts.entry(cell).or_default().exposed = true;
            }
        }
        let retention = self.metrics.contains(&Metric::Named(Named::Retention));
        let dates: BTreeSet<NaiveDate> = facts
            .iter()
            .filter(|fact| retention && !is_bookkeeping(fact.kind))
            .map(|fact| self.frame.calendar.date(fact.at))
            .collect();
        for (cell, part) in parts {
            let fresh = || self.metrics.iter().map(|metric| Column::new(metric.clone())).collect();
            let columns = self.cells.entry(cell).or_insert_with(fresh);
            let mut activity = Activity::default();
            for fact in &part.facts {
                activity.add(fact, true);
            }
            for returned in part.facts.iter().filter_map(|fact| fact.sale.as_ref()).filter(|s| s.is_return())
            {
                let bought =
                    line(returned).and_then(|line| purchases.get(&line)).and_then(|fact| fact.sale.as_ref());
                if bought.is_some_and(|bought| bought.cost.is_none()) {
                    activity.note_uncosted_purchase(returned);
                }
            }
            let retained = if retention { self.frame.retained(&part.facts, &dates) } else { None };
            let part = UnitPart { facts: &part.facts, activity: &activity, exposed: part.exposed, retained };
            for column in columns {
                column.add(&part);
            }
        }
    }

    /// The cell of a fact; `None` where a unit seen in several variants is in no row. What a return does not state
    /// itself is taken from the purchase it takes back.
    fn cell(&self, fact: &Fact, bought: Option<&Fact>) -> Option<Cell> {
        let places = self.dimensions.iter().map(|dimension| {
            let own = self.place(fact, dimension)?;
            match bought {
                Some(bought) if dimension.is_missing(&own) => self.place(bought, dimension),
                _ => Some(own),
            }
        });
        Some((self.frame.start(fact.at), places.collect::<Option<_>>()?))
    }

    fn place(&self, fact: &Fact, dimension: &Dimension) -> Option<String> {
        let given = |text: &str| if text.is_empty() { NONE.to_owned() } else { text.to_owned() };
        Some(match dimension {
            Dimension::Channel => fact.channel.as_str_name().to_owned(),
            Dimension::Campaign => given(&fact.campaign),
            Dimension::Offer(decided) if fact.offer.is_empty() => {
                decided.get(&fact.decision).map_or_else(|| NONE.to_owned(), Clone::clone)
            }
            Dimension::Offer(_) => fact.offer.clone(),
            Dimension::Day => self.frame.calendar.date(fact.at).to_string(),
            Dimension::Variant(variants) => given(variants.variant(fact)?),
        })
    }

    /// Returns rows for every cell, in order of time and dimensions.
    pub fn rows(mut self) -> Vec<Row> {
        let unseen: BTreeMap<String, Vec<Fact>> = std::mem::take(&mut self.exposures).into_iter().collect();
        for exposures in unseen.into_values() {
            self.add_unit(&[], &exposures);
        }
        let row = |((from, values), columns): (Cell, Vec<Column>)| {
            columns.into_iter().flat_map(Column::values).map(move |found| Row {
                from: from.clone(),
                values: values.clone(),
                metric: found.metric,
                value: found.value,
                units: found.units,
                currency: found.currency,
                warnings: found.warnings,
            })
        };
        self.cells.into_iter().flat_map(row).collect()
    }
}

impl Dimension {
    /// Whether `value` states that a fact has none of this dimension.
    fn is_missing(&self, value: &str) -> bool {
        match self {
            Self::Channel => value == "CHANNEL_UNSPECIFIED",
            Self::Campaign | Self::Offer(_) => value == NONE,
            Self::Day | Self::Variant(_) => false,
        }
    }
}

impl Frame {
    fn start(&self, at: i64) -> Option<String> {
        self.period.map(|period| self.calendar.first_date(period, at).to_string())
    }

    /// Whether a unit whose events in a row are `facts` was seen on the day that retention looks at, of all `dates` it
    /// was seen on; `None` where that day is not over yet.
    fn retained(&self, facts: &[&Fact], dates: &BTreeSet<NaiveDate>) -> Option<bool> {
        let first = facts.iter().find(|fact| !is_bookkeeping(fact.kind))?;
        let target = self.calendar.date(first.at).checked_add_days(Days::new(self.retention_days.into()))?;
        let over = self.calendar.start_of_date(target.succ_opt()?);
        (over <= self.until).then(|| dates.contains(&target))
    }
}

/// The order and item of a line that has an order.
fn line(sale: &Sale) -> Option<(&str, &str)> {
    (!sale.order.is_empty()).then_some((sale.order.as_str(), sale.item.as_str()))
}
