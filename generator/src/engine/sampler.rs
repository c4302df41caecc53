//! Which token comes next.

use std::cmp::Ordering;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::models::maths::{LANES, exp};
use crate::models::registers::dispatched;

/// Outside the nucleus, tokens this much less likely than the likeliest are not asked for, natural logarithm.
const REACH: f32 = 12.0;

/// Tokens asked for outside the nucleus at most.
const ASKED: usize = 512;

/// Exponents worked out at once where only their sum is wanted.
const PIECE: usize = 1024;

/// Tokens ranked at first; more are when they are needed.
const RANKED: usize = 64;

/// Chooses tokens by temperature and nucleus, the same way each time for the same seed.
pub(super) struct Sampler {
    arch: pulp::Arch,
    temperature: f64,
    nucleus: f64,
    random: StdRng,
    /// Room that is used again for every token.
    weights: Vec<f32>,
}

impl Sampler {
    /// A temperature that is not above zero takes the likeliest token; a nucleus that is not below one keeps all.
    pub(super) fn new(arch: pulp::Arch, temperature: f64, nucleus: f64, seed: u64) -> Sampler {
        Sampler { arch, temperature, nucleus, random: StdRng::seed_from_u64(seed), weights: Vec::new() }
    }

    /// Chooses a token that may be: from the nucleus of what the model says, else the likeliest outside it; none where
    /// all are refused or infinitely unlikely.
    pub(super) fn next(
        &mut self,
        logits: &[f32],
        mut allows: impl FnMut(u32) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Option<u32>> {
        let best = likeliest(logits);
        let Some(top) = logits.get(best as usize).copied().filter(|top| *top > f32::NEG_INFINITY) else {
            return Ok(None);
        };
        let mut asked = 0;
        if self.temperature > 0.0 {
            let mut nucleus = self.nucleus(logits, top);
            while let Some(at) = self.pick(&nucleus) {
                let (token, _) = nucleus.remove(at);
                if allows(token)? {
                    return Ok(Some(token));
                }
                asked += 1;
            }
        } else if allows(best)? {
            return Ok(Some(best));
        }
        // What was asked already is refused again, which costs little: it hardly ever comes to this.
        let mut rest =
            Ranking::new((0..).zip(logits.iter().copied()).filter(|(_, logit)| *logit >= top - REACH));
        for place in 0..asked + ASKED {
            let Some((token, _)) = rest.get(place) else { break };
            if allows(token)? {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// The likeliest tokens that hold the share of probability sampled from, with their weights.
    fn nucleus(&mut self, logits: &[f32], top: f32) -> Vec<(u32, f32)> {
        self.weights.resize(logits.len(), 0.0);
        let sharpness = (1.0 / self.temperature) as f32;
        let total = self.arch.dispatch(Exponents { logits, top, sharpness, out: &mut self.weights });
        let weights = (0..).zip(self.weights.iter().copied());
        if self.nucleus >= 1.0 {
            return weights.filter(|(_, weight)| *weight > 0.0).collect();
        }
        // Tokens this rare hold less than the share left out, all together: no need to rank them.
        let rare = ((1.0 - self.nucleus) * total / logits.len() as f64) as f32;
        let mut ranking = Ranking::new(weights.filter(|(_, weight)| *weight >= rare));
        let (mut sum, mut kept) = (0.0, 0);
        while let Some((_, weight)) = ranking.get(kept).filter(|_| kept == 0 || sum < self.nucleus * total) {
            sum += f64::from(weight);
            kept += 1;
        }
        ranking.first(kept)
    }

    /// Draws one of some weighted tokens.
    fn pick(&mut self, weighted: &[(u32, f32)]) -> Option<usize> {
        let total: f64 = weighted.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let mut left = self.random.random::<f64>() * total;
        let drawn = weighted.iter().position(|(_, weight)| {
            left -= f64::from(*weight);
            left < 0.0
        });
        // Rounding may leave a rest behind the last.
        drawn.or(weighted.len().checked_sub(1))
    }
}

/// Tokens from the likeliest down, the lower number first of equals; no more of them are sorted than are looked at.
struct Ranking {
    tokens: Vec<(u32, f32)>,
    sorted: usize,
}

impl Ranking {
    fn new(tokens: impl Iterator<Item = (u32, f32)>) -> Ranking {
        Ranking { tokens: tokens.collect(), sorted: 0 }
    }

    /// The token of a rank.
    fn get(&mut self, rank: usize) -> Option<(u32, f32)> {
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        while rank >= self.sorted && self.sorted < self.tokens.len() {
            let rest = &mut self.tokens[self.sorted..];
            let many = self.sorted.max(RANKED).min(rest.len());
            if many < rest.len() {
                rest.select_nth_unstable_by(many - 1, order);
            }
            rest[..many].sort_unstable_by(order);
            self.sorted += many;
        }
        self.tokens.get(rank).copied()
    }

    /// The first so many, which have been looked at.
    fn first(mut self, many: usize) -> Vec<(u32, f32)> {
        self.tokens.truncate(many);
        self.tokens
    }
}

/// The logarithm of the sum of the exponents, by which logits become log-likelihoods.
pub(super) fn log_sum(arch: pulp::Arch, logits: &[f32]) -> f32 {
    let top = logits[likeliest(logits) as usize];
    let mut few = [0.0; PIECE];
    let sums = logits
        .chunks(PIECE)
        .map(|logits| arch.dispatch(Exponents { logits, top, sharpness: 1.0, out: &mut few }));
    top + sums.sum::<f64>().ln() as f32
}

dispatched! {
    /// e^((logit − top) · sharpness) of each, and their sum.
    Exponents { logits: &'a [f32], top: f32, sharpness: f32, out: &'a mut [f32] } -> f64 {
        let mut sums = [0.0f64; LANES];
        let (chunks, rest) = logits.as_chunks::<LANES>();
        let (outs, out_rest) = out[..logits.len()].as_chunks_mut::<LANES>();
        for (chunk, out) in chunks.iter().zip(outs) {
            for lane in 0..LANES {
                out[lane] = exponent((chunk[lane] - top) * sharpness);
                sums[lane] += f64::from(out[lane]);
            }
        }
        for (logit, out) in rest.iter().zip(out_rest) {
            *out = exponent((logit - top) * sharpness);
            sums[0] += f64::from(*out);
        }
        sums.iter().sum()
    }
}

#[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
#[inline(always)]
fn exponent(x: f32) -> f32 {
    /// Below this an exponent is nought in single precision, and [`exp`] would not say so.
    const LEAST: f32 = -87.0;
    if x > LEAST { exp(x) } else { 0.0 }
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

    fn next(sampler: &mut Sampler, logits: &[f32]) -> Option<u32> {
        sampler.next(logits, |_| Ok(true)).unwrap()
    }

    #[test]
    fn the_first_of_the_largest_is_the_likeliest_and_of_nothing_possible_none_is_taken() {
        let mut logits = vec![0.0f32; 53];
        for at in [50, 40, 23, 7] {
            logits[at] = 9.0;
            assert_eq!(likeliest(&logits) as usize, at);
        }
        let impossible = [f32::NEG_INFINITY; 20];
        assert_eq!(next(&mut sampler(0.0, 1.0, 1), &impossible), None);
        assert_eq!(next(&mut sampler(1.0, 0.9, 1), &impossible), None);
        assert_eq!(next(&mut sampler(1.0, 0.9, 1), &[]), None);
    }

    #[test]
    fn the_sum_is_that_of_the_exponents() {
        let logits: Vec<f32> = (0..40).map(|at| at as f32 * 0.1 - 90.0).collect();
        let wanted = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        assert!((f64::from(log_sum(pulp::Arch::new(), &logits)) - wanted).abs() < 1e-5);
    }

    #[test]
    fn cold_takes_the_likeliest_that_may_be() {
        for cold in [0.0, -1.0, f64::NAN] {
            assert_eq!(next(&mut sampler(cold, 1.0, 7), &LOGITS), Some(2));
            let refused = sampler(cold, 1.0, 7).next(&LOGITS, |token| Ok(token != 2)).unwrap();
            assert_eq!(refused, Some(3));
        }
        assert_eq!(next(&mut sampler(1.0, 0.0, 7), &LOGITS), Some(2));
    }

    #[test]
    fn a_seed_repeats_itself() {
        let run = |seed| -> Vec<u32> {
            let mut sampler = sampler(1.5, 0.95, seed);
            (0..50).map(|_| next(&mut sampler, &LOGITS).unwrap()).collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    /// How often each of [`LOGITS`] comes.
    fn shares(nucleus: f64, allows: fn(u32) -> bool) -> [f64; 5] {
        let mut sampler = sampler(1.0, nucleus, 11);
        let mut counts = [0u32; 5];
        for _ in 0..20_000 {
            let token = sampler.next(&LOGITS, |token| Ok(allows(token))).unwrap().unwrap();
            counts[token as usize] += 1;
        }
        counts.map(|count| f64::from(count) / 20_000.0)
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "what never comes has a share of nothing")]
    fn shares_are_those_of_the_softmax_within_the_nucleus() {
        // softmax: .665 .245 .090 .0006; the nucleus of .9 holds the first two only.
        let found = shares(0.9, |_| true);
        assert_eq!((found[0], found[1], found[4]), (0.0, 0.0, 0.0));
        assert!((found[2] - 0.731).abs() < 0.015, "{found:?}");
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "what never comes has a share of nothing")]
    fn what_is_refused_leaves_its_share_to_the_others() {
        let found = shares(1.0, |token| token != 2);
        assert_eq!((found[1], found[2]), (0.0, 0.0));
        assert!((found[3] - 0.2447 / 0.3353).abs() < 0.015, "{found:?}");
        // Where all of the nucleus is refused, the likeliest of the rest comes.
        assert_eq!(shares(0.6, |token| token == 0 || token == 4), [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(sampler(1.0, 0.9, 1).next(&LOGITS, |_| Ok(false)).unwrap(), None);
    }

    #[test]
    fn a_ranking_is_the_sorted_order_however_far_one_looks() {
        let mut random = StdRng::seed_from_u64(9);
        let tokens: Vec<(u32, f32)> =
            (0..1000).map(|token| (token, f32::from(random.random_range(0u8..50)))).collect();
        let mut sorted = tokens.clone();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut ranking = Ranking::new(tokens.into_iter());
        assert!((0..1000).all(|rank| ranking.get(rank) == Some(sorted[rank])));
        assert_eq!(ranking.get(1000), None);
        assert_eq!(ranking.first(3), sorted[..3]);
    }
}
