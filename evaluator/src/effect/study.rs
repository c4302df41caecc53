//! Learners compared and blended on rows none of them has seen.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rayon::prelude::*;

use super::blend::{Moments, Weights};
use super::fitting::{Fitted, Ground, pseudo};
use super::joint::Joint;
use super::learner::{Cate, Learner, Meta};
use super::panel::{LEAST_ROWS, Panel, Target};
use super::response::{Base, Response};
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
    /// The blend fitted to all rows.
    pub blend: Blend,
    /// How far the blend may be off.
    pub spread: Spread,
}

/// Learners with their weights.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Blend {
    /// Added to the weighted effects.
    pub intercept: f64,
    /// The learners that have a weight.
    pub parts: Vec<(f64, Cate)>,
}

impl Blend {
    /// The effect of `arm` on a row.
    pub fn effect(&self, row: &[f64], arm: usize, arms: &[Vec<f64>]) -> f64 {
        let parts = self.parts.iter().map(|(weight, cate)| weight * cate.effect(row, arm, arms));
        self.intercept + parts.sum::<f64>()
    }
}

/// All arms against the control.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// By arm, from arm 1.
    pub arms: Vec<ArmStudy>,
    /// Expected outcome without treatment.
    pub control: Response,
    /// How far that may be off.
    pub control_spread: Spread,
    /// The control's expected outcome for each row, by models that had not seen it.
    pub control_unseen: Vec<f64>,
    /// What each learner weighed before effects were looked at.
    pub prior: Vec<f64>,
    /// The model of all arms with draws from its posterior.
    pub doubt: Option<Joint>,
}

/// What one fold says of rows it was not fitted on.
struct Told {
    row: usize,
    /// Response of each arm, by candidate: base × (together, apart).
    responses: Vec<Vec<f64>>,
    /// By arm from 1, by learner.
    effects: Vec<Vec<f64>>,
}

/// `count` folds of as many rows each, by chance.
pub fn folds_of(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut folds: Vec<usize> = (0..rows).map(|row| row % count).collect();
    folds.shuffle(&mut StdRng::seed_from_u64(seed));
    folds
}

