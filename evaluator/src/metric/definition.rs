//! Metrics somebody defined: what they are made of, and when a definition is sound.

use proto::common::v1::{Channel, EventKind};
use serde::{Deserialize, Serialize};

use super::activity::Activity;
use super::fact::{DAY, Fact};
use super::named::Named;
use crate::error::Violation;

/// What is added up over a person's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Number of events.
    Events,
    /// Number of distinct orders.
    Orders,
    /// What was paid, minor units.
    Revenue,
    /// Revenue less tax and cost, where the cost is known.
    Profit,
    /// Sum of the ratings.
    Ratings,
    /// Number of distinct days of the shop.
    Days,
}

/// A number a person has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// What is added up.
    pub aggregation: Aggregation,
    /// Kinds that count; empty: all.
    pub kinds: Vec<EventKind>,
    /// Channels that count; empty: all.
    pub channels: Vec<Channel>,
    /// Campaigns that count; empty: all.
    pub campaigns: Vec<String>,
    /// Whether only answers to decisions count.
    pub answering: bool,
}

/// What a metric tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    /// Share of people whose measure is above 0.
    Proportion(Measure),
    /// Mean over people.
    Mean(Measure),
    /// Σ first ÷ Σ second.
    Ratio(Measure, Measure),
    /// The value below which the share lies, of people with any such event.
    Quantile(Measure, f64),
    /// Share of people seen again after the delay.
    Retention(Measure),
    /// Share of people who went through all steps in order.
    Funnel(Vec<EventKind>),
}

/// How far a person's measure counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Cap {
    /// No more than this.
    At(f64),
    /// No more than this quantile of all people's.
    Quantile(f64),
}

/// A metric somebody defined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it tells.
    pub shape: Shape,
    /// Microseconds after a person's start before anything counts.
    pub delay: i64,
    /// Microseconds after that in which it counts; `None`: without end.
    pub window: Option<i64>,
    /// How far a person's measure counts.
    pub cap: Option<Cap>,
    /// Whether a fall is the better direction.
    pub lower_is_better: bool,
}

/// Longest name, bytes.
const LONGEST_NAME: usize = 64;
/// Fewest and most steps of a funnel.
const STEPS: std::ops::RangeInclusive<usize> = 2..=20;

impl Measure {
    /// Whether `fact` counts; `answers` tells whether it answers to a decision in question.
    pub fn takes(&self, fact: &Fact, answers: bool) -> bool {
        (answers || !self.answering)
            && (self.kinds.is_empty() || self.kinds.contains(&fact.kind) || self.takes_back(fact.kind))
            && (self.channels.is_empty() || self.channels.contains(&fact.channel))
            && (self.campaigns.is_empty() || self.campaigns.contains(&fact.campaign))
    }

    /// Whether events of `kind` take off what purchases add: orders, revenue and profit are net of returns.
    fn takes_back(&self, kind: EventKind) -> bool {
        let net =
            matches!(self.aggregation, Aggregation::Orders | Aggregation::Revenue | Aggregation::Profit);
        net && kind == EventKind::Return && self.kinds.contains(&EventKind::Purchase)
    }

    /// Its value after `activity`, in parts of its unit as [`Measure::scale`] counts them; money in `currency`.
    pub fn value(&self, activity: &Activity, currency: &str) -> i64 {
        let money = activity.money.get(currency);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        match self.aggregation {
            Aggregation::Events => count(activity.events),
            Aggregation::Orders => count(activity.orders(None)),
            Aggregation::Revenue => money.map_or(0, |money| money.revenue),
            Aggregation::Profit => activity.profit(currency),
            Aggregation::Ratings => {
                ((activity.surveys.sum + activity.product_ratings.sum) * self.scale()).round() as i64
            }
            Aggregation::Days => count(activity.days()),
        }
    }

    /// Whether it is an amount of money.
    pub fn is_money(&self) -> bool {
        matches!(self.aggregation, Aggregation::Revenue | Aggregation::Profit)
    }

