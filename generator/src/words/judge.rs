//! How often, and how surely, scores tell which of two texts was clicked more.

use serde::{Deserialize, Serialize};

use super::trials::{Arm, Trial};

/// |z| of a difference of two shares from which on it is called significant.
const SIGNIFICANT: f64 = 1.96;
/// Precision of the slope's prior: nothing beside a few hundred pairs, but finite where all pairs are told right.
const PRIOR: f64 = 0.01;
/// Bins of equal width for the calibration error.
const BINS: usize = 10;

/// A pair of texts of one trial, of which one was clicked more.
pub(super) struct Pair {
    /// Scores of the two; the same where a text cannot be read.
    pub(super) difference: f64,
    /// Whether the first was clicked more.
    pub(super) first_won: bool,
    significant: bool,
    /// Characters of the first less those of the second.
    longer: i64,
}

/// How good scores were on pairs of texts that nobody had shown the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Trials judged.
    pub trials: usize,
    /// Pairs in them; those clicked just as often are left out.
    pub pairs: usize,
    /// Share told right; a tie of scores counts half.
    pub accuracy: f64,
    /// Pairs whose difference is beyond chance (|z| > 1.96).
    pub significant_pairs: usize,
    /// Share of those told right.
    pub significant_accuracy: f64,
    /// Mean −ln of the probability given to what happened; a coin has .693.
    pub log_loss: f64,
    /// Mean squared error of the probability; a coin has .25.
    pub brier: f64,
    /// Mean distance of probability and share within ten bins.
    pub calibration_error: f64,
    /// Share told right by "the longer one".
    pub longer_accuracy: f64,
}

/// The pairs of `trials`; `score` is `None` for a text that cannot be read.
pub(super) fn pairs<'a>(
    trials: impl IntoIterator<Item = &'a Trial>,
    score: &dyn Fn(&str) -> Option<f64>,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for trial in trials {
        for (index, first) in trial.arms.iter().enumerate() {
            for second in &trial.arms[index + 1..] {
                let z = z(first, second);
                if z == 0.0 {
                    continue;
                }
                let difference = score(&first.text).zip(score(&second.text)).map_or(0.0, |(a, b)| a - b);
                let length = |arm: &Arm| arm.text.chars().count() as i64;
                pairs.push(Pair {
                    difference,
                    first_won: z > 0.0,
                    significant: z.abs() > SIGNIFICANT,
                    longer: length(first) - length(second),
                });
            }
        }
    }
    pairs
}

/// The difference of two shares in its standard errors, under one share for both.
fn z(first: &Arm, second: &Arm) -> f64 {
    let (n, m) = (first.impressions as f64, second.impressions as f64);
    let share = (first.clicks + second.clicks) as f64 / (n + m);
    let error = (share * (1.0 - share) * (1.0 / n + 1.0 / m)).sqrt();
    if error > 0.0 { (first.rate() - second.rate()) / error } else { 0.0 }
}

/// The figures of `pairs`, at `sharpness`.
pub(super) fn judge(trials: usize, pairs: &[Pair], sharpness: f64) -> Judged {
    let mean = |value: &dyn Fn(&Pair) -> f64, only: &dyn Fn(&&Pair) -> bool| {
        let chosen: Vec<f64> = pairs.iter().filter(only).map(value).collect();
        chosen.iter().sum::<f64>() / chosen.len().max(1) as f64
    };
    let right = |sign: f64, pair: &Pair| {
        if sign == 0.0 { 0.5 } else { f64::from(u8::from((sign > 0.0) == pair.first_won)) }
    };
    let probability = |pair: &Pair| 1.0 / (1.0 + (-sharpness * pair.difference).exp());
    let outcome = |pair: &Pair| f64::from(u8::from(pair.first_won));
    let told = |pair: &Pair| if pair.first_won { probability(pair) } else { 1.0 - probability(pair) };
    let mut bins = [(0.0, 0.0); BINS];
    for pair in pairs {
        let bin = ((probability(pair) * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += probability(pair);
        bins[bin].1 += outcome(pair);
    }
    let off: f64 = bins.iter().map(|(told, happened)| (told - happened).abs()).sum();
    let all = |_: &&Pair| true;
    Judged {
        trials,
        pairs: pairs.len(),
        accuracy: mean(&|pair| right(pair.difference, pair), &all),
        significant_pairs: pairs.iter().filter(|pair| pair.significant).count(),
        significant_accuracy: mean(&|pair| right(pair.difference, pair), &|pair| pair.significant),
        log_loss: mean(&|pair| -told(pair).max(1e-12).ln(), &all),
        brier: mean(&|pair| (probability(pair) - outcome(pair)).powi(2), &all),
        calibration_error: off / pairs.len().max(1) as f64,
        longer_accuracy: mean(&|pair| right(pair.longer as f64, pair), &all),
    }
}

/// The slope of a logistic curve through one half that makes `pairs` likeliest, by Newton's method.
pub(super) fn sharpness(pairs: &[Pair]) -> f64 {
    let mut slope = 0.0;
    for _ in 0..50 {
        let (mut gradient, mut curvature) = (-PRIOR * slope, PRIOR);
        for pair in pairs {
            let probability = 1.0 / (1.0 + (-slope * pair.difference).exp());
            gradient += (f64::from(u8::from(pair.first_won)) - probability) * pair.difference;
            curvature += probability * (1.0 - probability) * pair.difference.powi(2);
        }
        // Short enough steps from 0 never overshoot far on this concave curve.
        let step = (gradient / curvature).clamp(-5.0, 5.0);
        slope += step;
        if step.abs() < 1e-9 {
            break;
        }
    }
    slope
}
