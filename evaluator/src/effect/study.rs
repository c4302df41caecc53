//! Learners compared and blended on rows none of them has seen.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rayon::prelude::*;

use super::blend::{Moments, Weights};
use super::fitting::{Ground, pseudo};
use super::joint::Joint;
use super::learner::{Learner, Responses};
use super::panel::{LEAST_ROWS, Panel, Target};
use super::spread::Spread;
use crate::error::{Error, Result};

/// How one learner did on rows it had not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The learner.
    pub learner: Learner,
    /// Mean squared distance of its effects from the doubly robust pseudo-outcomes.
    pub dr_loss: f64,
    /// Its weight in the blend.
    pub weight: f64,
}

/// What is known of one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmStudy {
    /// Every learner's score.
    pub scores: Vec<Score>,
    /// Mean of the pseudo-outcomes: the average effect, and its standard error.
    pub average: (f64, f64),
    /// DR loss of the blend, of weights learnt on other folds.
    pub dr_loss: f64,
    /// DR loss of one effect for all.
    pub constant_loss: f64,
    /// The blend's effect for each row, by models and weights that had not seen it.
    pub unseen: Vec<f64>,
    /// How far the blend may be off.
    pub spread: Spread,
}

/// Learners with their weights in each arm's effect.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Blend {
    /// The learners that have a weight in some arm, or tell the control's outcome.
    learners: Vec<Responses>,
    /// The one that tells the control's outcome.
    control: usize,
    /// By arm from 1: the weight of each learner.
    arms: Vec<Weights>,
}

impl Blend {
    /// Of all `fitted` learners, those without any say left out.
    fn new(fitted: Vec<Responses>, control: usize, weights: Vec<Weights>) -> Self {
        let says = |learner: usize| learner == control || weights.iter().any(|arm| arm.of[learner] > 0.0);
        let kept: Vec<usize> = (0..fitted.len()).filter(|learner| says(*learner)).collect();
        let arms = weights
            .into_iter()
            .map(|arm| Weights { of: kept.iter().map(|&learner| arm.of[learner]).collect(), ..arm })
            .collect();
        let learners = fitted.into_iter().enumerate().filter(|(learner, _)| kept.contains(learner));
        Self {
            learners: learners.map(|(_, learner)| learner.without_draws()).collect(),
            control: kept.iter().position(|learner| *learner == control).unwrap_or(0),
            arms,
        }
    }

    /// The control's expected outcome, and the effect of every arm beside it: the control's first and 0.
    pub fn predict(&self, row: &[f64], arms: &[Vec<f64>]) -> (f64, Vec<f64>) {
        let means: Vec<Vec<f64>> = self.learners.iter().map(|learner| learner.means(row, arms)).collect();
        let effect = |(arm, weights): (usize, &Weights)| {
            weights.apply(means.iter().map(|means| means[arm + 1] - means[0]))
        };
        let effects = std::iter::once(0.0).chain(self.arms.iter().enumerate().map(effect)).collect();
        (means[self.control][0], effects)
    }
}

/// All arms against the control.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// By arm, from arm 1.
    pub arms: Vec<ArmStudy>,
    /// The learners fitted to all rows.
    pub blend: Blend,
    /// The same by models and weights that had not seen the rows of each fold.
    pub by_fold: Vec<Blend>,
    /// How far the control's outcome may be off.
    pub control_spread: Spread,
    /// The control's expected outcome for each row, by models that had not seen it.
    pub control_unseen: Vec<f64>,
    /// The model of all arms with draws from its posterior.
    pub doubt: Option<Joint>,
}

/// What one fold says of a row it was not fitted on: the outcome under each arm, by learner.
struct Told {
    row: usize,
    means: Vec<Vec<f64>>,
}

/// `count` folds of as many rows each, by chance.
pub fn folds_of(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut folds: Vec<usize> = (0..rows).map(|row| row % count).collect();
    folds.shuffle(&mut StdRng::seed_from_u64(seed));
    folds
}

/// Studies `target` with the rows' `folds` (numbers from 0 to below `count`).
pub fn study(panel: &Panel, target: Target<'_>, folds: &[usize], count: usize, seed: u64) -> Result<Study> {
    check(panel, folds, count)?;
    let fit = |fold: usize| {
        let seen: Vec<usize> = (0..panel.rows()).filter(|&row| folds[row] != fold).collect();
        Ground { panel, target, seed: seed.wrapping_add(fold as u64) }.fit(&seen)
    };
    // The last fit leaves out no fold: it sees all rows.
    let mut fitted = (0..=count).into_par_iter().map(fit).collect::<Result<Vec<_>>>()?;
    let whole = fitted.pop().unwrap_or_default();
    let tell = |row: usize| {
        let x = panel.features.row(row);
        let means = fitted[folds[row]].iter().map(|learner| learner.means(x, &panel.arms)).collect();
        Told { row, means }
    };
    let told: Vec<Told> = (0..panel.rows()).into_par_iter().map(tell).collect();
    let losses = losses(target, panel, &told);
    let control = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap_or(0);
    let prior = likely(&losses, panel.rows());
    let (arms, weights): (Vec<ArmStudy>, Vec<(Weights, Vec<Weights>)>) = (1..panel.arms.len())
        .into_par_iter()
        .map(|arm| study_arm(panel, target, folds, count, &told, control, &prior, arm))
        .unzip();
    let control_unseen: Vec<f64> = told.iter().map(|told| told.means[control][0]).collect();
    let control_spread = Spread::of_control(panel, target.values, &control_unseen);
    let of_fold = |(fold, fitted): (usize, Vec<Responses>)| {
        let weights = weights.iter().map(|(_, of_folds)| of_folds[fold].clone());
        Blend::new(fitted, control, weights.collect())
    };
    let by_fold = fitted.into_iter().enumerate().map(of_fold).collect();
    let doubt = whole.iter().find_map(|learner| match learner {
        Responses::Joint(joint) => Some(joint.clone()),
        _ => None,
    });
    let blend = Blend::new(whole, control, weights.into_iter().map(|(whole, _)| whole).collect());
    Ok(Study { arms, blend, by_fold, control_spread, control_unseen, doubt })
}

