//! Which token comes next.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Chooses tokens by temperature and nucleus, the same way each time for the same seed.
pub(super) struct Sampler {
    temperature: f64,
    nucleus: f64,
    random: StdRng,
}

impl Sampler {
    /// A temperature that is not above zero takes the likeliest token; a nucleus that is not below one keeps all.
    pub(super) fn new(temperature: f64, nucleus: f64, seed: u64) -> Sampler {
        Sampler { temperature, nucleus, random: StdRng::seed_from_u64(seed) }
    }

    /// Chooses a token. Infinitely unlikely tokens are never chosen while another is possible.
    pub(super) fn next(&mut self, logits: &[f32]) -> u32 {
        let best = likeliest(logits);
        if self.temperature.is_nan() || self.temperature <= 0.0 {
            return best;
        }
        let top = f64::from(logits[best as usize]);
        let mut weights: Vec<(u32, f64)> = (0..)
            .zip(logits)
            .map(|(token, &logit)| (token, ((f64::from(logit) - top) / self.temperature).exp()))
            .collect();
        let mut total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        if self.nucleus < 1.0 {
            // Tokens this rare hold less than the share left out, all together: no need to sort them.
            let rare = (1.0 - self.nucleus) * total / weights.len() as f64;
            weights.retain(|(_, weight)| *weight >= rare);
            weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let (mut sum, mut kept) = (0.0, 0);
            while kept < weights.len() && (kept == 0 || sum < self.nucleus * total) {
                sum += weights[kept].1;
                kept += 1;
            }
            weights.truncate(kept);
            total = sum;
        }
        let mut left = self.random.random::<f64>() * total;
        for (token, weight) in &weights {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        best
    }
}

fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, f32::NEG_INFINITY, 3.0, 2.0, -4.0];

    #[test]
    fn cold_takes_the_likeliest() {
        for cold in [0.0, -1.0, f64::NAN] {
            assert_eq!(Sampler::new(cold, 1.0, 7).next(&LOGITS), 2);
        }
        assert_eq!(Sampler::new(1.0, 0.0, 7).next(&LOGITS), 2);
    }

    #[test]
    fn a_seed_repeats_itself() {
        let run = |seed| -> Vec<u32> {
            let mut sampler = Sampler::new(1.5, 0.95, seed);
            (0..50).map(|_| sampler.next(&LOGITS)).collect()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn shares_are_those_of_the_softmax_within_the_nucleus() {
        let mut sampler = Sampler::new(1.0, 0.9, 11);
        let mut counts = [0u32; 5];
        for _ in 0..20_000 {
            counts[sampler.next(&LOGITS) as usize] += 1;
        }
        // softmax: .665 .245 .090 .0006; the nucleus of .9 holds the first two only.
        assert_eq!((counts[0], counts[1], counts[4]), (0, 0, 0));
        let share = f64::from(counts[2]) / 20_000.0;
        assert!((share - 0.731).abs() < 0.015, "{share}");
    }
}
