use rand::rngs::StdRng;
use rand::seq::index;
use rand::{Rng as _, SeedableRng as _};

use super::bins::bin;
use super::grow::Ground;
use super::model::Trees;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::sample::Sample;

/// Fits boosted trees to `sample`.
pub fn fit(sample: &Sample<'_>, settings: &Settings) -> Result<Trees> {
    settings.check()?;
    sample.check(settings.objective)?;
    let rows = sample.features.rows();
    let mut random = StdRng::seed_from_u64(settings.seed);
    let (training, judged) = parted(rows, settings, &mut random);
    if training.is_empty() {
        return Err(Error::Empty);
    }
    let binned = bin(sample.features, settings.bins);
    let ground = Ground { binned: &binned, settings };
    let columns = sample.features.columns();
    let mut model = Trees {
        objective: settings.objective,
        base: sample.base(settings.objective),
        columns,
        trees: vec![],
    };
    let mut scores = vec![model.base; rows];
    let mut derivatives = vec![(0.0, 0.0); rows];
    let loss = |scores: &[f64]| -> f64 {
        let of = |&row: &u32| {
            let row = row as usize;
            sample.weight(row) * settings.objective.loss(scores[row], sample.targets[row])
        };
        judged.iter().map(of).sum()
    };
    let (mut best, mut kept) = (loss(&scores), 0);
    for round in 1..=settings.rounds {
        for &row in &training {
            let row = row as usize;
            let (gradient, hessian) = settings.objective.derivatives(scores[row], sample.targets[row]);
            let weight = sample.weight(row);
            derivatives[row] = (weight * gradient, weight * hessian);
        }
        let mut used = drawn(&training, settings.rows, &mut random);
        let seen = seen(columns, settings.features, &mut random);
        let (tree, values) = ground.grow(&seen, &mut used, &derivatives);
        if tree.nodes.len() == 1 && settings.rows >= 1.0 && settings.features >= 1.0 {
            // Nothing gains any more, and the next round would see the same.
            break;
        }
        if used.len() == rows {
            for (&row, value) in used.iter().zip(&values) {
                scores[row as usize] += value;
            }
        } else {
            for (row, score) in scores.iter_mut().enumerate() {
                *score += tree.value(sample.features.row(row));
            }
        }
        model.trees.push(tree);
        if let Some(stopping) = settings.stopping {
            let now = loss(&scores);
            if now < best {
                (best, kept) = (now, round);
            } else if round - kept >= stopping.patience {
                break;
            }
        }
    }
    if settings.stopping.is_some() {
        model.trees.truncate(kept);
    }
    Ok(model)
}

/// Rows to train on and rows to judge by, each ascending.
fn parted(rows: usize, settings: &Settings, random: &mut StdRng) -> (Vec<u32>, Vec<u32>) {
    let all = 0..rows as u32;
    match settings.stopping {
        None => (all.collect(), Vec::new()),
        Some(stopping) => all.partition(|_| !random.random_bool(stopping.share)),
    }
}

/// A share of `rows`, ascending, drawn without replacement.
fn drawn(rows: &[u32], share: f64, random: &mut StdRng) -> Vec<u32> {
    if share >= 1.0 {
        return rows.to_vec();
    }
    let count = ((rows.len() as f64 * share).round() as usize).clamp(1, rows.len());
    let mut chosen = index::sample(random, rows.len(), count).into_vec();
    chosen.sort_unstable();
    chosen.into_iter().map(|at| rows[at]).collect()
}

fn seen(columns: usize, share: f64, random: &mut StdRng) -> Vec<bool> {
    if share >= 1.0 || columns == 0 {
        return vec![true; columns];
    }
    let count = ((columns as f64 * share).round() as usize).clamp(1, columns);
    let mut seen = vec![false; columns];
    for column in index::sample(random, columns, count) {
        seen[column] = true;
    }
    seen
}
