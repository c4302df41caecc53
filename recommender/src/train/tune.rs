//! Settings chosen on what validation people took next.

use std::collections::BTreeMap;

use super::holdout::{Question, measure};
use crate::factorise::Watch;
use crate::taste::{Interaction, Spectrum, TasteError, TasteSettings, matrix_of};

/// Powers of the popularity norm columns are scaled by; each needs a factorisation of its own.
const SCALES: [f64; 3] = [0.0, 0.35, 0.7];
/// Widths, each a part of the widest one's factorisation.
const RANKS: [f64; 3] = [32.0, 64.0, 128.0];
/// Decays per distinct item of age.
const RECENCIES: [f64; 4] = [0.0, 0.01, 0.05, 0.2];
/// Powers of the popularity norm scores are multiplied by.
const POPULARS: [f64; 3] = [0.0, 0.35, 0.7];

/// The settings that find most of what `asked` want; what `given` names stays as `start` has it.
pub(super) fn tune(
    kept: &[Interaction],
    (people, items): (usize, usize),
    asked: &[Question],
    (start, given): (&TasteSettings, &BTreeMap<String, f64>),
    watch: Watch,
) -> Result<TasteSettings, TasteError> {
    let free = |name: &str, grid: &[f64], fixed: f64| {
        if given.contains_key(name) { vec![fixed] } else { grid.to_vec() }
    };
    let scales = free("item_scale", &SCALES, start.item_scale);
    let ranks = free("rank", &RANKS, start.rank as f64);
    let recencies = free("recency", &RECENCIES, start.recency);
    let populars = free("popular", &POPULARS, start.popular);
    let widest = ranks.iter().copied().fold(1.0, f64::max) as usize;
    let matrix = matrix_of(kept, people, items)?;
    let (mut best, mut most) = (start.clone(), 0.0);
    for (place, item_scale) in scales.iter().copied().enumerate() {
        let wide = TasteSettings { item_scale, rank: widest, ..start.clone() };
        let report = |share: f64| (watch.report)((place as f64 + share) / scales.len() as f64);
        let spectrum = Spectrum::of(&matrix, &wide, Watch { report: &report, cancelled: watch.cancelled })?;
        for rank in ranks.iter().map(|rank| *rank as usize) {
            for popular in populars.iter().copied() {
                for recency in recencies.iter().copied() {
                    let settings = TasteSettings { rank, popular, recency, ..wide.clone() };
                    let ndcg = measure(&spectrum.taste(&settings)?, asked).ndcg;
                    if ndcg > most {
                        (best, most) = (settings, ndcg);
                    }
                }
            }
        }
    }
    Ok(best)
}
