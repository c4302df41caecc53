//! What one person did within one cell of a report, or one arm of an experiment.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proto::common::v1::EventKind;

use super::fact::{DAY, Fact};

/// Sums over one person's events.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    /// Events of any kind.
    pub events: usize,
    /// Items shown.
    pub impressions: u32,
    /// Clicks.
    pub clicks: u32,
    /// Decisions made; of an experiment only.
    pub decisions: u64,
    /// Satisfaction given in surveys.
    pub surveys: Scores,
    /// Ratings of items.
    pub product_ratings: Scores,
    /// Purchases by currency.
    pub money: BTreeMap<String, Money>,
    days: BTreeSet<i64>,
}

/// Scores given by one person.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scores {
    /// Number of scores.
    pub count: u32,
    /// Their sum.
    pub sum: f64,
}

impl Scores {
    fn add(&mut self, score: f64) {
        self.count += 1;
        self.sum += score;
    }
}

/// Purchases in one currency, minor units.
#[derive(Debug, Clone, Default)]
pub struct Money {
    /// What was paid.
    pub revenue: i64,
    /// Revenue less tax and cost of the lines whose cost is known.
    pub profit: i64,
    named: HashSet<String>,
    unnamed: usize,
}

impl Money {
    /// Distinct orders; a line without an order is one of its own.
    pub fn orders(&self) -> usize {
        self.named.len() + self.unnamed
    }
}

impl Activity {
    /// No events yet, after `decisions` made.
    pub fn decided(decisions: u64) -> Self {
        Self { decisions, ..Self::default() }
    }

    /// Adds an event. Impressions and clicks count only where they are `answers`: to the decisions in question, or
    /// in a report to anything.
    pub fn add(&mut self, fact: &Fact, answers: bool) {
        self.events += 1;
        self.days.insert(fact.at.div_euclid(DAY));
        match fact.kind {
            EventKind::Impression if answers => self.impressions += 1,
            EventKind::Click if answers => self.clicks += 1,
            _ => {}
        }
        if let Some(score) = fact.rating {
            match fact.kind {
                EventKind::Survey => self.surveys.add(score),
                EventKind::Rating => self.product_ratings.add(score),
                _ => {}
            }
        }
        if let Some(sale) = &fact.sale {
            let money = self.money.entry(sale.currency.clone()).or_default();
            money.revenue = money.revenue.saturating_add(sale.revenue);
            money.profit = money.profit.saturating_add(sale.profit().unwrap_or(0));
            if sale.order.is_empty() {
                money.unnamed += 1;
            } else {
                money.named.insert(sale.order.clone());
            }
        }
    }

    /// Number of days the person was seen on.
    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// Whether the person was seen on more than one day.
    pub fn returned(&self) -> bool {
        self.days() > 1
    }
}
