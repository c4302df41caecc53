//! One metric in one cell of a report: what people add up to.

use std::collections::BTreeMap;

use super::activity::Activity;
use super::definition::{Cap, Definition, Shape};
use super::fact::Fact;
use super::report::LEVEL;
use super::statistic::value_with_interval;
use super::{Metric, MetricKind, Moments, Named, Tally, quantile};
use crate::stats::{Interval, interval, normal};

/// What one unit did in one cell.
pub(super) struct UnitPart<'a> {
    /// Its events, in order of time.
    pub(super) facts: &'a [&'a Fact],
    /// All of them summed up.
    pub(super) activity: &'a Activity,
    /// Whether a decision exposed it in this cell.
    pub(super) exposed: bool,
    /// Whether it was seen on the day that retention looks at; `None` where that is not known yet.
    pub(super) retained: Option<bool>,
}

/// The value of one metric in one cell and currency.
pub(super) struct Found {
    pub(super) metric: String,
    pub(super) currency: String,
    pub(super) value: Option<Interval>,
    pub(super) units: u64,
    pub(super) warnings: Vec<&'static str>,
}

/// A metric's sums, or where its distribution is told its values, by currency.
pub(super) struct Column {
    metric: Metric,
    people: u64,
    /// Units that bought but are not in the denominator of a conversion rate.
    unseen_buyers: u64,
    sums: BTreeMap<String, Moments>,
    values: BTreeMap<String, Vec<f64>>,
}

impl Column {
    pub(super) fn new(metric: Metric) -> Self {
        Self { metric, people: 0, unseen_buyers: 0, sums: BTreeMap::new(), values: BTreeMap::new() }
    }

    /// Adds what a unit did in the cell.
    pub(super) fn add(&mut self, unit: &UnitPart<'_>) {
        self.people += 1;
        match self.metric.clone() {
            Metric::Named(Named::Cr) => self.add_conversion(unit),
            Metric::Named(Named::Retention) => {
                if let Some(retained) = unit.retained {
                    self.sums.entry(String::new()).or_default().add_unit(f64::from(u8::from(retained)), 1.0);
                }
            }
            Metric::Named(named) => self.add_named(named, unit.activity),
            Metric::Own(own) => self.add_own(&own, unit.facts),
        }
    }

    /// A conversion rate is a share of the units that saw anything: buyers alone would all have converted.
    fn add_conversion(&mut self, unit: &UnitPart<'_>) {
        let bought = unit.activity.purchases > 0;
        if unit.exposed || unit.activity.has_visited() {
            self.sums.entry(String::new()).or_default().add_unit(f64::from(u8::from(bought)), 1.0);
        } else {
            self.unseen_buyers += u64::from(bought);
        }
    }

    /// Adds a person whom the metric concerns: anybody of a share of people, else who has a denominator or a purchase.
    fn add_named(&mut self, named: Named, activity: &Activity) {
        let none = String::new();
        let currencies: Vec<&String> =
            if named.is_money() { activity.money.keys().collect() } else { vec![&none] };
        for currency in currencies {
            let (numerator, denominator) = named.pair(activity, currency);
            if named.kind() != MetricKind::Ratio || numerator != 0.0 || denominator != 0.0 {
                self.sums.entry(currency.clone()).or_default().add_unit(numerator, denominator);
            }
        }
    }

    fn add_own(&mut self, own: &Definition, facts: &[&Fact]) {
        let mut tally = Tally::default();
        let from = facts.first().map_or(0, |fact| fact.at);
        for fact in facts {
            // What answers to any decision is taken for an answer.
            tally.add(own, fact, !fact.decision.is_empty(), fact.at - from);
        }
        for currency in tally.currencies(own) {
            let Some((_, figures)) = tally.figures(own, &currency) else { continue };
            let outcome = figures.outcome as f64 / self.metric.scale();
            if own.is_binned() {
                self.values.entry(currency).or_default().push(outcome);
            } else {
                self.sums.entry(currency).or_default().add_unit(outcome, figures.denominator as f64);
            }
        }
    }

