//! Ranking measures over the full catalogue.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use super::split::Fold;
use crate::algorithm::{Model, Past};

/// A model that scores every item for a history.
pub trait Scorer: Sync {
    /// Scores all items for a history, oldest first; `out` has a place for each.
    fn score(&self, history: &[Past], out: &mut [f32]);
    /// Whether the model learnt anything of an item; those it knows nothing of are ranked last.
    fn knows(&self, item: u32) -> bool;
}

impl Scorer for dyn Model + '_ {
    fn score(&self, history: &[Past], out: &mut [f32]) {
        self.score_into(history, out);
    }

    fn knows(&self, item: u32) -> bool {
        self.popularity()[item as usize] > 0.0
    }
}

/// Means over the people tested, but for the coverage.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Measures {
    /// Share of people with a target among their first 10.
    #[serde(rename = "HR@10")]
    pub hit_rate: f64,
    /// Discounted gain of the first 10 over the best possible.
    #[serde(rename = "NDCG@10")]
    pub ndcg: f64,
    /// Share of a person's targets among their first 20.
    #[serde(rename = "Recall@20")]
    pub recall: f64,
    /// Share of the catalogue that is among somebody's first 10.
    #[serde(rename = "coverage@10")]
    pub coverage: f64,
}

/// Ranks the catalogue of `items` items for everybody who has targets.
pub fn measure<S: Scorer + ?Sized>(fold: &Fold, items: usize, scorer: &S) -> Measures {
    let known: Vec<bool> = (0..items as u32).map(|item| scorer.knows(item)).collect();
    let shown: Vec<AtomicBool> = (0..items).map(|_| AtomicBool::new(false)).collect();
    let tested: Vec<usize> = (0..fold.targets.len()).filter(|&user| !fold.targets[user].is_empty()).collect();
    let people: Vec<Measures> = tested
        .par_iter()
        .map_init(
            || vec![0.0_f32; items],
            |scores, &user| {
                scorer.score(&fold.histories[user], scores);
                for (score, known) in scores.iter_mut().zip(&known) {
                    if !known || score.is_nan() {
                        *score = f32::NEG_INFINITY;
                    }
                }
                let mut candidate = vec![true; items];
                for one in &fold.histories[user] {
                    candidate[one.item as usize] = false;
                }
                for item in first(scores, &candidate, 10) {
                    shown[item].store(true, Ordering::Relaxed);
                }
                of_one(&ranks(scores, &candidate, &fold.targets[user]))
            },
        )
        .collect();
    // Summed in order, whatever thread was first: the same bytes each time.
    let count = people.len().max(1) as f64;
    let mean = |part: fn(&Measures) -> f64| people.iter().map(part).sum::<f64>() / count;
    let distinct = shown.iter().filter(|seen| seen.load(Ordering::Relaxed)).count();
    Measures {
        hit_rate: mean(|x| x.hit_rate),
        ndcg: mean(|x| x.ndcg),
        recall: mean(|x| x.recall),
        coverage: distinct as f64 / items.max(1) as f64,
    }
}

/// Ranks of the targets among the candidates, from 1, every tie counted against them.
fn ranks(scores: &[f32], candidate: &[bool], targets: &[u32]) -> Vec<usize> {
    let rank = |&target: &u32| {
        let score = scores[target as usize];
        // The target itself is one of those not below it.
        scores.iter().zip(candidate).filter(|&(&other, &candidate)| candidate && other >= score).count()
    };
    targets.iter().map(rank).collect()
}

/// The first `count` candidates by score, the lower index first among equals.
fn first(scores: &[f32], candidate: &[bool], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&item| candidate[item]).collect();
    let by_score = |x: &usize, y: &usize| scores[*y].total_cmp(&scores[*x]).then(x.cmp(y));
    if order.len() > count {
        order.select_nth_unstable_by(count, by_score);
        order.truncate(count);
    }
    order
}

/// The measures of one person from the ranks of the targets; no coverage.
fn of_one(ranks: &[usize]) -> Measures {
    let gain = |rank: usize| 1.0 / (rank as f64 + 1.0).log2();
    let within = |most: usize| ranks.iter().filter(move |&&rank| rank <= most);
    let ideal: f64 = (1..=ranks.len().min(10)).map(gain).sum();
    Measures {
        hit_rate: f64::from(u8::from(within(10).next().is_some())),
        ndcg: within(10).map(|&rank| gain(rank)).sum::<f64>() / ideal,
        recall: within(20).count() as f64 / ranks.len() as f64,
        coverage: 0.0,
    }
}
