//! Ensemble selection (Caruana and others 2004): models are added to a sum, again and again, while it finds more.
//!
//! Each model brings its first few hundred items of each person; only these are ranked, so that any catalogue fits.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::ask::{DEPTH, close, mean, of_places, place};
use super::{Chosen, Found, Question, Search};
use crate::algorithm::{BlendSettings, FitError, Part, Settings, fit, inverse_spread};
use crate::factorise::Watch;

/// How much of a model is added at once, as a share of what is there.
const STEPS: [f32; 4] = [0.1, 0.25, 0.6, 1.5];
/// The factor by which a step must improve.
const WORTH: f64 = 1.002;
/// Models added at most, repeats included.
const ROUNDS: usize = 8;

/// One person's candidates: scores by model, in units of the model's spread.
struct Candidates {
    scores: Vec<Vec<f32>>,
    /// Places of the wanted items among the candidates; those that no model brought are missing.
    wanted: Vec<usize>,
    /// Wanted items in all.
    count: usize,
}

/// The blend of `found` that finds most.
pub(super) fn select(search: Search, found: &[Chosen]) -> Result<Option<Chosen>, FitError> {
    let people: Vec<Candidates> =
        search.questions.par_iter().map(|question| candidates(question, found, search.again)).collect();
    let steady = |model: &usize| found[*model].found.steady;
    let Some(first) = (0..found.len()).max_by(|x, y| steady(x).total_cmp(&steady(y))) else {
        return Ok(None);
    };
    let mut weights = vec![0.0_f32; found.len()];
    weights[first] = 1.0;
    let mut most = ask(&people, &weights).steady;
    for _ in 0..ROUNDS {
        let tried = (0..found.len()).flat_map(|model| STEPS.iter().map(move |step| (model, *step)));
        let next = tried.map(|(model, step)| {
            let mut weights = weights.clone();
            weights[model] += step * weights.iter().sum::<f32>();
            (ask(&people, &weights).steady, weights)
        });
        let Some((steady, better)) = next.max_by(|x, y| x.0.total_cmp(&y.0)) else { break };
        if steady < most * WORTH {
            break;
        }
        (most, weights) = (steady, better);
    }
    let total: f32 = weights.iter().sum();
    let part = |(chosen, weight): (&Chosen, &f32)| {
        // Rounded to what its text gives back exactly.
        let weight = (f64::from(weight / total) * 1e6).round() / 1e6;
        (weight > 0.0).then(|| Part { weight, settings: chosen.settings.clone() })
    };
    let parts: Vec<Part> = found.iter().zip(&weights).filter_map(part).collect();
    let settings = Settings::Blend(BlendSettings { parts });
    let found = ask(&people, &weights);
    (search.tell)(&settings, found);
    let model = fit(&settings, search.histories, Watch { report: &|_| {}, ..search.watch })?;
    Ok(Some(Chosen { settings, found, model }))
}

fn candidates(question: &Question, found: &[Chosen], again: bool) -> Candidates {
    let mut all = Vec::with_capacity(found.len());
    let mut kept = BTreeSet::new();
    for chosen in found {
        let model = chosen.model.as_ref();
        let mut scores = vec![0.0; model.items()];
        model.score_into(&question.past, &mut scores);
        let scale = inverse_spread(&scores) as f32;
        for score in &mut scores {
            *score *= scale;
        }
        let known: Vec<bool> = model.popularity().iter().map(|&people| people > 0.0).collect();
        close(&mut scores, &known, if again { &[] } else { &question.past });
        let ranked = (0_u32..).zip(scores.iter().copied()).filter(|entry| entry.1.is_finite()).collect();
        kept.extend(crate::algorithm::leading(ranked, 2 * DEPTH).into_iter().map(|entry| entry.0));
        all.push(scores);
    }
    let of = |scores: &Vec<f32>| kept.iter().map(|&item| scores[item as usize]).collect();
    let wanted = question.wanted.iter().filter_map(|item| kept.iter().position(|other| other == item));
    Candidates {
        scores: all.iter().map(of).collect(),
        wanted: wanted.collect(),
        count: question.wanted.len(),
    }
}

fn ask(people: &[Candidates], weights: &[f32]) -> Found {
    let gain = |person: &Candidates| {
        let mut sums = vec![0.0_f32; person.scores.first().map_or(0, Vec::len)];
        for (scores, weight) in person.scores.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += weight * score);
        }
        let mut places: Vec<usize> = person.wanted.iter().map(|&at| place(&sums, at as u32)).collect();
        places.resize(person.count, usize::MAX);
        of_places(&places)
    };
    mean(&people.par_iter().map(gain).collect::<Vec<_>>())
}
