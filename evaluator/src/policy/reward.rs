//! What an action brings in a context: the model of rewards that the direct and the doubly robust estimators need.

use boost::{Matrix, Objective};
use rayon::prelude::*;

use super::{LEVEL, Log};
use crate::effect::average::is_proportion;
use crate::effect::panel::with_arm;
use crate::effect::response::{Base, Lesson, Response};
use crate::effect::study::folds_of;
use crate::error::{Error, Result};
use crate::stats::{Interval, normal};

/// Folds of the cross-fitting.
const FOLDS: usize = 10;

/// What the models say.
pub(super) struct Guessed {
    /// Expected reward of what was done in each row, by a model that had not seen it.
    pub(super) of_logged: Vec<f64>,
    /// Expected reward of the policy in each row, by the same model.
    pub(super) of_policy: Vec<f64>,
    /// Mean of the policy's, by a model of all rows: the interval is the jackknife's over the folds.
    pub(super) direct: Interval,
    /// What was modelled by.
    pub(super) model: &'static str,
}

/// A fitted model.
enum Model {
    /// Mean reward of each action.
    Means(Vec<f64>),
    /// One model of all actions, with a flag for each among its features.
    Together { response: Response, products: bool, descriptions: Vec<Vec<f64>> },
}

impl Model {
    fn expected(&self, context: &[f64], action: usize) -> f64 {
        match self {
            Self::Means(means) => means[action],
            Self::Together { response, products, descriptions } => {
                response.predict(&with_arm(context, action, descriptions, *products))
            }
        }
    }
}

struct Ground<'a> {
    log: &'a Log,
    action: &'a [usize],
    actions: usize,
    rewards: Vec<f64>,
    objective: Objective,
    seed: u64,
}

/// Guesses for all rows. `action` is the index of what was done in each, below `actions`; `wanted` what the policy does
/// in a row: actions with their probabilities.
pub(super) fn guess<'w>(
    log: &Log,
    action: &[usize],
    actions: usize,
    wanted: &(dyn Fn(usize) -> &'w [(usize, f64)] + Sync),
    seed: u64,
) -> Result<Guessed> {
    let rewards: Vec<f64> = log.rows.iter().map(|row| row.reward).collect();
    let objective = if is_proportion(&rewards) { Objective::Logistic } else { Objective::Squared };
    let ground = Ground { log, action, actions, rewards, objective, seed };
    let folds = folds_of(log.rows.len(), FOLDS, seed);
    let mut kinds = vec![(None, "mean of each action")];
    if log.context.columns() > 0 {
        kinds.extend([
            (Some(Base::Linear), "linear in context and action"),
            (Some(Base::Trees), "trees of context and action"),
        ]);
    }
    let mut best: Option<(f64, Option<Base>, &'static str, Vec<Model>)> = None;
    for (kind, name) in kinds {
        let models: Vec<Model> =
            (0..FOLDS).into_par_iter().map(|fold| ground.fit(kind, &folds, fold)).collect::<Result<_>>()?;
        let loss: f64 = (0..log.rows.len())
            .map(|row| (ground.rewards[row] - ground.expected(&models[folds[row]], row, action[row])).powi(2))
            .sum();
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, kind, name, models));
        }
    }
    let (_, kind, model, models) = best.ok_or_else(|| Error::Internal("no model of rewards".into()))?;
    let by_policy = |model: &Model, row: usize| -> f64 {
        wanted(row).iter().map(|&(action, share)| share * ground.expected(model, row, action)).sum()
    };
    let rows = log.rows.len();
    let of_policy: Vec<f64> =
        (0..rows).into_par_iter().map(|row| by_policy(&models[folds[row]], row)).collect();
    let mean = |model: &Model, keep: &(dyn Fn(usize) -> bool + Sync)| {
        let kept: Vec<f64> = (0..rows)
            .into_par_iter()
            .filter(|row| keep(*row))
            .map(|row| by_policy(model, row))
            .collect();
        kept.iter().sum::<f64>() / (kept.len() as f64).max(1.0)
    };
    let whole = ground.fit(kind, &folds, FOLDS)?;
    let left_out: Vec<f64> = (0..FOLDS).map(|fold| mean(&models[fold], &|row| folds[row] != fold)).collect();
    let centre = left_out.iter().sum::<f64>() / FOLDS as f64;
    // The delete-a-group jackknife: what another tenth of the log would change, in the model and in who came.
    let variance: f64 = left_out.iter().map(|value| (value - centre).powi(2)).sum::<f64>()
        * (FOLDS as f64 - 1.0)
        / FOLDS as f64;
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    Ok(Guessed {
        of_logged: (0..rows).map(|row| ground.expected(&models[folds[row]], row, action[row])).collect(),
        of_policy,
        direct: Interval::around(mean(&whole, &|_| true), z * variance.sqrt(), LEVEL),
        model,
    })
}

impl Ground<'_> {
    fn expected(&self, model: &Model, row: usize, action: usize) -> f64 {
        model.expected(self.log.context.row(row), action)
    }

    /// Fits to the rows outside `fold`.
    fn fit(&self, kind: Option<Base>, folds: &[usize], fold: usize) -> Result<Model> {
        let rows: Vec<usize> = (0..folds.len()).filter(|&row| folds[row] != fold).collect();
        let Some(base) = kind else { return Ok(self.means(&rows)) };
        let descriptions = vec![Vec::new(); self.actions];
        let products = base == Base::Linear;
        let mut values = Vec::new();
        for &row in &rows {
            values.extend(with_arm(self.log.context.row(row), self.action[row], &descriptions, products));
        }
        let columns = values.len() / rows.len().max(1);
        let features = Matrix::new(values, rows.len(), columns)
            .map_err(|error| Error::invalid("context", "NOT_FINITE", error.to_string()))?;
        let rewards: Vec<f64> = rows.iter().map(|&row| self.rewards[row]).collect();
        let lesson = Lesson {
            features: &features,
            values: &rewards,
            objective: self.objective,
            event: None,
            seed: self.seed,
        };
        Ok(Model::Together { response: lesson.fit(base)?, products, descriptions })
    }

    fn means(&self, rows: &[usize]) -> Model {
        let mut sums = vec![(0.0, 0.0); self.actions];
        for &row in rows {
            let (sum, count) = &mut sums[self.action[row]];
            *sum += self.rewards[row];
            *count += 1.0;
        }
        let overall = sums.iter().map(|(sum, _)| sum).sum::<f64>() / (rows.len() as f64).max(1.0);
        Model::Means(sums.iter().map(|(sum, n)| if *n > 0.0 { sum / n } else { overall }).collect())
    }
}
