//! The product in plain code.

use half::f16;

use super::{Strip, TILE, WORDS};
use crate::models::activations::Activations;

pub(super) fn multiply(strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
    for (index, out) in out.chunks_exact_mut(TILE).enumerate() {
        let mut sums = [0.0f32; TILE];
        let weights = strip.words.chunks_exact(WORDS).zip(strip.scales);
        for ((words, scales), block) in weights.zip(rows.row(index)) {
            let mut dots = [block.offset; TILE];
            for (word, activations) in words.iter().zip(&block.words) {
                let [a, b, c, d] = activations.to_le_bytes().map(|byte| i32::from(byte.cast_signed()));
                for (dot, weights) in dots.iter_mut().zip(&word.0) {
                    let [w, x, y, z] = weights.to_le_bytes().map(i32::from);
                    *dot += w * a + x * b + y * c + z * d;
                }
            }
            for ((sum, dot), scale) in sums.iter_mut().zip(dots).zip(scales) {
                *sum += dot as f32 * (f16::from_bits(*scale).to_f32() * block.scale);
            }
        }
        out.copy_from_slice(&sums);
    }
}