/// Studies `target` with the rows' `folds` (numbers from 0 to below `count`). The learners weigh as in `prior` before
/// effects are looked at: what is known of them from an outcome less noisy than this one, if there was one.
pub fn study(
    panel: &Panel,
    target: Target<'_>,
    folds: &[usize],
    count: usize,
    seed: u64,
    prior: Option<&[f64]>,
) -> Result<Study> {
    check(panel, folds, count)?;
    let ground = |fold: usize| Ground { panel, target, seed: seed.wrapping_add(fold as u64) };
    let told: Vec<Vec<Told>> = (0..count)
        .into_par_iter()
        .map(|fold| {
            let (unseen, seen): (Vec<usize>, Vec<usize>) =
                (0..panel.rows()).partition(|&row| folds[row] == fold);
            let fitted = ground(fold).fit(&seen)?;
            Ok(unseen.into_iter().map(|row| tell(panel, &fitted, row)).collect())
        })
        .collect::<Result<_>>()?;
    let mut told: Vec<Told> = told.into_iter().flatten().collect();
    told.sort_by_key(|told| told.row);
    let losses = losses(panel, target, &told);
    let candidate = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap_or(0);
    let prior = prior.map_or_else(|| likely(&losses, panel.rows()), <[f64]>::to_vec);
    let fitted = ground(count).fit(&(0..panel.rows()).collect::<Vec<_>>())?;
    let arms = (1..panel.arms.len())
        .into_par_iter()
        .map(|arm| study_arm(panel, target, folds, count, &told, candidate, &prior, &fitted, arm))
        .collect();
    let responses = &fitted.responses[candidate / 2];
    let control = if candidate.is_multiple_of(2) {
        responses.together.control(&panel.arms)
    } else {
        responses.apart[0].clone()
    };
    let control_unseen: Vec<f64> = told.iter().map(|told| told.responses[candidate][0]).collect();
    let control_spread = Spread::of_control(panel, target.values, &control_unseen);
    let doubt = fitted.responses.into_iter().find_map(|of| of.together.doubt());
    Ok(Study { arms, control, control_spread, control_unseen, prior, doubt })
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

fn tell(panel: &Panel, fitted: &Fitted, row: usize) -> Told {
    let x = panel.features.row(row);
    let responses = fitted
        .responses
        .iter()
        .flat_map(|of| {
            let together = of.together.means(x, &panel.arms);
            let apart = of.apart.iter().map(|response| response.predict(x)).collect();
            [together, apart]
        })
        .collect();
    let effects = (1..panel.arms.len())
        .map(|arm| fitted.effects[arm - 1].iter().map(|cate| cate.effect(x, arm, &panel.arms)).collect())
        .collect();
    Told { row, responses, effects }
}

/// Mean squared distance of each candidate's responses from what happened.
fn losses(panel: &Panel, target: Target<'_>, told: &[Told]) -> Vec<f64> {
    let missed = |told: &Told, candidate: usize| {
        target.values[told.row] - told.responses[candidate][panel.action[told.row]]
    };
    let loss = |candidate| told.iter().map(|told| missed(told, candidate).powi(2)).sum::<f64>();
    (0..2 * Base::ALL.len()).map(|candidate| loss(candidate) / told.len().max(1) as f64).collect()
}

/// What the learners' weights are before anything is known of effects: their responses' likelihoods on rows they had not
/// seen (pseudo Bayesian model averaging, Geisser and Eddy 1979). An S-learner takes its effects from the model of all
/// arms, a T-learner from those of each; the others have to earn their weight.
fn likely(losses: &[f64], rows: usize) -> Vec<f64> {
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    // Where nothing is missed, as where nothing was bought, those that miss nothing are alike.
    let beyond = |loss: f64| if loss > least { loss / least - 1.0 } else { 0.0 };
    let likelihood = |loss: &f64| (-0.5 * rows as f64 * beyond(*loss)).exp();
    let total: f64 = losses.iter().map(likelihood).sum();
    let of = |learner: Learner| {
        let base = Base::ALL.iter().position(|base| *base == learner.base).unwrap_or(0);
        match learner.meta {
            Meta::S => likelihood(&losses[2 * base]) / total,
            Meta::T => likelihood(&losses[2 * base + 1]) / total,
            Meta::X | Meta::Dr => 0.0,
        }
    };
    Learner::ALL.into_iter().map(of).collect()
}

#[allow(clippy::too_many_arguments)] // One arm's view of everything `study` holds.
fn study_arm(
    panel: &Panel,
    target: Target<'_>,
    folds: &[usize],
    count: usize,
    told: &[Told],
    candidate: usize,
    prior: &[f64],
    fitted: &Fitted,
    arm: usize,
) -> ArmStudy {
    let learners = Learner::ALL.len();
    let pseudo: Vec<f64> = told
        .iter()
        .map(|told| pseudo(panel, target.values, told.row, arm, &told.responses[candidate]))
        .collect();
    let mut by_fold = vec![Moments::new(learners); count];
    let mut all = Moments::new(learners);
    for (told, pseudo) in told.iter().zip(&pseudo) {
        let mut row = told.effects[arm - 1].clone();
        row.push(*pseudo);
        by_fold[folds[told.row]].add(&row);
        all.add(&row);
    }
    let weights = all.solve(prior);
    let of_others: Vec<Weights> = by_fold.iter().map(|fold| all.without(fold).solve(prior)).collect();
    let unseen: Vec<f64> = told
        .iter()
        .map(|told| of_others[folds[told.row]].apply(told.effects[arm - 1].iter().copied()))
        .collect();
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
            dr_loss: loss(&|at| told[at].effects[arm - 1][index]),
            weight: weights.of[index],
        })
        .collect();
    let parts = weights
        .of
        .iter()
        .zip(&fitted.effects[arm - 1])
        .filter(|(weight, _)| **weight > 0.0)
        .map(|(weight, cate)| (*weight, cate.clone()))
        .collect();
    ArmStudy {
        scores,
        average: (mean, (variance / n).sqrt()),
        dr_loss: loss(&|at| unseen[at]),
        constant_loss: loss(&|_| mean),
        spread: Spread::new(&unseen, &pseudo),
        unseen,
        blend: Blend { intercept: weights.intercept, parts },
    }
}
