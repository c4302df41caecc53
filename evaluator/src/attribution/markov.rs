//! Credit by removal: how much conversion is lost when every journey stops at a channel's door.

use rayon::prelude::*;

use super::chain::Chain;
use super::journeys::{Channel, Counts, Journeys};
use crate::error::Result;
use crate::stop::Stop;

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
pub fn removal(journeys: &Journeys, counts: &[Counts], order: usize) -> Result<Removal> {
    let stop = Stop::current();
    let chain = Chain::of(journeys, counts, order);
    let with = chain.absorption(None)?;
    let lost =
        |with: f64, without: f64| if with > 0.0 { (1.0 - without / with).clamp(0.0, 1.0) } else { 0.0 };
    let effects: Vec<(f64, f64)> = (0..journeys.channels().len())
        .into_par_iter()
        .map(|channel| {
            let without = stop.scope(|| chain.absorption(Some(channel as Channel)))?;
            Ok((lost(with.conversion, without.conversion), lost(with.value, without.value)))
        })
        .collect::<Result<_>>()?;
    let (conversions, value) = effects.into_iter().unzip();
    Ok(Removal { conversion_probability: with.conversion, conversions, value })
}