fn check(panel: &Panel, folds: &[usize], count: usize) -> Result<()> {
    let counts = panel.counts();
    for (arm, rows) in counts.iter().enumerate() {
        if *rows < LEAST_ROWS.max(2 * count) {
            let (what, reason) =
                if arm == 0 { ("control", "NO_CONTROL_UNITS") } else { ("treated", "NO_TREATED_UNITS") };
            let least = LEAST_ROWS.max(2 * count);
            let text = format!("arm {arm} has {rows} {what} rows, {least} are needed");
            return Err(Error::precondition(reason, text));
        }
    }
    if count < 2 || folds.len() != panel.rows() || folds.iter().any(|fold| *fold >= count) {
        return Err(Error::Internal("folds do not fit the rows".into()));
    }
    Ok(())
}

/// Mean squared distance of each learner's responses from what happened.
fn losses(target: Target<'_>, panel: &Panel, told: &[Told]) -> Vec<f64> {
    let missed =
        |told: &Told, learner: usize| target.values[told.row] - told.means[learner][panel.action[told.row]];
    let loss = |learner| told.iter().map(|told| missed(told, learner).powi(2)).sum::<f64>();
    (0..Learner::ALL.len()).map(|learner| loss(learner) / told.len().max(1) as f64).collect()
}

/// What the learners' weights are before anything is known of effects: their responses' likelihoods on rows they had not
/// seen (pseudo Bayesian model averaging, Geisser and Eddy 1979).
fn likely(losses: &[f64], rows: usize) -> Vec<f64> {
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    // Where nothing is missed, as where nothing was bought, those that miss nothing are alike.
    let beyond = |loss: f64| if loss > least { loss / least - 1.0 } else { 0.0 };
    let likelihood = |loss: &f64| (-0.5 * rows as f64 * beyond(*loss)).exp();
    let total: f64 = losses.iter().map(likelihood).sum();
    losses.iter().map(|loss| likelihood(loss) / total).collect()
}

#[allow(clippy::too_many_arguments)] // One arm's view of everything `study` holds.
fn study_arm(
    panel: &Panel,
    target: Target<'_>,
    folds: &[usize],
    count: usize,
    told: &[Told],
    control: usize,
    prior: &[f64],
    arm: usize,
) -> (ArmStudy, (Weights, Vec<Weights>)) {
    let learners = Learner::ALL.len();
    let effect = |told: &Told, learner: usize| told.means[learner][arm] - told.means[learner][0];
    let effects = |told: &Told| (0..learners).map(|learner| effect(told, learner)).collect::<Vec<f64>>();
    let pseudo: Vec<f64> =
        told.iter().map(|told| pseudo(panel, target.values, told.row, arm, &told.means[control])).collect();
    let mut by_fold = vec![Moments::new(learners); count];
    let mut all = Moments::new(learners);
    for (told, pseudo) in told.iter().zip(&pseudo) {
        let mut row = effects(told);
        row.push(*pseudo);
        by_fold[folds[told.row]].add(&row);
        all.add(&row);
    }
    let weights = all.solve(prior);
    let of_others: Vec<Weights> = by_fold.iter().map(|fold| all.without(fold).solve(prior)).collect();
    let unseen: Vec<f64> =
        told.iter().map(|told| of_others[folds[told.row]].apply(effects(told).into_iter())).collect();
    let n = pseudo.len() as f64;
    let mean = pseudo.iter().sum::<f64>() / n;
    let variance = pseudo.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let loss = |guess: &dyn Fn(usize) -> f64| {
        pseudo.iter().enumerate().map(|(at, value)| (value - guess(at)).powi(2)).sum::<f64>() / n
    };
    let scores = Learner::ALL
        .into_iter()
        .enumerate()
        .map(|(index, learner)| Score {
            learner,
            dr_loss: loss(&|at| effect(&told[at], index)),
            weight: weights.of[index],
        })
        .collect();
    let found = ArmStudy {
        scores,
        average: (mean, (variance / n).sqrt()),
        dr_loss: loss(&|at| unseen[at]),
        constant_loss: loss(&|_| mean),
        spread: Spread::new(&unseen, &pseudo),
        unseen,
    };
    (found, (weights, of_others))
}

#[cfg(test)]
mod tests;
