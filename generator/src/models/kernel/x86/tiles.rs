//! With AMX: one instruction multiplies a block of a strip with the same block of up to sixteen rows.
//!
//! A block of a strip lies as the instruction wants it, and so do the rows of activations, a block's size apart. The
//! integers come out through memory, for tiles and vectors have no other way to each other; floats are then added as
//! by [`wide`], so that a row's result is the same to the bit.

use std::arch::asm;
use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_cvtepi32_ps, _mm512_fmadd_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::wide::{self, AHEAD, load, widen};
use crate::models::activations::{Activations, Block};
use crate::models::kernel::{BLOCK, Strip, TILE, WORDS, Word};

/// Rows of activations to a tile.
const GROUP: usize = 16;

/// Fewer rows than this are with vectors alone: what a tile takes hardly depends on how many there are, and up to
/// eight rows wait for the weights either way.
const FEWEST: usize = 9;

/// Blocks that are multiplied before the first of them is added up: tiles take long, but several go on at once.
const EARLY: usize = 2;

/// The integers of a block, a word for each row.
type Dots = [Word; GROUP];

/// Integers that are on their way: a power of two larger than [`EARLY`].
const RING: usize = 4;

/// What the tile registers hold, as the processor reads it: 0 the integers, 1 the activations, 2 the weights.
#[repr(C, align(64))]
struct Shape {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shape {
    const fn new(rows: usize) -> Shape {
        let mut shape = Shape { palette: 1, start: 0, reserved: [0; 14], bytes: [0; 16], rows: [0; 16] };
        shape.bytes[0] = size_of::<Word>() as u16;
        shape.bytes[1] = BLOCK as u16;
        shape.bytes[2] = size_of::<Word>() as u16;
        shape.rows[0] = rows as u8;
        shape.rows[1] = rows as u8;
        shape.rows[2] = WORDS as u8;
        shape
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn multiply(strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
    if out.len() / TILE < FEWEST {
        return wide::multiply(strip, rows, 0, out);
    }
    let mut ring = [[Word([0; TILE]); GROUP]; RING];
    for (group, out) in out.chunks_mut(GROUP * TILE).enumerate() {
        let first = group * GROUP;
        match out.len() / TILE {
            GROUP => some::<GROUP>(strip, rows, first, &mut ring, out),
            9 => some::<9>(strip, rows, first, &mut ring, out),
            10 => some::<10>(strip, rows, first, &mut ring, out),
            11 => some::<11>(strip, rows, first, &mut ring, out),
            12 => some::<12>(strip, rows, first, &mut ring, out),
            13 => some::<13>(strip, rows, first, &mut ring, out),
            14 => some::<14>(strip, rows, first, &mut ring, out),
            15 => some::<15>(strip, rows, first, &mut ring, out),
            _ => wide::multiply(strip, rows, first, out),
        }
    }
}

/// Some rows from `first` on.
#[target_feature(enable = "avx512f")]
fn some<const ROWS: usize>(
    strip: Strip<'_>,
    rows: &Activations,
    first: usize,
    ring: &mut [Dots; RING],
    out: &mut [f32],
) {
    let (words, _) = strip.words.as_chunks::<WORDS>();
    let blocks = words.len().min(strip.scales.len()).min(rows.width());
    let rows = rows.some(first, ROWS);
    let shape = const { Shape::new(ROWS) };
    // SAFETY: the shape is one the processor takes, and nothing else uses tiles.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(nostack, readonly, preserves_flags)) }
    for index in 0..blocks.min(EARLY) {
        // SAFETY: the tiles have this shape, and each of the rows has a block of this index.
        unsafe { dots::<ROWS>(&words[index], rows, index, &mut ring[index]) }
    }
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (index, scales) in strip.scales[..blocks].iter().enumerate() {
        if let Some(next) = words.get(index + EARLY) {
            if first == 0 {
                // As with vectors alone.
                let next = next.as_ptr().wrapping_add(AHEAD);
                for word in 0..WORDS {
                    _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(word).cast());
                }
            }
            // SAFETY: as above.
            unsafe { dots::<ROWS>(next, rows, index + EARLY, &mut ring[(index + EARLY) % RING]) }
        }
        let scales = widen(scales);
        for (row, (sum, dots)) in sums.iter_mut().zip(&ring[index % RING]).enumerate() {
            // SAFETY: each of the rows has a block of this index.
            let block = unsafe { rows.get_unchecked(row * (rows.len() / ROWS) + index) };
            let dots = _mm512_add_epi32(load(dots), _mm512_set1_epi32(block.offset));
            let scales = _mm512_mul_ps(scales, _mm512_set1_ps(block.scale));
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scales, *sum);
        }
    }
    // SAFETY: it was loaded above. Tiles that are in use are kept with a thread whenever it has to wait.
    unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) }
    for (out, sum) in out.as_chunks_mut::<TILE>().0.iter_mut().zip(sums) {
        // SAFETY: `out` has room for sixteen floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) }
    }
}

/// Multiplies a block of a strip with that of each row.
///
/// # Safety
/// The tiles must have the shape for so many rows, and each row a block of this index.
#[inline]
unsafe fn dots<const ROWS: usize>(words: &[Word; WORDS], rows: &[Block], index: usize, dots: &mut Dots) {
    let size = size_of_val(rows) / ROWS;
    // SAFETY: the first words of a block are its activations; by the shape no more than these, the weights of one
    // block and the integers of `ROWS` words are touched.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tileloadd tmm1, [{rows} + {size}]",
            "tileloadd tmm2, [{words} + {word}]",
            "tdpbsud tmm0, tmm1, tmm2",
            "tilestored [{dots} + {word}], tmm0",
            rows = in(reg) rows.as_ptr().add(index),
            size = in(reg) size,
            words = in(reg) words,
            word = in(reg) size_of::<Word>(),
            dots = in(reg) dots,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            options(nostack, preserves_flags),
        );
    }
}
