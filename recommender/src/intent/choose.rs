//! Learners compared by cross-validation, the best calibrated on rows it has not seen and fitted on all.

use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use super::calibrate::{Calibration, Calibrator};
use super::learner::Fitted;
use super::{Intent, IntentError, Learner, Quality, Sample, probability, quality, usual};

/// Rows of each outcome that are wanted at least.
const LEAST: usize = 20;

/// How one learner did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Which.
    pub learner: Learner,
    /// On all rows, each told by a fit that had not seen it.
    #[serde(flatten)]
    pub quality: Quality,
    /// Mean of the folds' areas.
    pub fold_auc_mean: f64,
    /// Their standard deviation.
    pub fold_auc_deviation: f64,
    /// Seconds of all its fits together.
    pub seconds: f64,
}

/// What was compared, and how good the choice is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Rows.
    pub rows: usize,
    /// Rows that came to pass.
    pub positives: usize,
    /// What telling everyone the mean rate would lose.
    pub base_log_loss: f64,
    /// Parts, each held out once.
    pub folds: u32,
    /// Seed of all chance.
    pub seed: u64,
    /// Everything tried, the best first.
    pub learners: Vec<Compared>,
    /// The best by log-loss.
    pub chosen: Learner,
    /// How its scores are made probabilities, chosen by log-loss as well.
    pub calibration: Calibration,
    /// The chosen, calibrated; each row by a fit and a calibration that had not seen it.
    pub calibrated: Quality,
}

/// One learner's scores of rows held out.
struct Trial {
    learner: Learner,
    scores: Vec<f64>,
    seconds: f64,
}

/// Chooses among `learners` and fits the choice on all rows. Runs on rayon's threads.
///
/// `told` hears of each learner compared and answers whether to go on.
///
/// # Errors
/// Too few rows of either outcome, every learner failing, or `told` saying no.
pub fn choose(
    sample: &Sample,
    learners: &[Learner],
    folds: u32,
    seed: u64,
    told: &(dyn Fn(&Compared) -> bool + Sync),
) -> Result<(Intent, Report), IntentError> {
    let positives = sample.outcomes.iter().filter(|came| **came).count();
    let rows = sample.outcomes.len();
    if positives < LEAST || rows - positives < LEAST {
        return Err(IntentError::TooFew { rows, positives, least: LEAST });
    }
    let fold_of = sample.folds(folds, seed);
    let (mut trials, mut compared, mut failure) = (Vec::new(), Vec::new(), None);
    for learner in learners {
        match trial(*learner, sample, &fold_of, folds, seed) {
            Ok(trial) => {
                let one = compare(&trial, sample, &fold_of, folds);
                if !told(&one) {
                    return Err(IntentError::Cancelled);
                }
                compared.push(one);
                trials.push(trial);
            }
            Err(cause) => failure = Some(cause),
        }
    }
    let loss = |place: &usize| compared[*place].quality.log_loss;
    let best = (0..trials.len()).min_by(|a, b| loss(a).total_cmp(&loss(b)));
    let Some(best) = best else {
        return Err(failure.unwrap_or(IntentError::TooFew { rows, positives, least: LEAST }));
    };
    let Trial { learner, scores, .. } = &trials[best];
    let calibrated = |how: &Calibration| {
        let told = cross_calibrated(*how, scores, &sample.outcomes, &fold_of, folds);
        (*how, quality(&told, &sample.outcomes))
    };
    let (calibration, reached) = Calibration::ALL
        .iter()
        .map(calibrated)
        .min_by(|a, b| a.1.log_loss.total_cmp(&b.1.log_loss))
        .unwrap_or((Calibration::Identity, compared[best].quality));
    let intent = Intent {
        features: sample.features.clone(),
        learner: *learner,
        fitted: Fitted::fit(*learner, sample, seed)?,
        calibrator: Calibrator::fit(calibration, scores, &sample.outcomes),
        usual: usual(sample),
    };
    let (rate, chosen) = (sample.rate(), *learner);
    compared.sort_by(|a, b| a.quality.log_loss.total_cmp(&b.quality.log_loss));
    let base_log_loss = -(rate * rate.ln() + (1.0 - rate) * (1.0 - rate).ln());
    let report = Report {
        rows,
        positives,
        base_log_loss,
        folds,
        seed,
        learners: compared,
        chosen,
        calibration,
        calibrated: reached,
    };
    Ok((intent, report))
}

fn split(fold_of: &[u32], fold: u32) -> (Vec<usize>, Vec<usize>) {
    (0..fold_of.len()).partition(|row| fold_of[*row] != fold)
}

fn trial(
    learner: Learner,
    sample: &Sample,
    fold_of: &[u32],
    folds: u32,
    seed: u64,
) -> Result<Trial, IntentError> {
    let started = Instant::now();
    let fold = |fold: u32| {
        let (kept, held) = split(fold_of, fold);
        let fitted = Fitted::fit(learner, &sample.rows(&kept), seed.wrapping_add(u64::from(fold)))?;
        Ok((fitted.log_odds(sample.rows(&held).values.view()), held))
    };
    let parts: Vec<_> = (0..folds).into_par_iter().map(fold).collect::<Result<_, IntentError>>()?;
    let mut scores = vec![0.0; sample.outcomes.len()];
    for (told, held) in parts {
        held.into_iter().zip(told).for_each(|(row, score)| scores[row] = score);
    }
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(IntentError::Learner { learner, reason: "a score is not finite".into() });
    }
    Ok(Trial { learner, scores, seconds: started.elapsed().as_secs_f64() })
}

fn compare(trial: &Trial, sample: &Sample, fold_of: &[u32], folds: u32) -> Compared {
    let told: Vec<f64> = trial.scores.iter().map(|score| probability(*score)).collect();
    let of = |fold: u32| {
        let held = split(fold_of, fold).1;
        let told: Vec<f64> = held.iter().map(|row| told[*row]).collect();
        quality(&told, &sample.rows(&held).outcomes).auc
    };
    let areas: Vec<f64> = (0..folds).map(of).collect();
    let mean = areas.iter().sum::<f64>() / f64::from(folds);
    let variance = areas.iter().map(|area| (area - mean).powi(2)).sum::<f64>() / f64::from(folds);
    Compared {
        learner: trial.learner,
        quality: quality(&told, &sample.outcomes),
        fold_auc_mean: mean,
        fold_auc_deviation: variance.sqrt(),
        seconds: trial.seconds,
    }
}

/// Each fold's probabilities by a calibration fitted on the other folds.
fn cross_calibrated(
    how: Calibration,
    scores: &[f64],
    outcomes: &[bool],
    fold_of: &[u32],
    folds: u32,
) -> Vec<f64> {
    let mut told = vec![0.0; scores.len()];
    for fold in 0..folds {
        let (kept, held) = split(fold_of, fold);
        let others: Vec<f64> = kept.iter().map(|row| scores[*row]).collect();
        let came: Vec<bool> = kept.iter().map(|row| outcomes[*row]).collect();
        let calibrator = Calibrator::fit(how, &others, &came);
        for row in held {
            told[row] = calibrator.probability(scores[row]);
        }
    }
    told
}
