//! What one treatment brought on average, and whether it can be told whom it moves.

use std::collections::BTreeMap;

use super::average::{Average, average};
use super::panel::{Panel, Target};
use super::qini::{Ranked, Ranking, ranking};
use super::study::{ArmStudy, Blend, folds_of, study};
use crate::error::{Error, Result};

/// Folds inside the training rows, by which learners are chosen.
const INNER_FOLDS: usize = 4;

/// Everything judged on rows no model had seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplift {
    /// The average effect.
    pub average: Average,
    /// How well the effects predicted out of fold rank people.
    pub ranking: Ranking,
    /// How often each learner was chosen, by name, and its mean weight: over the folds.
    pub chosen: BTreeMap<String, (usize, f64)>,
    /// Folds in which one effect for all did as well as any learner.
    pub one_effect: usize,
    /// Predicted effect of each row less its model's mean effect, out of fold.
    pub scores: Vec<f64>,
}

impl Uplift {
    /// Whether the ranking is better than chance: the whole interval of its Qini coefficient lies above 0.
    pub fn tells_people_apart(&self) -> bool {
        self.ranking.qini.lower > 0.0
    }
}

/// Judges arm 1 of `panel` against the control. The rows of each of `count` `folds` are ranked by a model that was
/// fitted, its learners chosen and weighted, on the others alone.
pub fn uplift(panel: &Panel, target: Target<'_>, folds: &[usize], count: usize, seed: u64) -> Result<Uplift> {
    if panel.arms.len() != 2 {
        return Err(Error::Internal("uplift is judged of one arm and the control".into()));
    }
    let of_arm = |arm: usize| -> Vec<f64> {
        (0..panel.rows()).filter(|&row| panel.action[row] == arm).map(|row| target.values[row]).collect()
    };
    let average = average(&of_arm(1), &of_arm(0)).ok_or_else(|| {
        let (reason, kind) = if of_arm(0).len() < 2 {
            ("NO_CONTROL_UNITS", "control")
        } else {
            ("NO_TREATED_UNITS", "treated")
        };
        Error::precondition(reason, format!("fewer than two {kind} rows"))
    })?;
    let mut scores = vec![0.0; panel.rows()];
    let (mut chosen, mut one_effect) = (BTreeMap::<String, (usize, f64)>::new(), 0);
    for fold in 0..count {
        let (unseen, seen): (Vec<usize>, Vec<usize>) = (0..panel.rows()).partition(|&row| folds[row] == fold);
        let (arm, blend) = learn(panel, target, &seen, seed.wrapping_add(fold as u64))?;
        let effect = |row: usize| blend.predict(panel.features.row(row), &panel.arms).1[1];
        // What beats one effect for all inside the training rows ranks; nothing else does.
        if arm.dr_loss >= arm.constant_loss {
            one_effect += 1;
            continue;
        }
        for score in arm.scores.iter().filter(|score| score.weight > 0.0) {
            let entry = chosen.entry(score.learner.name().to_owned()).or_default();
            *entry = (entry.0 + 1, entry.1 + score.weight / count as f64);
        }
        let mean = |rows: &[usize]| rows.iter().map(|&row| effect(row)).sum::<f64>() / rows.len() as f64;
        // Folds are ranked together: what differs between their models' averages is chance.
        let usual = mean(&seen);
        for row in unseen {
            scores[row] = effect(row) - usual;
        }
    }
    let ranked: Vec<Ranked> = scores
        .iter()
        .enumerate()
        .map(|(row, &score)| Ranked { score, treated: panel.action[row] == 1, outcome: target.values[row] })
        .collect();
    Ok(Uplift { average, ranking: ranking(&ranked, seed), chosen, one_effect, scores })
}

/// Studies the rows `seen` alone.
fn learn(panel: &Panel, target: Target<'_>, seen: &[usize], seed: u64) -> Result<(ArmStudy, Blend)> {
    let pick = |from: &[f64]| seen.iter().map(|&row| from[row]).collect::<Vec<f64>>();
    let (values, event) = (pick(target.values), target.event.map(pick));
    let of_seen =
        Target { values: &values, objective: target.objective, event: event.as_deref(), discount: None };
    let folds = folds_of(seen.len(), INNER_FOLDS, seed);
    let mut found = study(&panel.select(seen), of_seen, &folds, INNER_FOLDS, seed)?;
    let arm = found.arms.pop().ok_or_else(|| Error::Internal("a study without arms".into()))?;
    Ok((arm, found.blend))
}
