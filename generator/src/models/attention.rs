//! Attention over the tokens so far, and the rotation that tells positions apart.

#![allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]

use super::hyper::{Architecture, Hyper};
use super::maths::{LANES, exp};
use super::sequence::Sequence;

/// The rotations of every position a sequence may have.
pub struct Rotary {
    half: usize,
    head: usize,
    interleaved: bool,
    turns: Vec<(f32, f32)>,
}

impl Rotary {
    /// The cosines and sines of all positions.
    pub fn new(hyper: &Hyper) -> Rotary {
        let half = hyper.rotary / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|pair| f64::from(hyper.base).powf(-2.0 * pair as f64 / hyper.rotary as f64))
            .collect();
        let turns = (0..hyper.context)
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f64 * frequency))
            .map(|angle| (angle.cos() as f32, angle.sin() as f32))
            .collect();
        Rotary { half, head: hyper.head, interleaved: hyper.architecture == Architecture::Llama, turns }
    }

    /// Turns every head of a row to its position.
    #[inline(always)]
    pub fn turn(&self, row: &mut [f32], position: usize) {
        let turns = &self.turns[position * self.half..][..self.half];
        for head in row.chunks_exact_mut(self.head) {
            if self.interleaved {
                for (pair, (cos, sin)) in head.chunks_exact_mut(2).zip(turns) {
                    (pair[0], pair[1]) = (pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos);
                }
            } else {
                let (low, high) = head.split_at_mut(self.half);
                for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(turns) {
                    (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                }
            }
        }
    }
}

/// Attends with every head of one row to the first `length` tokens of its sequence.
#[inline(always)]
pub fn attend(
    hyper: &Hyper,
    sequence: &Sequence,
    layer: usize,
    length: usize,
    queries: &[f32],
    out: &mut [f32],
) {
    let shared = hyper.heads / hyper.kv_heads;
    let heads = queries.chunks_exact(hyper.head).zip(out.chunks_exact_mut(hyper.head));
    let mut scores = vec![0.0; length.next_multiple_of(LANES)];
    for (head, (query, out)) in heads.enumerate() {
        let (keys, values) = sequence.head(layer, head / shared);
        score(query, keys, &mut scores);
        let total = soften(&mut scores[..length], 1.0 / (hyper.head as f32).sqrt());
        mix(&scores[..length], values, total, out);
    }
}

#[inline(always)]
fn score(query: &[f32], keys: &[f32], scores: &mut [f32]) {
    for (scores, block) in scores.chunks_exact_mut(LANES).zip(keys.chunks_exact(LANES * query.len())) {
        let mut sums = [0.0; LANES];
        let (lanes, _) = block.as_chunks::<LANES>();
        for (query, keys) in query.iter().zip(lanes) {
            for lane in 0..LANES {
                sums[lane] += query * keys[lane];
            }
        }
        scores.copy_from_slice(&sums);
    }
}

/// Scores become weights that have yet to be divided by the sum, which is returned.
#[inline(always)]
fn soften(scores: &mut [f32], scale: f32) -> f32 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp((*score - most) * scale);
    }
    let (chunks, rest) = scores.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    sums.iter().chain(rest).sum()
}

#[inline(always)]
fn mix(weights: &[f32], values: &[f32], total: f32, out: &mut [f32]) {
    let head = out.len();
    for (index, out) in out.chunks_exact_mut(LANES).enumerate() {
        let mut sums = [0.0; LANES];
        for (weight, value) in weights.iter().zip(values.chunks_exact(head)) {
            let value = &value[index * LANES..][..LANES];
            for lane in 0..LANES {
                sums[lane] += weight * value[lane];
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum / total;
        }
    }
}
