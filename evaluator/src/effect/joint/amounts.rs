//! The amount where the event happened.

use boost::Objective;
use serde::{Deserialize, Serialize};

use super::Of;
use super::baskets::Baskets;
use super::line::{Lesson, Line};
use super::taken::Taken;
use crate::error::Result;

/// The mean amount where the event happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Amounts {
    /// Itself.
    Whole(Box<Line>),
    /// What a discount leaves of it. Before it, arms hardly differ; the discount itself is nearly certain once the event
    /// happened: apart, both are learnt from far fewer rows than their difference.
    Left {
        /// Before the discount.
        before: Box<Line>,
        /// The discount.
        discount: Box<Line>,
    },
    /// The same where terms are known.
    ByTerms {
        /// Before the discount, as a share of what a purchase is expected to be worth: nearly one for all.
        before: Box<Line>,
        /// The discount.
        taken: Taken,
    },
}

impl Amounts {
    /// Learns it from the rows where `event` happened.
    pub(super) fn fit(
        lesson: Lesson<'_>,
        of: Of<'_>,
        event: &[f64],
        baskets: Option<&Baskets>,
    ) -> Result<Self> {
        let happened: Vec<usize> = (0..event.len()).filter(|&row| event[row] > 0.0).collect();
        let features = lesson.features.select(&happened);
        let action: Vec<usize> = happened.iter().map(|&row| lesson.action[row]).collect();
        let pick = |from: &[f64]| happened.iter().map(|&row| from[row]).collect::<Vec<f64>>();
        let line = |values: &[f64]| {
            let objective = Objective::Squared;
            let lesson = Lesson { features: &features, action: &action, values, objective, ..lesson };
            lesson.fit(None).map(Box::new)
        };
        let values = pick(lesson.values);
        let by_terms = |discount: &[f64]| {
            let baskets = baskets?;
            let purchases = action.iter().copied().zip(discount.iter().copied());
            let spends = |purchase| baskets.spends(features.row(purchase));
            Some((baskets, Taken::fit(baskets.all_terms()?, purchases, spends)))
        };
        let discount = match of {
            Of::Left(_, discount) => pick(discount),
            Of::Itself | Of::Amount(_) => return Ok(Self::Whole(line(&values)?)),
        };
        let before: Vec<f64> = values.iter().zip(&discount).map(|(left, discount)| left + discount).collect();
        let Some((baskets, taken)) = by_terms(&discount) else {
            return Ok(Self::Left { before: line(&before)?, discount: line(&discount)? });
        };
        let share = |(purchase, before): (usize, &f64)| {
            before / taken.worth(&baskets.spends(features.row(purchase)), action[purchase])
        };
        let shares: Vec<f64> = before.iter().enumerate().map(share).collect();
        Ok(Self::ByTerms { before: line(&shares)?, taken })
    }

    /// Of a row under every arm; its purchase would without an offer be one of `spends`, where that is known.
    pub(super) fn means(&self, row: &[f64], spends: &[f64]) -> Vec<f64> {
        match self {
            Self::Whole(line) => line.alike(row),
            Self::Left { .. } | Self::ByTerms { .. } => {
                let (before, taken) = self.parts(row, spends);
                before.into_iter().zip(taken).map(|(before, taken)| before - taken).collect()
            }
        }
    }

    /// By arm: the amount before the discount, and the discount. No offer takes nothing, and none adds to an amount.
    pub(super) fn parts(&self, row: &[f64], spends: &[f64]) -> (Vec<f64>, Vec<f64>) {
        match self {
            Self::Whole(line) => {
                let whole = line.alike(row);
                let nothing = vec![0.0; whole.len()];
                (whole, nothing)
            }
            Self::Left { before, discount } => {
                let taken = discount.alike(row).into_iter().enumerate();
                let taken = taken.map(|(arm, taken)| if arm == 0 { 0.0 } else { taken.max(0.0) });
                (before.alike(row), taken.collect())
            }
            Self::ByTerms { before, taken } => {
                let shares = before.alike(row).into_iter().enumerate();
                let before = shares.map(|(arm, share)| share * taken.worth(spends, arm)).collect();
                (before, (0..taken.arms()).map(|arm| taken.mean(spends, arm)).collect())
            }
        }
    }
}
