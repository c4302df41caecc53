//! Training: λ by cross-validation on the training fold, one look at the test fold, then all trials.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};

use super::features::{BUCKETS, Inputs, Reader};
use super::fit::{self, Observation, Row};
use super::judge::{self, Judged};
use super::model::{Model, Scaling};
use super::trials::Trial;

/// λ tried.
const LAMBDAS: [f64; 3] = [300.0, 1000.0, 3000.0];
/// Parts of the cross-validation.
const PARTS: u64 = 4;

/// What the texts of trials hold, by text.
pub type Library<'a> = HashMap<&'a str, Inputs>;

/// Reads every text of `trials` once; `done` is told how many more are read. Texts that are not English are left out.
pub fn library<'a>(
    reader: &Reader,
    trials: &'a [Trial],
    done: &dyn Fn(usize),
) -> anyhow::Result<Library<'a>> {
    let mut texts: Vec<&str> = texts(trials).collect();
    texts.sort_unstable();
    texts.dedup();
    let inputs = reader.read(&texts, done)?;
    Ok(texts.into_iter().zip(inputs).filter_map(|(text, input)| Some((text, input?))).collect())
}

fn texts(trials: &[Trial]) -> impl Iterator<Item = &str> {
    trials.iter().flat_map(|trial| trial.arms.iter().map(|arm| arm.text.as_str()))
}

/// Fits on the trials outside the test fold and judges on those in it.
pub fn holdout(reader: &Reader, trials: &[Trial], library: &Library<'_>) -> anyhow::Result<(Model, Judged)> {
    let (test, training): (Vec<&Trial>, Vec<&Trial>) =
        trials.iter().partition(|trial| super::in_test(&trial.id));
    ensure!(!test.is_empty() && training.len() >= 20, "too few trials to keep some for the test");
    let model = fit(reader, &training, library, None)?;
    let judged = judge(&model, &test, library);
    Ok((model, judged))
}

/// Judges on the test fold, then fits on all `trials` with the same settings.
pub fn train(reader: &Reader, trials: &[Trial], library: &Library<'_>) -> anyhow::Result<Model> {
    let (held, judged) = holdout(reader, trials, library)?;
    let settings = (held.card.ridge, held.card.sharpness);
    let mut model = fit(reader, &trials.iter().collect::<Vec<_>>(), library, Some(settings))?;
    model.card.test = Some(judged);
    Ok(model)
}

/// The figures of `model` on `trials`.
pub fn judge(model: &Model, trials: &[&Trial], library: &Library<'_>) -> Judged {
    let scores: HashMap<&str, f64> =
        library.iter().map(|(text, input)| (*text, model.score(input))).collect();
    let pairs = judge::pairs(trials.iter().copied(), &|text| scores.get(text).copied());
    judge::judge(trials.len(), &pairs, model.card.sharpness)
}

fn fit(
    reader: &Reader,
    trials: &[&Trial],
    library: &Library<'_>,
    settings: Option<(f64, f64)>,
) -> anyhow::Result<Model> {
    let mut texts: Vec<&str> =
        trials.iter().flat_map(|trial| &trial.arms).map(|arm| arm.text.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.retain(|text| library.contains_key(text));
    let inputs: Vec<&Inputs> = texts.iter().map(|text| &library[text]).collect();
    let scaling = Scaling::learn(&inputs, reader.blocks());
    let rows: Vec<Row> = inputs.iter().map(|input| scaling.row(input)).collect();
    let places: HashMap<&str, usize> = texts.iter().enumerate().map(|(place, text)| (*text, place)).collect();
    let all = observe(trials, &places);
    let (ridge, sharpness) = match settings {
        Some(settings) => settings,
        None => choose(trials, &rows, &places, &all).context("no λ can be chosen")?,
    };
    let weights = fit::ridge(&rows, &all, trials.len(), BUCKETS, ridge);
    let mut seen: Vec<u64> = trials.iter().map(|trial| super::number(&trial.id)).collect();
    seen.sort_unstable();
    let average = rows.iter().map(|row| weights.score(row)).sum::<f64>() / rows.len().max(1) as f64;
    let card = Model::card(reader.encoder(), ridge, sharpness, average, trials.len());
    Ok(Model { card, scaling, weights, seen })
}

/// The λ that tells most pairs of the parts left out right, and the sharpness of the scores it gave them.
fn choose(
    trials: &[&Trial],
    rows: &[Row],
    places: &HashMap<&str, usize>,
    all: &[Observation],
) -> Option<(f64, f64)> {
    // Not the remainder that made the test fold: that one is never 0 here.
    let part = |trial: usize| super::number(&trials[trial].id) / 1024 % PARTS;
    let tried = LAMBDAS.iter().map(|&lambda| {
        let mut pairs = Vec::new();
        for left_out in 0..PARTS {
            let kept: Vec<Observation> =
                all.iter().copied().filter(|one| part(one.trial) != left_out).collect();
            let weights = fit::ridge(rows, &kept, trials.len(), BUCKETS, lambda);
            let scores: Vec<f64> = rows.iter().map(|row| weights.score(row)).collect();
            let out = (0..trials.len()).filter(|&trial| part(trial) == left_out).map(|trial| trials[trial]);
            pairs.extend(judge::pairs(out, &|text| places.get(text).map(|&place| scores[place])));
        }
        let sharpness = judge::sharpness(&pairs);
        (judge::judge(trials.len(), &pairs, sharpness).log_loss, lambda, sharpness)
    });
    tried.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, lambda, sharpness)| (lambda, sharpness))
}

fn observe(trials: &[&Trial], places: &HashMap<&str, usize>) -> Vec<Observation> {
    let mut observed = Vec::new();
    for (trial, arms) in trials.iter().map(|trial| &trial.arms).enumerate() {
        for arm in arms {
            let Some(&row) = places.get(arm.text.as_str()) else { continue };
            let weight = 1.0 / (1.0 / (arm.clicks as f64 + 0.5) + fit::UNEXPLAINED);
            observed.push(Observation { row, trial, weight, target: arm.log_odds() });
        }
    }
    observed
}
