//! Offline evaluation: parameters chosen on validation items, one test on items held out from everything.
//!
//! The whole catalogue is ranked for every tested person, without the items the person already has; ties
//! count against the model and items it does not know come last. Sampled candidates are never used: their
//! figures are not comparable (Krichene and Rendle 2020).

mod cold;
pub mod log;
mod measure;
mod split;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

pub use cold::{ColdReport, evaluate_cold};
pub use measure::{Measures, Scorer, measure};
pub use split::{Fold, Protocol, Split};

use crate::algorithm::{Algorithm, FitError, Histories, fit};
use crate::factorise::Watch;
use crate::search::{Question, Search, choose};
use log::{Log, LogError};

/// An evaluation was refused or not reached.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The interactions could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nobody has enough events to be tested.
    #[error("nobody can be tested: {protocol} needs somebody with {needed}")]
    NobodyToTest {
        /// Name of the protocol.
        protocol: Protocol,
        /// What a tested person has.
        needed: &'static str,
    },
    /// Nobody took a withheld item and another one.
    #[error("nobody took both an item that is withheld and one that is not: withhold another share")]
    NobodyTookBoth,
    /// The algorithm has no factors that texts could be mapped to.
    #[error("{algorithm} has no factors that texts could be mapped to; svd and als have")]
    NoFactors {
        /// Name of the algorithm.
        algorithm: Algorithm,
    },
    /// A model could not be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// The outcome of an evaluation, in the form `recommender evaluate --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// On the test items, once, after fitting on the rest.
    pub test: Measures,
    /// On the validation items, of the parameters chosen.
    pub validation: Measures,
    /// The algorithm tested: the one asked for, or the best on validation.
    pub algorithm: Algorithm,
    /// The parameters chosen, the seed among them.
    pub parameters: serde_json::Value,
    /// Wall time of the last fit.
    pub fit_seconds: f64,
    /// Wall time of ranking the catalogue for everybody tested.
    pub rank_seconds: f64,
    /// People in the file.
    pub users: usize,
    /// Items in the file.
    pub items: usize,
    /// Interactions without repeats.
    pub interactions: usize,
}

/// What to evaluate, and how.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The algorithm; none named: the best of all and of their blend on the validation items.
    pub algorithm: Option<Algorithm>,
    /// Which items are held out.
    pub protocol: Protocol,
    /// Seed of everything random.
    pub seed: u64,
    /// How long to look for better parameters.
    pub budget: Duration,
}

/// Chooses parameters on the validation items of `log`, fits again with them on validation items too, tests once.
///
/// `tell` hears of every settings tried, in words; `progress` the share done, 0 to 1.
///
/// # Errors
/// Nobody to test, baskets asked for but not given, or a fit that fails.
pub fn evaluate(
    log: &Log,
    plan: Plan,
    tell: &(dyn Fn(String) + Sync),
    progress: &(dyn Fn(f64) + Sync),
) -> Result<Report, EvaluateError> {
    let mut split = Split::of(log, plan.protocol)?;
    let histories = Histories { people: std::mem::take(&mut split.validation.histories), items: split.items };
    let asked = histories.people.iter().zip(&split.validation.targets);
    let asked = asked.filter(|(_, targets)| !targets.is_empty());
    let questions: Vec<Question> =
        asked.map(|(past, wanted)| Question { past: past.clone(), wanted: wanted.clone() }).collect();
    let report = |share: f64| progress(0.8 * share);
    let chosen = choose(
        Search {
            histories: &histories,
            questions: &questions,
            again: false,
            fixed: &BTreeMap::new(),
            seed: plan.seed,
            budget: plan.budget,
            tell: &|settings, found| {
                tell(format!(
                    "{} {:?}: NDCG@10 {:.4}",
                    settings.algorithm(),
                    settings.parameters(),
                    found.ndcg
                ));
            },
            watch: Watch { report: &report, cancelled: &|| false },
        },
        plan.algorithm,
    )?;
    split.validation.histories = histories.people;
    let validation = measure(&split.validation, split.items, chosen.model());
    let mut parameters = serde_json::json!(chosen.settings);
    parameters["seed"] = plan.seed.into();
    let histories = Histories { people: std::mem::take(&mut split.test.histories), items: split.items };
    let started = Instant::now();
    let model = fit(&chosen.settings, &histories, Watch::idle())?;
    let fit_seconds = started.elapsed().as_secs_f64();
    split.test.histories = histories.people;
    let started = Instant::now();
    let test = measure(&split.test, split.items, model.as_ref());
    progress(1.0);
    Ok(Report {
        test,
        validation,
        algorithm: chosen.settings.algorithm(),
        parameters,
        fit_seconds,
        rank_seconds: started.elapsed().as_secs_f64(),
        users: split.users,
        items: split.items,
        interactions: split.interactions,
    })
}

#[cfg(test)]
mod tests;
