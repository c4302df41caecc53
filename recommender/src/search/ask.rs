//! What a model finds of what people took next.

use rayon::prelude::*;

use crate::algorithm::{Model, Past};

/// Places that count in the steady measure.
pub(super) const DEPTH: usize = 100;
/// People asked for at most, evenly taken from all.
const MOST: usize = 4_000;
/// Scores computed at most for one measurement.
const CELLS: usize = 60_000_000;

/// One person to be served.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What was done before, the oldest first.
    pub past: Vec<Past>,
    /// What was taken next.
    pub wanted: Vec<u32>,
}

/// What was found, as means over the people asked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Found {
    /// NDCG@10.
    pub ndcg: f64,
    /// NDCG to the depth of a hundred places.
    pub steady: f64,
    /// Share of people with a wanted item among the first ten.
    pub hit_rate: f64,
}

/// Those who are asked for in a catalogue of `items`.
pub(super) fn sample(questions: &[Question], items: usize) -> Vec<Question> {
    let most = (CELLS / items.max(1)).clamp(200, MOST);
    let stride = questions.len().div_ceil(most).max(1);
    questions.iter().step_by(stride).cloned().collect()
}

/// What `model` finds of what people took next; `again`: whether what they had before is an answer.
pub fn measure(model: &dyn Model, questions: &[Question], again: bool) -> Found {
    ask(model, &sample(questions, model.items()), again)
}

pub(super) fn ask(model: &dyn Model, questions: &[Question], again: bool) -> Found {
    let known: Vec<bool> = model.popularity().iter().map(|&people| people > 0.0).collect();
    let gains: Vec<Found> = questions
        .par_iter()
        .map_init(
            || vec![0.0_f32; model.items()],
            |scores, question| {
                model.score_into(&question.past, scores);
                close(scores, &known, if again { &[] } else { &question.past });
                let places = question.wanted.iter().map(|&item| place(scores, item)).collect::<Vec<_>>();
                of_places(&places)
            },
        )
        .collect();
    mean(&gains)
}

pub(super) fn mean(gains: &[Found]) -> Found {
    let count = gains.len().max(1) as f64;
    let mean = |part: fn(&Found) -> f64| gains.iter().map(part).sum::<f64>() / count;
    Found { ndcg: mean(|x| x.ndcg), steady: mean(|x| x.steady), hit_rate: mean(|x| x.hit_rate) }
}

/// Takes out of the ranking what is no answer and what the model does not know.
pub(super) fn close(scores: &mut [f32], known: &[bool], past: &[Past]) {
    for (score, known) in scores.iter_mut().zip(known) {
        if !known || score.is_nan() {
            *score = f32::NEG_INFINITY;
        }
    }
    for one in past {
        scores[one.item as usize] = f32::NEG_INFINITY;
    }
}

/// The place of an item from 1, ties counted against it; the last for one that is out of the ranking.
pub(super) fn place(scores: &[f32], item: u32) -> usize {
    let score = scores[item as usize];
    scores.iter().filter(|&&other| other >= score).count()
}

pub(super) fn of_places(places: &[usize]) -> Found {
    let gain = |place: usize| 1.0 / (place as f64 + 1.0).log2();
    let to = |depth: usize| {
        let ideal: f64 = (1..=places.len().min(depth)).map(gain).sum();
        places.iter().filter(|&&place| place <= depth).map(|&place| gain(place)).sum::<f64>() / ideal
    };
    let hit = places.iter().any(|&place| place <= 10);
    if places.is_empty() {
        Found::default()
    } else {
        Found { ndcg: to(10), steady: to(DEPTH), hit_rate: f64::from(u8::from(hit)) }
    }
}
