//! The algorithms that can be evaluated, each behind one face.

use std::fmt;

use serde::Serialize;

use super::measure::Scorer;
use super::split::Fold;
use crate::taste::{Interaction, Taste, TasteError, TasteSettings};

/// What to evaluate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// The best of the others on the validation items.
    Auto,
    /// Ridge regression in the singular directions of the interactions, recent events heavier.
    Svd,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Svd => "svd",
        })
    }
}

/// An algorithm with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Candidate {
    Svd(TasteSettings),
}

impl Candidate {
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Svd(_) => Algorithm::Svd,
        }
    }

    pub(super) fn parameters(&self) -> serde_json::Value {
        match self {
            Self::Svd(settings) => serde_json::json!(settings),
        }
    }

    pub(super) fn fit(&self, fold: &Fold, items: usize) -> Result<Box<dyn Scorer>, TasteError> {
        match self {
            Self::Svd(settings) => {
                let events = interactions(fold);
                Ok(Box::new(Taste::fit(&events, fold.histories.len(), items, settings, &|_, _| {})?))
            }
        }
    }
}

/// The histories of a fold as the model learns from them.
pub(super) fn interactions(fold: &Fold) -> Vec<Interaction> {
    let events = |(user, history): (usize, &Vec<u32>)| {
        let event = move |(at, &item)| Interaction { user: user as u32, item, weight: 1.0, at: at as i64 };
        history.iter().enumerate().map(event).collect::<Vec<_>>()
    };
    fold.histories.iter().enumerate().flat_map(events).collect()
}

impl Scorer for Taste {
    fn score(&self, history: &[u32], out: &mut [f32]) {
        let history: Vec<(u32, f32)> = history.iter().map(|&item| (item, 1.0)).collect();
        self.score_into(&self.fold(&history), out);
    }

    fn knows(&self, item: u32) -> bool {
        self.popularity[item as usize] > 0.0
    }
}
