//! Credit by removal: how much conversion is lost when every journey stops at a channel's door.

use rayon::prelude::*;

use super::chain::Chain;
use super::journeys::{Channel, Journeys};

/// What the chain says of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    /// Probability to convert from the start.
    pub conversion_probability: f64,
    /// By channel: share of conversions lost without it, 0 to 1.
    pub conversions: Vec<f64>,
    /// By channel: share of value lost without it.
    pub value: Vec<f64>,
}

/// Removal effects by a chain with a memory of `order` touches, solved exactly (Anderl et al. 2016): 1 − P₋c / P.
pub fn removal(journeys: &Journeys, order: usize) -> Removal {
    let chain = Chain::of(journeys, order);
    let (probability, value) = chain.absorption(None);
    let lost =
        |with: f64, without: f64| if with > 0.0 { (1.0 - without / with).clamp(0.0, 1.0) } else { 0.0 };
    let effects: Vec<(f64, f64)> = (0..journeys.channels().len())
        .into_par_iter()
        .map(|channel| {
            let (p, v) = chain.absorption(Some(channel as Channel));
            (lost(probability, p), lost(value, v))
        })
        .collect();
    let (conversions, value) = effects.into_iter().unzip();
    Removal { conversion_probability: probability, conversions, value }
}
