//! What people spend, and what an offer takes of it.
//!
//! The terms of an offer are known; what they take off is known once it is known what is bought. The logarithm of a
//! purchase is a line over arms and people, and around it purchases lie as they lay in the rows (Duan 1983): so how much an
//! offer would take of a person's purchase is a mean over its terms, and who would never reach its least spend is not moved
//! by it. What offers cost is learnt from what they cost: people fill their baskets up to a least spend.

use boost::Objective;
use proto::common::v1::Offer;
use serde::{Deserialize, Serialize};

use super::line::{Lesson, Line};
use super::steps;
use crate::error::Result;
use crate::strategy::terms;

/// Fewer purchases tell too little of what is spent.
const LEAST_PURCHASES: usize = 100;
/// Purchases that stand for all, as likely each, beside what is expected.
const RATIOS: usize = 32;
/// Rows over which an arm's usual depth is taken.
const LOOKED_AT: usize = 2_000;
/// An arm whose depth varies by less, of its mean, is felt alike by all: what rounding does is nothing.
const ALIKE: f64 = 0.02;
/// Nobody feels an offer more often than so many usual ones, and nobody lies further from the usual, in standard
/// deviations.
const FURTHEST: f64 = 4.0;

/// What a purchase is worth at least and at most, minor units, whatever a caller says of a person.
const SPENDS: (f64, f64) = (1.0, 1e15);

/// What each row bought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purchases<'a> {
    /// Worth before any discount, minor units; 0 where nothing was bought.
    pub(crate) worth: &'a [f64],
    /// By arm: the terms, where they are known.
    pub(crate) offers: &'a [Option<Offer>],
}

/// How an offer is felt by one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Felt {
    /// Of what is usual.
    pub(super) share: f64,
    /// How far beyond it, in standard deviations over people.
    pub(super) beyond: f64,
}

/// What people spend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Baskets {
    /// Logarithm of what a purchase is worth before a discount.
    line: Line,
    /// What purchases are worth beside what the line says: so many, equally likely.
    ratios: Vec<f64>,
    /// By arm: the terms.
    offers: Vec<Option<Offer>>,
    /// By arm: mean and standard deviation over people of how deep it is felt; `None` where all feel it alike.
    usual: Vec<Option<(f64, f64)>>,
}

impl Baskets {
    /// Learns them; `None` where no terms are known or too little was bought.
    pub(super) fn fit(lesson: Lesson<'_>, purchases: Purchases<'_>) -> Result<Option<Self>> {
        let Purchases { worth, offers } = purchases;
        let bought: Vec<usize> = (0..worth.len()).filter(|&row| worth[row] > 0.0).collect();
        if bought.len() < LEAST_PURCHASES || offers.iter().all(Option::is_none) {
            return Ok(None);
        }
        let features = lesson.features.select(&bought);
        let action: Vec<usize> = bought.iter().map(|&row| lesson.action[row]).collect();
        let values: Vec<f64> = bought.iter().map(|&row| worth[row].ln()).collect();
        let objective = Objective::Squared;
        let of_purchases =
            Lesson { features: &features, action: &action, values: &values, objective, ..lesson };
        let line = of_purchases.fit(None)?;
        let beside = |row: usize| values[row] - line.predict(features.row(row), action[row], None);
        let ratios = ratios((0..values.len()).map(beside).collect());
        let mut found = Self { line, ratios, offers: offers.to_vec(), usual: vec![None; offers.len()] };
        found.usual = (0..offers.len()).map(|arm| found.usual(lesson, arm)).collect();
        Ok(Some(found))
    }

    fn usual(&self, lesson: Lesson<'_>, arm: usize) -> Option<(f64, f64)> {
        let rows = lesson.features.rows();
        let looked_at = (0..rows).step_by(rows.div_ceil(LOOKED_AT).max(1));
        let depths: Vec<f64> = looked_at.map(|row| self.depth(lesson.features.row(row), arm)).collect();
        let count = depths.len().max(1) as f64;
        let mean = depths.iter().sum::<f64>() / count;
        let deviation = (depths.iter().map(|depth| (depth - mean).powi(2)).sum::<f64>() / count).sqrt();
        (deviation > ALIKE * mean).then_some((mean, deviation))
    }

    /// Whether any arm is felt otherwise by one than by another.
    pub(super) fn are_felt(&self) -> bool {
        self.usual.iter().any(Option::is_some)
    }

    /// Whether that arm is.
    pub(super) fn is_felt(&self, arm: usize) -> bool {
        self.usual[arm].is_some()
    }

    /// How a person of that row feels an arm; `None` where all feel it alike.
    pub(super) fn felt(&self, row: &[f64], arm: usize) -> Option<Felt> {
        let (mean, deviation) = self.usual[arm]?;
        let depth = self.depth(row, arm);
        let share = (depth / mean).clamp(0.0, FURTHEST);
        Some(Felt { share, beyond: ((depth - mean) / deviation).clamp(-FURTHEST, FURTHEST) })
    }

    /// How deep an arm is felt by who buys as they would without it.
    fn depth(&self, row: &[f64], arm: usize) -> f64 {
        let Some(offer) = &self.offers[arm] else { return 0.0 };
        let middle = self.line.predict(row, 0, None).exp().clamp(SPENDS.0, SPENDS.1);
        let mean = middle * self.ratios.iter().sum::<f64>() / self.ratios.len() as f64;
        steps::felt(self.allowed(offer, middle) / mean)
    }

    /// What the terms allow on average of purchases around `middle`.
    fn allowed(&self, offer: &Offer, middle: f64) -> f64 {
        let sum: f64 = self.ratios.iter().map(|ratio| takes(offer, middle * ratio)).sum();
        sum / self.ratios.len() as f64
    }
}

fn takes(offer: &Offer, worth: f64) -> f64 {
    terms::discount(offer, worth.round() as i64) as f64
}

/// Means of as many equal parts of `beside`, logarithms, taken as ratios.
fn ratios(mut beside: Vec<f64>) -> Vec<f64> {
    beside.sort_by(f64::total_cmp);
    let end = |part: usize| part * beside.len() / RATIOS;
    let mean = |part: usize| {
        let of = &beside[end(part)..end(part + 1)];
        of.iter().map(|logarithm| logarithm.exp()).sum::<f64>() / of.len() as f64
    };
    (0..RATIOS).map(mean).collect()
}