    /// Returns the value in each currency that has one. A conversion rate or retention that cannot be computed is there
    /// without a value, and a warning says why.
    pub(super) fn values(self) -> Vec<Found> {
        let Self { metric, people, unseen_buyers, mut sums, values } = self;
        let mut found = Vec::new();
        for (currency, values) in values {
            let mut values = values;
            values.sort_by(f64::total_cmp);
            match &metric {
                Metric::Own(own) if matches!(own.cap, Some(Cap::Quantile(_))) => {
                    sums.insert(currency, winsorised(own, values, people));
                }
                _ => {
                    let level = metric.quantile().unwrap_or(0.5);
                    let [lower, estimate, upper] = quantile::sample(&values, level);
                    let value = Interval { estimate, lower, upper, level: LEVEL };
                    found.push((currency, value, values.len() as u64));
                }
            }
        }
        // Nobody did it: a share of people and a mean without currency are told all the same.
        let told_of_all = matches!(metric, Metric::Own(_)) && metric.kind() != MetricKind::Ratio;
        if told_of_all && !metric.is_money() && metric.quantile().is_none() {
            sums.entry(String::new()).or_default();
        }
        for (currency, mut moments) in sums {
            if told_of_all {
                moments.units = people;
            }
            if let Some(value) = value(&metric, &moments) {
                found.push((currency, value, moments.units));
            }
        }
        let warnings: &[&'static str] = match metric {
            Metric::Named(Named::Cr) if found.is_empty() => &["NO_EXPOSURES"],
            Metric::Named(Named::Cr) if unseen_buyers > 0 => &["BUYERS_WITHOUT_EXPOSURE"],
            Metric::Named(Named::Retention) if found.is_empty() => &["NO_MATURE_UNITS"],
            _ => &[],
        };
        let absent = found.is_empty() && !warnings.is_empty();
        let found = found.into_iter().map(|(currency, value, units)| (currency, Some(value), units));
        found
            .chain(absent.then(|| (String::new(), None, 0)))
            .map(|(currency, value, units)| Found {
                metric: metric.name().to_owned(),
                currency,
                value,
                units,
                warnings: warnings.to_vec(),
            })
            .collect()
    }
}

/// The sums of `values`, sorted, of `people` of whom the others have 0, none counted above the quantile.
fn winsorised(own: &Definition, values: Vec<f64>, people: u64) -> Moments {
    let (Some(Cap::Quantile(share)), Shape::Mean(_)) = (own.cap, &own.shape) else {
        return Moments::default();
    };
    let absent = usize::try_from(people).unwrap_or(usize::MAX).saturating_sub(values.len());
    let mut all = vec![0.0; absent];
    all.extend(values);
    all.sort_by(f64::total_cmp);
    let place = (share * all.len() as f64).ceil() as usize;
    let most = all.get(place.saturating_sub(1)).copied().unwrap_or(0.0);
    let mut moments = Moments::default();
    for value in &all {
        moments.add_unit(value.min(most), 1.0);
    }
    moments
}

/// A total's variance is Σx², that of a compound Poisson sum: who comes is chance too. One person alone tells
/// nothing of the spread between people: the value itself is then taken for its standard error.
fn value(metric: &Metric, moments: &Moments) -> Option<Interval> {
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    if moments.units == 0 {
        return None;
    }
    let alone = |value: f64| Some(Interval::around(value, z * value.abs(), LEVEL));
    let found = match (metric.kind(), metric) {
        (MetricKind::Proportion, _) => interval::wilson(moments.sum, moments.units as f64, LEVEL),
        (MetricKind::Mean, Metric::Named(_)) => {
            Some(Interval::around(moments.sum, z * moments.sum_squares.sqrt(), LEVEL))
        }
        (MetricKind::Mean, Metric::Own(_)) if moments.units == 1 => alone(moments.sum),
        (MetricKind::Ratio, _) if moments.units == 1 && moments.denominator_sum > 0.0 => {
            alone(moments.sum / moments.denominator_sum)
        }
        (kind, _) => value_with_interval(moments, kind, LEVEL),
    };
    // No metric of shown, clicked and bought goods can be below nothing, whatever a few units' spread says; what was
    // earned by them can, and so can what more was returned of than bought.
    let signed = match metric {
        Metric::Named(named) => *named == Named::Profit,
        Metric::Own(own) => own.may_be_negative(),
    };
    found.map(|found| {
        let floored = !signed && found.estimate >= 0.0;
        if floored { Interval { lower: found.lower.max(0.0), ..found } } else { found }
    })
}
