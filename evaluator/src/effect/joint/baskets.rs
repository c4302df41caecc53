//! What people spend, and what an offer takes of it.
//!
//! The terms of an offer are known; what they take off is known once it is known what is bought. The logarithm of a
//! purchase is a line over arms and people, and around it purchases lie as they lay in the rows (Duan 1983): so how much an
//! offer would take of a person's purchase is a mean over its terms, and who would never reach its least spend is not moved
//! by it. An offer is felt as each purchase would feel it, on average: half the purchases at a fifth off are not all of
//! them at a tenth.

use boost::Objective;
use proto::common::v1::Offer;
use serde::{Deserialize, Serialize};

use super::line::{Lesson, Line};
use super::{steps, taken};
use crate::error::Result;

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
    /// Learns them; `None` where too little was bought, or too little is known of terms for them to tell anything.
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
        let beside = |row: usize| values[row] - line.predict(features.row(row), action[row]);
        let ratios = ratios((0..values.len()).map(beside).collect());
        let mut found = Self { line, ratios, offers: offers.to_vec(), usual: vec![None; offers.len()] };
        let rows = lesson.features.rows();
        let looked_at = (0..rows).step_by(rows.div_ceil(LOOKED_AT).max(1));
        let spends: Vec<_> = looked_at.map(|row| found.spends(lesson.features.row(row))).collect();
        found.usual = offers.iter().map(|offer| usual(offer.as_ref()?, &spends)).collect();
        Ok(Some(found).filter(|found| found.are_felt() || found.all_terms().is_some()))
    }

    /// Whether any arm is felt otherwise by one than by another.
    pub(super) fn are_felt(&self) -> bool {
        self.usual.iter().any(Option::is_some)
    }

    /// Whether that arm is.
    pub(super) fn is_felt(&self, arm: usize) -> bool {
        self.usual[arm].is_some()
    }

    /// How every arm is felt by who spends so; `None` where all feel it alike.
    pub(super) fn felt(&self, spends: &[f64]) -> Vec<Option<Felt>> {
        let felt = |(offer, usual): (&Option<Offer>, &Option<(f64, f64)>)| {
            let ((mean, deviation), depth) = ((*usual)?, depth(offer.as_ref()?, spends));
            let share = (depth / mean).clamp(0.0, FURTHEST);
            Some(Felt { share, beyond: ((depth - mean) / deviation).clamp(-FURTHEST, FURTHEST) })
        };
        self.offers.iter().zip(&self.usual).map(felt).collect()
    }

    /// What a person's purchase is worth without an offer: so many, equally likely.
    pub(super) fn spends(&self, row: &[f64]) -> Vec<f64> {
        let middle = self.line.predict(row, 0).exp().clamp(SPENDS.0, SPENDS.1);
        self.ratios.iter().map(|ratio| ratio * middle).collect()
    }

    /// The terms of every arm but the control, if all are known.
    pub(super) fn all_terms(&self) -> Option<Vec<Offer>> {
        self.offers.iter().skip(1).cloned().collect()
    }
}

/// Mean and standard deviation over people, each with what they spend, of how deep an offer is felt; `None` where all feel
/// it alike.
fn usual(offer: &Offer, people: &[Vec<f64>]) -> Option<(f64, f64)> {
    let depths: Vec<f64> = people.iter().map(|spends| depth(offer, spends)).collect();
    let count = depths.len().max(1) as f64;
    let mean = depths.iter().sum::<f64>() / count;
    let deviation = (depths.iter().map(|depth| (depth - mean).powi(2)).sum::<f64>() / count).sqrt();
    (deviation > ALIKE * mean).then_some((mean, deviation))
}

/// How deep an offer is felt on average by purchases as they would be without it.
fn depth(offer: &Offer, spends: &[f64]) -> f64 {
    let felt = spends.iter().map(|spend| steps::felt(taken::takes(offer, *spend) / spend));
    felt.sum::<f64>() / spends.len() as f64
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
