//! Rows of activations, in eight bits for the product.

use super::kernel::{BLOCK, WORDS};
use super::registers::dispatched;
use super::workers::Workers;

/// [`BLOCK`] activations of a row that share a scale. The words come first: kernels read them where they lie.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Block {
    /// Four signed bytes to a word.
    pub words: [i32; WORDS],
    /// −128 times the sum of the bytes, which takes the weights' offset back out of the product.
    pub offset: i32,
    /// What a byte is worth.
    pub scale: f32,
}

/// Rows of blocks.
pub struct Activations {
    blocks: Vec<Block>,
    width: usize,
}

impl Activations {
    /// Quantises whole rows of `columns` values each.
    pub fn new(arch: pulp::Arch, workers: &Workers, rows: &[f32], columns: usize) -> Activations {
        let width = columns.div_ceil(BLOCK);
        let mut blocks = vec![Block::default(); rows.len() / columns * width];
        workers.each(&mut blocks, width, |index, blocks| {
            arch.dispatch(Quantise { row: &rows[index * columns..][..columns], blocks });
        });
        Activations { blocks, width }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.blocks.len() / self.width
    }

    /// How many blocks a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The blocks of `many` rows, one row behind the other.
    pub fn some(&self, first: usize, many: usize) -> &[Block] {
        &self.blocks[first * self.width..(first + many) * self.width]
    }

    /// The blocks of a row.
    pub fn row(&self, row: usize) -> &[Block] {
        &self.blocks[row * self.width..(row + 1) * self.width]
    }
}

dispatched! {
    /// A whole row, the last of its blocks filled up with noughts.
    Quantise { row: &'a [f32], blocks: &'a mut [Block] } -> () {
        let (whole, rest) = row.as_chunks::<BLOCK>();
        for (block, values) in blocks.iter_mut().zip(whole) {
            *block = quantise(values);
        }
        if let Some(block) = blocks.get_mut(whole.len()) {
            let mut last = [0.0; BLOCK];
            last[..rest.len()].copy_from_slice(rest);
            *block = quantise(&last);
        }
    }
}

/// The bytes of a block and what one is worth: the largest value becomes ±127.
#[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
#[inline(always)]
fn quantise(values: &[f32; BLOCK]) -> Block {
    let scale = largest(values) / 127.0;
    let mut bytes = [0u8; BLOCK];
    let offset = -128 * round(values, if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 }, &mut bytes);
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = i32::from_le_bytes(*bytes);
    }
    Block { words, offset, scale }
}

/// The largest magnitude.
#[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
#[inline(always)]
pub fn largest(values: &[f32; BLOCK]) -> f32 {
    let mut most = [0.0f32; 16];
    for half in values.as_chunks::<16>().0 {
        for lane in 0..16 {
            let size = half[lane].abs();
            most[lane] = if size > most[lane] { size } else { most[lane] };
        }
    }
    // By halves: one after the other would take longer than all the rest of a block.
    for half in [8, 4, 2, 1] {
        let (left, right) = most.split_at_mut(half);
        for (most, size) in left.iter_mut().zip(&*right) {
            *most = if *size > *most { *size } else { *most };
        }
    }
    most[0]
}

/// Multiplies, rounds to whole bytes in two's complement, and returns their sum.
#[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
#[inline(always)]
pub fn round(values: &[f32; BLOCK], factor: f32, bytes: &mut [u8; BLOCK]) -> i32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it leaves the whole number in the low bits
    let mut sum = 0i32;
    for (byte, value) in bytes.iter_mut().zip(values) {
        let whole = (value * factor + ROUND).to_bits().wrapping_sub(ROUND.to_bits()).cast_signed();
        *byte = whole as u8;
        sum = sum.wrapping_add(whole);
    }
    sum
}
