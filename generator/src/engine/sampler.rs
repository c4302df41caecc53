//! Which token comes next.

use std::cmp::Ordering;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::models::maths::{LANES, exp};

/// Chooses tokens by temperature and nucleus, the same way each time for the same seed.
pub(super) struct Sampler {
    arch: pulp::Arch,
    temperature: f64,
    nucleus: f64,
    random: StdRng,
}

impl Sampler {
    /// A temperature that is not above zero takes the likeliest token; a nucleus that is not below one keeps all.
    pub(super) fn new(arch: pulp::Arch, temperature: f64, nucleus: f64, seed: u64) -> Sampler {
        Sampler { arch, temperature, nucleus, random: StdRng::seed_from_u64(seed) }
    }

    /// Chooses a token; none where all are infinitely unlikely.
    pub(super) fn next(&mut self, logits: &[f32]) -> Option<u32> {
        let best = likeliest(logits);
        let top = logits.get(best as usize).copied().filter(|top| *top > f32::NEG_INFINITY)?;
        if self.temperature.is_nan() || self.temperature <= 0.0 {
            return Some(best);
        }
        let mut weights = vec![0.0; logits.len()];
        let sharpness = (1.0 / self.temperature) as f32;
        let mut total = self.arch.dispatch(|| exponents(logits, top, sharpness, &mut weights));
        let mut left = |total: f64| self.random.random::<f64>() * total;
        if self.nucleus >= 1.0 {
            return Some(pick((0..).zip(weights), left(total)).unwrap_or(best));
        }
        // Tokens this rare hold less than the share left out, all together: no need to sort them.
        let rare = ((1.0 - self.nucleus) * total / weights.len() as f64) as f32;
        let mut frequent: Vec<(u32, f32)> =
            (0..).zip(weights).filter(|(_, weight)| *weight >= rare).collect();
        frequent.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let (mut sum, mut kept) = (0.0, 0);
        while kept < frequent.len() && (kept == 0 || sum < self.nucleus * total) {
            sum += f64::from(frequent[kept].1);
            kept += 1;
        }
        frequent.truncate(kept);
        total = sum;
        Some(pick(frequent.into_iter(), left(total)).unwrap_or(best))
    }
}

/// The logarithm of the sum of the exponents, by which logits become log-likelihoods.
pub(super) fn log_sum(arch: pulp::Arch, logits: &[f32]) -> f32 {
    let top = logits[likeliest(logits) as usize];
    let mut weights = vec![0.0; logits.len()];
    top + arch.dispatch(|| exponents(logits, top, 1.0, &mut weights)).ln() as f32
}

fn pick(weights: impl Iterator<Item = (u32, f32)>, mut left: f64) -> Option<u32> {
    for (token, weight) in weights {
        left -= f64::from(weight);
        if left < 0.0 {
            return Some(token);
        }
    }
    None
}

/// e^((logit − top) · sharpness) of each, and their sum.
#[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
#[inline(always)]
fn exponents(logits: &[f32], top: f32, sharpness: f32, out: &mut [f32]) -> f64 {
    /// Below this an exponent is nought in single precision, and [`exp`] would not say so.
    const LEAST: f32 = -87.0;
    let weight = |logit: f32| {
        let x = (logit - top) * sharpness;
        if x > LEAST { exp(x) } else { 0.0 }
    };
    let mut sums = [0.0f64; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let (outs, out_rest) = out.as_chunks_mut::<LANES>();
    for (chunk, out) in chunks.iter().zip(outs) {
        for lane in 0..LANES {
            out[lane] = weight(chunk[lane]);
            sums[lane] += f64::from(out[lane]);
        }
    }
    for (logit, out) in rest.iter().zip(out_rest) {
        *out = weight(*logit);
        sums[0] += f64::from(*out);
    }
    sums.iter().sum()
}

/// The first of the largest.
pub(super) fn likeliest(logits: &[f32]) -> u32 {
    let mut tops = [(f32::NEG_INFINITY, 0); LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for (at, chunk) in chunks.iter().enumerate() {
        for lane in 0..LANES {
            if chunk[lane] > tops[lane].0 {
                tops[lane] = (chunk[lane], at * LANES + lane);
            }
        }
    }
    let rest = rest.iter().copied().zip(chunks.len() * LANES..);
    let better = |best: (f32, usize), next: (f32, usize)| match next.0.partial_cmp(&best.0) {
        Some(Ordering::Greater) => next,
        Some(Ordering::Equal) if next.1 < best.1 => next,
        _ => best,
    };
    tops.into_iter().chain(rest).fold((f32::NEG_INFINITY, usize::MAX), better).1 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, f32::NEG_INFINITY, 3.0, 2.0, -4.0];

    fn sampler(temperature: f64, nucleus: f64, seed: u64) -> Sampler {
        Sampler::new(pulp::Arch::new(), temperature, nucleus, seed)
    }

    #[test]
    fn the_first_of_the_largest_is_the_likeliest_and_of_nothing_possible_none_is_taken() {
        let mut logits = vec![0.0f32; 53];
        for at in [50, 40, 23, 7] {
            logits[at] = 9.0;
            assert_eq!(likeliest(&logits) as usize, at);
        }
        let impossible = [f32::NEG_INFINITY; 20];
        assert_eq!(sampler(0.0, 1.0, 1).next(&impossible), None);
        assert_eq!(sampler(1.0, 0.9, 1).next(&impossible), None);
        assert_eq!(sampler(1.0, 0.9, 1).next(&[]), None);
    }

    #[test]
    fn the_sum_is_that_of_the_exponents() {
        let logits: Vec<f32> = (0..40).map(|at| at as f32 * 0.1 - 90.0).collect();
        let wanted = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        assert!((f64::from(log_sum(pulp::Arch::new(), &logits)) - wanted).abs() < 1e-5);
    }

    #[test]
    fn cold_takes_the_likeliest() {
        for cold in [0.0, -1.0, f64::NAN] {
            assert_eq!(sampler(cold, 1.0, 7).next(&LOGITS), Some(2));
        }
        assert_eq!(sampler(1.0, 0.0, 7).next(&LOGITS), Some(2));
    }

    #[test]
    fn a_seed_repeats_itself() {
        let run = |seed| -> Vec<u32> {
            let mut sampler = sampler(1.5, 0.95, seed);
            (0..50).map(|_| sampler.next(&LOGITS).unwrap()).collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn shares_are_those_of_the_softmax_within_the_nucleus() {
        let mut sampler = sampler(1.0, 0.9, 11);
        let mut counts = [0u32; 5];
        for _ in 0..20_000 {
            counts[sampler.next(&LOGITS).unwrap() as usize] += 1;
        }
        // softmax: .665 .245 .090 .0006; the nucleus of .9 holds the first two only.
        assert_eq!((counts[0], counts[1], counts[4]), (0, 0, 0));
        let share = f64::from(counts[2]) / 20_000.0;
        assert!((share - 0.731).abs() < 0.015, "{share}");
    }
}
