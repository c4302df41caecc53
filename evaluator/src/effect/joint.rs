//! One model of all arms, its prior learnt with it.
//!
//! The score of a row z under arm a is b(z)·β + Σ_{s ∈ steps(a)} b(z)·δ_s: the control's own line, and what each step that
//! leads to the arm adds to it. An offer of a family goes all the steps of the shallower ones and one of its own; so the
//! arms of a family lie near each other, and what a deeper discount does beyond a shallower one is learnt as such. b(z)
//! holds 1 and the standardised features, and their products two by two where there are not too many.
//!
//! Nearly all of δ is nothing, but which is not known. Every coefficient is normal around 0, and the variances are those
//! under which the rows are likeliest (automatic relevance determination, MacKay 1992; Tipping 2001). All steps share one
//! variance for each function of the basis: what tells people apart for one offer tells them apart for most, and a
//! variance learnt from one coefficient would follow its noise. Within a family the steps vary together, each as much as
//! it adds to the discount as people feel it: who is moved by a shallow offer is moved further by a deeper one. The time
//! of a row moves the control's line alone: an arm that was given on few days would have no slopes of its own over them.
//!
//! What an offer takes off is not the same for all: an amount off is much to who spends little, and one that asks for a
//! least spend is nothing to who never reaches it. Where that differs, what the steps add is multiplied by how much of the
//! arm's usual depth a person would feel ([`baskets`]), and how it goes with that depth is learnt beside it.
//!
//! What the rows leave open of a probability is kept as draws from its posterior (Laplace): exploration goes by them.

mod amounts;
mod basis;
mod baskets;
mod fit;
mod layout;
mod line;
mod prior;
mod sale;
mod steps;
mod taken;

use serde::{Deserialize, Serialize};

use self::amounts::Amounts;
pub(crate) use self::baskets::Purchases;
use self::baskets::{Baskets, Felt};
pub(crate) use self::line::Lesson;
use self::line::Line;
pub(crate) use self::sale::Sold;
pub use self::sale::{Means, Sale};
pub use self::steps::Steps;
use crate::error::Result;
use boost::Objective;

/// What an outcome is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    /// Nothing but itself.
    Itself,
    /// An amount that is 0 wherever an event did not happen.
    Amount(&'a [f64]),
    /// What is left of such an amount after the discounts taken from it.
    Left(&'a [f64], &'a [f64]),
}

/// The model of an outcome, or of an event and of the amount where it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// The outcome itself, or the event.
    first: Line,
    /// The amount where the event happened.
    amounts: Option<Amounts>,
    /// What people spend, where that is known and offers take something off it.
    baskets: Option<Box<Baskets>>,
}

impl Joint {
    /// Fits; amounts are learnt from the rows where the event happened. `purchases` tells what each row bought, where that
    /// is known.
    pub(crate) fn fit(lesson: Lesson<'_>, of: Of<'_>, purchases: Option<Purchases<'_>>) -> Result<Self> {
        let baskets = purchases.map_or(Ok(None), |purchases| Baskets::fit(lesson, purchases))?;
        let baskets = baskets.map(Box::new);
        let (Of::Amount(event) | Of::Left(event, _)) = of else {
            let baskets = baskets.filter(|baskets| baskets.are_felt());
            let first = lesson.fit(baskets.as_deref())?;
            return Ok(Self { first, amounts: None, baskets });
        };
        let chance = Lesson { values: event, objective: Objective::Logistic, ..lesson };
        let first = chance.fit(baskets.as_deref())?;
        let amounts = Amounts::fit(lesson, of, event, baskets.as_deref())?;
        Ok(Self { first, amounts: Some(amounts), baskets })
    }

    /// Expected outcome of a row under every arm.
    pub fn means(&self, row: &[f64]) -> Vec<f64> {
        let Seen { felt, amounts } = self.seen(row);
        self.first.means(row, &felt).into_iter().zip(amounts).map(|(mean, amount)| mean * amount).collect()
    }

    /// Expected outcome of a row under `arm`.
    pub fn predict(&self, row: &[f64], arm: usize) -> f64 {
        self.means(row)[arm]
    }

    /// Draws from the posterior: by draw, then arm, how far its effect beside the control's lies from what is predicted. Who
    /// buys is what is unsure: of an amount, the amount where the event happened is taken for known.
    pub fn deviations(&self, row: &[f64]) -> Vec<Vec<f64>> {
        if !self.first.has_draws() {
            return Vec::new();
        }
        let Seen { felt, amounts } = self.seen(row);
        let beside = |of: Vec<f64>| {
            let control = of[0] * amounts[0];
            of.iter().zip(&amounts).map(|(by, amount)| by * amount - control).collect()
        };
        self.first.deviations(row, &felt).into_iter().map(beside).collect()
    }

    fn seen(&self, row: &[f64]) -> Seen {
        let (arms, baskets) = (self.first.arms(), self.baskets.as_deref());
        let spends = baskets.map_or_else(Vec::new, |baskets| baskets.spends(row));
        Seen {
            felt: baskets.map_or_else(|| vec![None; arms], |baskets| baskets.felt(&spends)),
            amounts: self.amounts.as_ref().map_or_else(|| vec![1.0; arms], |all| all.means(row, &spends)),
        }
    }

    /// The same without its draws: all that is needed to predict.
    #[must_use]
    pub fn without_draws(&self) -> Self {
        Self {
            first: self.first.without_draws(),
            amounts: self.amounts.clone(),
            baskets: self.baskets.clone(),
        }
    }
}

/// What a row tells of every arm before it is asked who buys.
struct Seen {
    felt: Vec<Option<Felt>>,
    amounts: Vec<f64>,
}

#[cfg(test)]
mod tests;