    /// How many parts of its unit are counted: ratings may have decimals.
    pub fn scale(&self) -> f64 {
        if self.aggregation == Aggregation::Ratings { 1e6 } else { 1.0 }
    }
}

impl Definition {
    /// What is wrong with it; empty when it may be stored.
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut fault = |field: &str, reason, text: &str| found.push(Violation::new(field, reason, text));
        let letter = self.name.starts_with(|first: char| first.is_ascii_uppercase());
        let spelt =
            self.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if !letter || !spelt || self.name.len() > LONGEST_NAME {
            fault("name", "NOT_A_NAME", "must be 1 to 64 of A to Z, 0 to 9 and _, a letter first");
        } else if Named::parse(&self.name).is_some() {
            fault("name", "BUILT_IN", "must differ from the metrics that are there anyway");
        }
        match &self.shape {
            Shape::Quantile(_, level) if !(*level > 0.0 && *level < 1.0) => {
                fault("quantile_level", "OUT_OF_RANGE", "must be above 0 and below 1");
            }
            Shape::Ratio(_, denominator) if denominator.aggregation == Aggregation::Ratings => {
                fault("denominator.aggregation", "NOT_A_DENOMINATOR", "must not be AGGREGATION_RATINGS");
            }
            Shape::Retention(_) if self.delay < DAY => {
                fault("delay_seconds", "OUT_OF_RANGE", "must be at least 86400, a day, for a retention");
            }
            Shape::Funnel(steps) if !STEPS.contains(&steps.len()) => {
                fault("steps", "OUT_OF_RANGE", "must be 2 to 20");
            }
            _ => {}
        }
        match self.cap {
            Some(Cap::At(most)) if !(most.is_finite() && most > 0.0) => {
                fault("cap", "OUT_OF_RANGE", "must be a finite number above 0");
            }
            Some(Cap::At(_)) if !matches!(self.shape, Shape::Mean(_) | Shape::Ratio(..)) => {
                fault("cap", "NOT_CAPPED", "must be absent but for METRIC_KIND_MEAN and METRIC_KIND_RATIO");
            }
            Some(Cap::Quantile(share)) if !(share > 0.0 && share < 1.0) => {
                fault("cap_quantile", "OUT_OF_RANGE", "must be above 0 and below 1");
            }
            Some(Cap::Quantile(_)) if !matches!(self.shape, Shape::Mean(_)) => {
                fault("cap_quantile", "NOT_CAPPED", "must be absent but for METRIC_KIND_MEAN");
            }
            _ => {}
        }
        found
    }

    /// The measure, and of a ratio what it is divided by; a funnel has none.
    pub fn measures(&self) -> (Option<&Measure>, Option<&Measure>) {
        match &self.shape {
            Shape::Proportion(m) | Shape::Mean(m) | Shape::Quantile(m, _) | Shape::Retention(m) => {
                (Some(m), None)
            }
            Shape::Ratio(m, d) => (Some(m), Some(d)),
            Shape::Funnel(_) => (None, None),
        }
    }

    /// Whether it is an amount of money, whichever part of it is.
    pub fn is_money(&self) -> bool {
        let (measure, denominator) = self.measures();
        // A share of people is one in any currency.
        !matches!(self.shape, Shape::Proportion(_) | Shape::Retention(_))
            && measure.into_iter().chain(denominator).any(Measure::is_money)
    }

    /// Whether a person's part can be below nothing.
    pub fn may_be_negative(&self) -> bool {
        let (measure, denominator) = self.measures();
        measure.into_iter().chain(denominator).any(|measure| measure.aggregation == Aggregation::Profit)
    }

    /// Whether its sums are kept by size of the outcome: who tells the distribution needs more than moments.
    pub fn is_binned(&self) -> bool {
        matches!(self.shape, Shape::Quantile(..)) || matches!(self.cap, Some(Cap::Quantile(_)))
    }
}
