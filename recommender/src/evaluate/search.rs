//! Choosing parameters on the validation items.

use super::algorithm::{Algorithm, Candidate, interactions};
use super::measure::{Measures, measure};
use super::split::Split;
use crate::factorise::Watch;
use crate::taste::{Spectrum, TasteError, TasteSettings, matrix_of};

/// The best candidate and what it reached on the validation items.
pub(super) struct Chosen {
    pub(super) candidate: Candidate,
    pub(super) validation: Measures,
}

pub(super) fn choose(
    split: &Split,
    algorithm: Algorithm,
    seed: u64,
    progress: &(dyn Fn(f64) + Sync),
) -> Result<Chosen, TasteError> {
    match algorithm {
        Algorithm::Auto | Algorithm::Svd => svd(split, seed, progress),
    }
}

fn svd(split: &Split, seed: u64, progress: &(dyn Fn(f64) + Sync)) -> Result<Chosen, TasteError> {
    let mut best = Chosen {
        candidate: Candidate::Svd(TasteSettings { seed, ..TasteSettings::default() }),
        validation: Measures::default(),
    };
    let matrix = matrix_of(&interactions(&split.validation), split.users, split.items)?;
    let scales = [0.0, 0.35, 0.7];
    for (place, &item_scale) in scales.iter().enumerate() {
        let widest = TasteSettings { item_scale, rank: 200, seed, ..TasteSettings::default() };
        let spectrum = Spectrum::of(&matrix, &widest, Watch::idle())?;
        for rank in [30, 50, 100, 200] {
            for (recency, tail) in [(0.0, 0.0), (0.02, 0.0), (0.1, 0.0), (0.2, 0.0)] {
                let settings = TasteSettings { rank, recency, tail, ..widest.clone() };
                let taste = spectrum.taste(&settings)?;
                let validation = measure(&split.validation, split.items, &taste);
                if validation.ndcg > best.validation.ndcg {
                    best = Chosen { candidate: Candidate::Svd(settings), validation };
                }
            }
        }
        progress((place + 1) as f64 / scales.len() as f64);
    }
    Ok(best)
}
