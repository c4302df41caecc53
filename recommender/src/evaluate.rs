//! Offline evaluation: parameters chosen on validation items, one test on items held out from everything.
//!
//! The whole catalogue is ranked for every tested person, without the items the person already has; ties
//! count against the model and items it does not know come last. Sampled candidates are never used: their
//! figures are not comparable (Krichene and Rendle 2020).

mod algorithm;
pub mod log;
mod measure;
mod search;
mod split;

use std::time::Instant;

use serde::Serialize;

pub use algorithm::Algorithm;
pub use measure::{Measures, Scorer, measure};
pub use split::{Fold, Protocol, Split};

use crate::taste::TasteError;
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
    /// A model could not be fitted.
    #[error(transparent)]
    Taste(#[from] TasteError),
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

/// Chooses parameters of `algorithm` on the validation items of `log`, fits again with them, tests once.
///
/// `progress` hears the share done, 0 to 1.
///
/// # Errors
/// Nobody to test, baskets asked for but not given, or a fit that fails.
pub fn evaluate(
    log: &Log,
    algorithm: Algorithm,
    protocol: Protocol,
    seed: u64,
    progress: &(dyn Fn(f64) + Sync),
) -> Result<Report, EvaluateError> {
    let split = Split::of(log, protocol)?;
    let chosen = search::choose(&split, algorithm, seed, progress)?;
    let started = Instant::now();
    let model = chosen.candidate.fit(&split.test, split.items)?;
    let fit_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let test = measure(&split.test, split.items, model.as_ref());
    progress(1.0);
    Ok(Report {
        test,
        validation: chosen.validation,
        algorithm: chosen.candidate.algorithm(),
        parameters: chosen.candidate.parameters(),
        fit_seconds,
        rank_seconds: started.elapsed().as_secs_f64(),
        users: split.users,
        items: split.items,
        interactions: split.interactions,
    })
}

#[cfg(test)]
mod tests;
