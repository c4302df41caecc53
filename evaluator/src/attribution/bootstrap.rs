//! Intervals of credits: the journeys drawn again and again, each draw attributed anew.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Poisson};
use rayon::prelude::*;

use super::credit::{Attribution, Model, attribute};
use super::journeys::Journeys;
use crate::stats::Interval;

/// Nominal coverage of the intervals.
pub const LEVEL: f64 = 0.95;

/// The interval of each credit of `found`, in its order: percentiles of `samples` Poisson draws of `journeys`.
///
/// Each count is drawn anew with its own mean, as sampling people with replacement does in the limit of many people
/// (Chamandy et al. 2012); value follows its conversions. The same seed gives the same intervals on any number of
/// threads.
pub fn intervals(
    journeys: &Journeys,
    model: Model,
    found: &Attribution,
    samples: u32,
    seed: u64,
) -> Vec<Interval> {
    let draws: Vec<Vec<f64>> = (0..u64::from(samples))
        .into_par_iter()
        .map(|sample| {
            let drawn = attribute(&draw(journeys, seed, sample), model);
            let of = |channel: &str| {
                drawn
                    .credits
                    .iter()
                    .find(|credit| credit.channel == channel)
                    .map_or(0.0, |credit| credit.conversions)
            };
            found.credits.iter().map(|credit| of(&credit.channel)).collect()
        })
        .collect();
    found
        .credits
        .iter()
        .enumerate()
        .map(|(index, credit)| {
            let mut values: Vec<f64> = draws.iter().map(|draw| draw[index]).collect();
            values.sort_by(f64::total_cmp);
            let (lower, upper) =
                (percentile(&values, (1.0 - LEVEL) / 2.0), percentile(&values, f64::midpoint(1.0, LEVEL)));
            Interval { estimate: credit.conversions, lower, upper, level: LEVEL }
        })
        .collect()
}

fn draw(journeys: &Journeys, seed: u64, sample: u64) -> Journeys {
    let mut random = StdRng::seed_from_u64(seed ^ sample.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut count = |mean: f64| Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(&mut random));
    let counts: Vec<(f64, f64, f64)> = journeys
        .rows()
        .iter()
        .map(|row| {
            let (conversions, nulls) = (count(row.conversions), count(row.nulls));
            let worth = if row.conversions > 0.0 { row.value / row.conversions } else { 0.0 };
            (conversions, conversions * worth, nulls)
        })
        .collect();
    journeys.with_counts(counts)
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

    #[test]
    fn an_interval_is_as_wide_as_counting_noise_and_repeats_with_its_seed() {
        let mut journeys = Journeys::new();
        journeys.push("j", ["push"], (400.0, 800.0, 600.0)).expect("sound");
        journeys.push("j", ["email"], (100.0, 100.0, 900.0)).expect("sound");
        let found = attribute(&journeys, Model::LastTouch);
        let first = intervals(&journeys, Model::LastTouch, &found, 2000, 7);
        assert_eq!(first, intervals(&journeys, Model::LastTouch, &found, 2000, 7));
        for (interval, deviation) in first.iter().zip([20.0, 10.0]) {
            let half = (interval.upper - interval.lower) / 2.0;
            assert!((half / (1.96 * deviation) - 1.0).abs() < 0.1, "{interval:?}");
        }
    }
}
