//! Attention over the tokens so far, and the rotation that tells positions apart.

#![allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]

use std::array::from_fn;
use std::ops::Range;

use super::hyper::{Hyper, Rotation};
use super::maths::{LANES, exp};
use super::sequence::{PAGE, Sequence};

/// The rotations of every position a sequence may have.
pub struct Rotary {
    half: usize,
    head: usize,
    interleaved: bool,
    turns: Vec<(f32, f32)>,
}

impl Rotary {
    /// The cosines and sines of all positions.
    pub fn new(hyper: &Hyper, rotation: &Rotation) -> Rotary {
        let half = hyper.rotary / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|pair| {
                let factor = rotation.factors.as_ref().map_or(1.0, |factors| f64::from(factors[pair]));
                let power = -2.0 * pair as f64 / hyper.rotary as f64;
                f64::from(rotation.base).powf(power) / factor / f64::from(rotation.stretch)
            })
            .collect();
        let turns = (0..hyper.context)
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f64 * frequency))
            .map(|angle| (angle.cos() as f32, angle.sin() as f32))
            .collect();
        Rotary { half, head: hyper.head, interleaved: hyper.interleaved, turns }
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

/// Query heads that are worked on side by side.
const GROUP: usize = 8;

/// What the query heads that share a plane of keys and values attend with.
///
/// It is a type of its own because only what is inlined is compiled for the dispatched registers, and a closure as
/// large as this is not: every fused product would be a call.
pub struct Attention<'a> {
    /// The keys and values.
    pub sequence: &'a Sequence,
    /// The plane of them.
    pub plane: usize,
    /// The positions attended to.
    pub span: Range<usize>,
    /// What the product of a query and a key is multiplied with.
    pub scale: f32,
    /// The query heads.
    pub queries: &'a [f32],
    /// What comes out for each.
    pub out: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Attention { sequence, plane, span, scale, queries, out } = self;
        let size = GROUP * sequence.head();
        for (queries, out) in queries.chunks(size).zip(out.chunks_mut(size)) {
            let span = span.clone();
            match queries.len() / sequence.head() {
                1 => group::<1>(sequence, plane, span, scale, queries, out),
                2 => group::<2>(sequence, plane, span, scale, queries, out),
                3 => group::<3>(sequence, plane, span, scale, queries, out),
                4 => group::<4>(sequence, plane, span, scale, queries, out),
                5 => group::<5>(sequence, plane, span, scale, queries, out),
                6 => group::<6>(sequence, plane, span, scale, queries, out),
                7 => group::<7>(sequence, plane, span, scale, queries, out),
                _ => group::<8>(sequence, plane, span, scale, queries, out),
            }
        }
    }
}

#[inline(always)]
fn group<const N: usize>(
    sequence: &Sequence,
    plane: usize,
    span: Range<usize>,
    scale: f32,
    queries: &[f32],
    out: &mut [f32],
) {
    let head = sequence.head();
    let pages = span.start / PAGE..span.end.div_ceil(PAGE);
    let (first, room) = (pages.start * PAGE, pages.len() * PAGE);
    let mut scores = vec![0.0; N * room];
    let queries: [&[f32]; N] = from_fn(|index| &queries[index * head..][..head]);
    for (at, page) in pages.clone().enumerate() {
        let sums = score(queries, sequence.keys(page, plane));
        for (scores, sums) in scores.chunks_exact_mut(room).zip(&sums) {
            scores[at * PAGE..][..PAGE].copy_from_slice(sums);
        }
    }
    let known = span.start - first..span.end - first;
    let mut totals = [0.0; N];
    for (total, scores) in totals.iter_mut().zip(scores.chunks_exact_mut(room)) {
        *total = soften(&mut scores[known.clone()], scale);
    }
    let weights: [&[f32]; N] = from_fn(|index| &scores[index * room..][..room]);
    for chunk in 0..head / LANES {
        let mut sums = [[0.0; LANES]; N];
        for (at, page) in pages.clone().enumerate() {
            let values = sequence.values(page, plane);
            let positions = known.start.max(at * PAGE)..known.end.min((at + 1) * PAGE);
            for position in positions {
                let value = &values[position % PAGE * head + chunk * LANES..][..LANES];
                for (sums, weights) in sums.iter_mut().zip(&weights) {
                    let weight = weights[position];
                    for lane in 0..LANES {
                        sums[lane] = weight.mul_add(value[lane], sums[lane]);
                    }
                }
            }
        }
        for (index, sums) in sums.iter().enumerate() {
            let out = &mut out[index * head + chunk * LANES..][..LANES];
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum / totals[index]);
        }
    }
}

/// The products of several queries with the keys of a page.
#[inline(always)]
fn score<const N: usize>(queries: [&[f32]; N], keys: &[f32]) -> [[f32; LANES]; N] {
    let mut sums = [[0.0; LANES]; N];
    for (dimension, keys) in keys.as_chunks::<LANES>().0.iter().enumerate() {
        for (sums, query) in sums.iter_mut().zip(&queries) {
            let query = query[dimension];
            for lane in 0..LANES {
                sums[lane] = query.mul_add(keys[lane], sums[lane]);
            }
        }
    }
    sums
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
