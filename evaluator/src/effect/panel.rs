//! The rows that are learnt from.

use boost::{Matrix, Objective};
use proto::common::v1::Offer;

use super::joint::{Purchases, Steps};

/// Fewer rows in an arm teach nothing of it.
pub const LEAST_ROWS: usize = 30;

/// Logged rows of several arms, of which arm 0 is the control.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What was known of each row when it was decided; NaN where not known.
    pub features: Matrix,
    /// Of the features' columns so many, the last, tell when it was and nothing of the person.
    pub of_time: usize,
    /// Arm of each row.
    pub action: Vec<usize>,
    /// Probability with which that arm was chosen, above 0.
    pub propensity: Vec<f64>,
    /// Numbers that describe each arm (its discount's depth and the like), all of one length; the control's are 0.
    pub arms: Vec<Vec<f64>>,
    /// The steps that lead to each arm from the control, as the model of all arms takes them.
    pub steps: Steps,
    /// What each row bought, where that is known.
    pub bought: Option<Bought>,
}

/// What each row bought, and by which terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Bought {
    /// Worth before any discount, minor units; 0 where nothing was bought.
    pub worth: Vec<f64>,
    /// By arm: the terms of its offer, where they are known.
    pub offers: Vec<Option<Offer>>,
}

impl Bought {
    /// As the model of all arms takes it.
    pub(crate) fn purchases(&self) -> Purchases<'_> {
        Purchases { worth: &self.worth, offers: &self.offers }
    }

    /// The rows named, in that order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let worth = rows.iter().map(|&row| self.worth[row]).collect();
        Self { worth, offers: self.offers.clone() }
    }
}

/// What is learnt to be changed by the arms.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// One number a row.
    pub values: &'a [f64],
    /// [`Objective::Logistic`] for 0 or 1, [`Objective::Squared`] for amounts.
    pub objective: Objective,
    /// For amounts that are 0 wherever some 0-or-1 event did not happen: that event. The amount is then modelled as
    /// its probability times its mean where it happened, which is far less noisy than the amount itself.
    pub event: Option<&'a [f64]>,
    /// For amounts that discounts were taken from: what was taken.
    pub discount: Option<&'a [f64]>,
}

impl Panel {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.action.len()
    }

    /// Rows in each arm.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.arms.len()];
        for &arm in &self.action {
            counts[arm] += 1;
        }
        counts
    }

    /// The rows named, in that order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            features: self.features.select(rows),
            of_time: self.of_time,
            action: rows.iter().map(|&row| self.action[row]).collect(),
            propensity: rows.iter().map(|&row| self.propensity[row]).collect(),
            arms: self.arms.clone(),
            steps: self.steps.clone(),
            bought: self.bought.as_ref().map(|bought| bought.select(rows)),
        }
    }
}

/// Beyond so many products a linear S-learner lets features act on the description alone.
const MOST_PRODUCTS: usize = 160;

/// The features of a row as one model of all arms takes them for `arm`: the row's own, one flag an arm, the arm's
/// description, and for a linear model the products of the row's own with flags and description.
pub(crate) fn with_arm(row: &[f64], arm: usize, arms: &[Vec<f64>], products: bool) -> Vec<f64> {
    let description = &arms[arm];
    let flags = arms.len() - 1;
    let mut out = Vec::with_capacity(row.len() * (1 + flags + description.len()) + flags + description.len());
    out.extend_from_slice(row);
    let flag = |index: usize| f64::from(u8::from(index + 1 == arm));
    out.extend((0..flags).map(flag));
    out.extend_from_slice(description);
    if products {
        if row.len() * (flags + description.len()) <= MOST_PRODUCTS {
            for index in 0..flags {
                out.extend(row.iter().map(|x| if flag(index) > 0.0 { *x } else { 0.0 }));
            }
        }
        for by in description {
            out.extend(row.iter().map(|x| if *by == 0.0 { 0.0 } else { x * by }));
        }
    }
    out
}
