//! What an action brings in a context: the model of rewards that the direct and the doubly robust estimators need.

use boost::{Matrix, Objective};
use rayon::prelude::*;

use super::{FOLDS, Log, Replayed};
use crate::effect::average::is_proportion;
use crate::effect::panel::with_arm;
use crate::effect::response::{Base, Lesson, Response};
use crate::effect::study::folds_of;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// A fitted model.
enum Model {
    /// Mean reward of each action.
    Means(Vec<f64>),
    /// One model of all actions, with a flag for each among its features.
    Together { response: Box<Response>, products: bool, descriptions: Vec<Vec<f64>> },
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

/// What actions bring in the contexts of a log, by the kind of model that errs least on rows it has not seen.
pub(super) struct Rewards<'a> {
    ground: Ground<'a>,
    /// By fold: a model of the rows outside it.
    models: Vec<Model>,
    whole: Model,
    /// What rewards are modelled by.
    pub(super) name: &'static str,
}

/// What models are fitted to.
pub(super) struct Ground<'a> {
    log: &'a Log,
    /// What was done in each row, an index below `actions`.
    action: &'a [usize],
    actions: usize,
    /// What the policy does in each row: actions with their probabilities.
    wanted: &'a [&'a [(usize, f64)]],
    rewards: Vec<f64>,
    objective: Objective,
    folds: Vec<usize>,
    seed: u64,
    stop: Stop,
}

impl<'a> Rewards<'a> {
    pub(super) fn learn(
        log: &'a Log,
        action: &'a [usize],
        actions: usize,
        wanted: &'a [&'a [(usize, f64)]],
        seed: u64,
    ) -> Result<Self> {
        let rewards: Vec<f64> = log.rows.iter().map(|row| row.reward).collect();
        let objective = if is_proportion(&rewards) { Objective::Logistic } else { Objective::Squared };
        let folds = folds_of(log.rows.len(), FOLDS, seed);
        let ground =
            Ground { log, action, actions, wanted, rewards, objective, folds, seed, stop: Stop::current() };
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
                (0..FOLDS).into_par_iter().map(|fold| ground.fit(kind, fold)).collect::<Result<_>>()?;
            let missed = |row: usize| {
                ground.rewards[row] - ground.expected(&models[ground.folds[row]], row, action[row])
            };
            let loss: f64 = (0..log.rows.len()).map(|row| missed(row).powi(2)).sum();
            if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                best = Some((loss, kind, name, models));
            }
        }
        let (_, kind, name, models) = best.ok_or_else(|| Error::Internal("no model of rewards".into()))?;
        let whole = ground.fit(kind, FOLDS)?;
        Ok(Self { ground, models, whole, name })
    }

    /// All rows, each by the model that has not seen it.
    pub(super) fn rows(&self) -> Vec<Replayed> {
        let ground = &self.ground;
        let rows = 0..ground.folds.len();
        rows.into_par_iter().map(|row| ground.replayed(&self.models[ground.folds[row]], row)).collect()
    }

    /// The rows outside each fold, by the model of just these: what the log would say had it not held the fold.
    pub(super) fn without(&self, fold: usize) -> Vec<Replayed> {
        let ground = &self.ground;
        let rows = (0..ground.folds.len()).into_par_iter().filter(|&row| ground.folds[row] != fold);
        rows.map(|row| ground.replayed(&self.models[fold], row)).collect()
    }

    /// What a model of all rows expects of the policy.
    pub(super) fn direct(&self) -> f64 {
        let rows = self.ground.folds.len();
        let each: Vec<f64> =
            (0..rows).into_par_iter().map(|row| self.ground.by_policy(&self.whole, row)).collect();
        each.iter().sum::<f64>() / rows as f64
    }
}

impl Ground<'_> {
    fn expected(&self, model: &Model, row: usize, action: usize) -> f64 {
        model.expected(self.log.context.row(row), action)
    }

    fn by_policy(&self, model: &Model, row: usize) -> f64 {
        // Nobody waits for what comes out.
        if self.stop.is_set() {
            return 0.0;
        }
        self.wanted[row].iter().map(|&(action, share)| share * self.expected(model, row, action)).sum()
    }

    fn replayed(&self, model: &Model, row: usize) -> Replayed {
        let action = self.action[row];
        let share = self.wanted[row].iter().find(|(at, _)| *at == action).map_or(0.0, |(_, share)| *share);
        Replayed {
            propensity: self.log.rows[row].propensity,
            target: share,
            reward: self.rewards[row],
            guess: self.expected(model, row, action),
            direct: self.by_policy(model, row),
            person: row as u64,
        }
    }

    /// Fits to the rows outside `fold`.
    fn fit(&self, kind: Option<Base>, fold: usize) -> Result<Model> {
        let rows: Vec<usize> = (0..self.folds.len()).filter(|&row| self.folds[row] != fold).collect();
        self.stop.check()?;
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
        let response = Box::new(lesson.fit(base)?);
        Ok(Model::Together { response, products, descriptions })
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
