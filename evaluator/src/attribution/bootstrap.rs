//! Intervals of credits: the journeys drawn again and again, each draw attributed anew.

use std::collections::HashMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Poisson};
use rayon::prelude::*;

use super::credit::{Attribution, Credit};
use super::journeys::Counts;
use crate::error::Result;
use crate::stats::Interval;
use crate::stop::Stop;

/// Nominal coverage of the intervals.
pub const LEVEL: f64 = 0.95;

/// The intervals of one credit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Of its conversions.
    pub conversions: Interval,
    /// Of its value.
    pub value: Interval,
    /// Of its removal effect, where there is one.
    pub removal_effect: Option<Interval>,
}

/// The intervals of each credit of `found`, in its order: percentiles over `samples` Poisson draws of `counts`, each
/// attributed by `share`, which may draw further chance.
///
/// Each count is drawn anew with its own mean, as sampling people with replacement does in the limit of many people
/// (Chamandy et al. 2012); value follows its conversions. The same seed gives the same intervals on any number of
/// threads.
pub(super) fn intervals<F>(
    counts: &[Counts],
    found: &Attribution,
    samples: u32,
    seed: u64,
    share: F,
) -> Result<Vec<Spread>>
where
    F: Fn(&[Counts], &mut StdRng) -> Result<Attribution> + Sync,
{
    let stop = Stop::current();
    let draws: Vec<HashMap<String, Credit>> = (0..u64::from(samples))
        .into_par_iter()
        .map(|sample| {
            stop.check()?;
            let mut random = StdRng::seed_from_u64(seed ^ sample.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let drawn = draw(counts, &mut random);
            let credits = stop.scope(|| share(&drawn, &mut random))?.credits;
            Ok(credits.into_iter().map(|credit| (credit.channel.clone(), credit)).collect())
        })
        .collect::<Result<_>>()?;
    let spread = |credit: &Credit| {
        let of = |part: fn(&Credit) -> f64| {
            let values = draws.iter().map(|draw| draw.get(&credit.channel).map_or(0.0, part)).collect();
            percentiles(part(credit), values)
        };
        Spread {
            conversions: of(|credit| credit.conversions),
            value: of(|credit| credit.value),
            removal_effect: credit.removal_effect.map(|_| of(|credit| credit.removal_effect.unwrap_or(0.0))),
        }
    };
    Ok(found.credits.iter().map(spread).collect())
}

fn draw(counts: &[Counts], random: &mut StdRng) -> Vec<Counts> {
    let mut count = |mean: f64| Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(random));
    let redrawn = |row: &Counts| {
        let (conversions, nulls) = (count(row.conversions), count(row.nulls));
        let worth = if row.conversions > 0.0 { row.value / row.conversions } else { 0.0 };
        Counts { conversions, value: conversions * worth, nulls }
    };
    counts.iter().map(redrawn).collect()
}

fn percentiles(estimate: f64, mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    let lower = percentile(&values, (1.0 - LEVEL) / 2.0);
    let upper = percentile(&values, f64::midpoint(1.0, LEVEL));
    Interval { estimate, lower, upper, level: LEVEL }
}

/// The value below which the share `at` of `sorted` lies, between neighbours in proportion.
fn percentile(sorted: &[f64], at: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = at * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::credit::{Model, attribute_as};
    use crate::attribution::{Journeys, attribute};

    /// A Poisson count of mean n has the standard deviation √n.
    #[test]
    fn an_interval_is_as_wide_as_counting_noise_and_repeats_with_its_seed() {
        let mut journeys = Journeys::new();
        let counts = |conversions, value, nulls| Counts { conversions, value, nulls };
        journeys.push(|| "j".into(), ["push"], &[], counts(400.0, 800.0, 600.0)).expect("sound");
        journeys.push(|| "j".into(), ["email"], &[], counts(100.0, 100.0, 900.0)).expect("sound");
        let found = attribute(&journeys, Model::LastTouch).expect("shared");
        let run = || {
            let share = |counts: &[Counts], _: &mut StdRng| attribute_as(&journeys, counts, Model::LastTouch);
            intervals(journeys.counts(), &found, 2000, 7, share).expect("drawn")
        };
        let first = run();
        assert_eq!(first, run());
        for (spread, deviation) in first.iter().zip([20.0, 10.0]) {
            let half = (spread.conversions.upper - spread.conversions.lower) / 2.0;
            assert!((half / (1.96 * deviation) - 1.0).abs() < 0.1, "{spread:?}");
        }
        let half = (first[0].value.upper - first[0].value.lower) / 2.0;
        assert!((half / (1.96 * 40.0) - 1.0).abs() < 0.1, "two of value a conversion: {first:?}");
    }
}
