//! With AVX2, which multiplies bytes into sums of sixteen bits that must not run over.
//!
//! Two pairs of bytes fit where one of each pair is at most 127: the weight's sign is given to the activation. Where
//! all weights of a strip are small, a whole half of a block fits, and far fewer instructions do.

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadu_si128, _mm256_abs_epi8, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_ps,
    _mm256_sub_epi8, _mm256_xor_si256,
};
use std::array::from_fn;

use crate::models::activations::{Activations, Block};
use crate::models::kernel::{SMALL, Strip, TILE, WORDS, Word};

/// Rows of activations that share what is loaded of the weights: more of them have no room in the registers.
const GROUP: usize = 4;

/// Words whose products with small weights have room in sixteen bits: 4 · 2 · 127 · 2 · [`SMALL`] < 2^15.
const HALF: usize = WORDS / 2;

/// The dots of a block with each of some rows, one half of the tile and the other.
type Dots<const ROWS: usize> = [[__m256i; 2]; ROWS];

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn multiply(strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
    for (group, out) in out.chunks_mut(GROUP * TILE).enumerate() {
        let first = group * GROUP;
        match (strip.small, out.len() / TILE) {
            (false, 1) => some::<1, false>(strip, rows, first, out),
            (false, 2) => some::<2, false>(strip, rows, first, out),
            (false, 3) => some::<3, false>(strip, rows, first, out),
            (false, _) => some::<GROUP, false>(strip, rows, first, out),
            (true, 1) => some::<1, true>(strip, rows, first, out),
            (true, 2) => some::<2, true>(strip, rows, first, out),
            (true, 3) => some::<3, true>(strip, rows, first, out),
            (true, _) => some::<GROUP, true>(strip, rows, first, out),
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn some<const ROWS: usize, const SMALL_ONES: bool>(
    strip: Strip<'_>,
    rows: &Activations,
    first: usize,
    out: &mut [f32],
) {
    let rows: [&[Block]; ROWS] = from_fn(|row| rows.row(first + row));
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for (index, (words, scales)) in strip.words.as_chunks::<WORDS>().0.iter().zip(strip.scales).enumerate() {
        let blocks: [&Block; ROWS] = from_fn(|row| &rows[row][index]);
        let dots = if SMALL_ONES { small(words, blocks) } else { any(words, blocks) };
        let scales = widen(scales);
        for ((sums, dots), block) in sums.iter_mut().zip(dots).zip(blocks) {
            let own = _mm256_set1_ps(block.scale);
            for ((sum, dots), scales) in sums.iter_mut().zip(dots).zip(scales) {
                *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(scales, own), *sum);
            }
        }
    }
    for (out, sums) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums.as_flattened()) {
        // SAFETY: `out` has room for eight floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *sums) }
    }
}

/// Whatever the weights.
#[target_feature(enable = "avx2")]
#[inline]
fn any<const ROWS: usize>(words: &[Word; WORDS], blocks: [&Block; ROWS]) -> Dots<ROWS> {
    let (flip, ones) = (_mm256_set1_epi8(-128), _mm256_set1_epi16(1));
    let mut dots = [[_mm256_setzero_si256(); 2]; ROWS];
    for (index, word) in words.iter().enumerate() {
        // Without their offset, which so needs no taking out.
        let weights = halves(word).map(|weights| _mm256_xor_si256(weights, flip));
        let sizes = weights.map(|weights| _mm256_abs_epi8(weights));
        for (dots, block) in dots.iter_mut().zip(blocks) {
            let activations = _mm256_set1_epi32(block.words[index]);
            for half in 0..2 {
                let signed = _mm256_sign_epi8(activations, weights[half]);
                let pairs = _mm256_maddubs_epi16(sizes[half], signed);
                dots[half] = _mm256_add_epi32(dots[half], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    dots
}

/// Weights of at most [`SMALL`] steps: offset by as much instead of 128 they are small and have no sign.
#[target_feature(enable = "avx2")]
#[inline]
fn small<const ROWS: usize>(words: &[Word; WORDS], blocks: [&Block; ROWS]) -> Dots<ROWS> {
    let (less, ones) = (_mm256_set1_epi8(128u8.wrapping_sub(SMALL).cast_signed()), _mm256_set1_epi16(1));
    let mut dots: Dots<ROWS> =
        from_fn(|row| [_mm256_set1_epi32(blocks[row].offset / (128 / i32::from(SMALL))); 2]);
    for (half, words) in words.as_chunks::<HALF>().0.iter().enumerate() {
        let mut pairs = [[_mm256_setzero_si256(); 2]; ROWS];
        for (index, word) in words.iter().enumerate() {
            let weights = halves(word).map(|weights| _mm256_sub_epi8(weights, less));
            for (pairs, block) in pairs.iter_mut().zip(blocks) {
                let activations = _mm256_set1_epi32(block.words[half * HALF + index]);
                for (pairs, weights) in pairs.iter_mut().zip(weights) {
                    *pairs = _mm256_add_epi16(*pairs, _mm256_maddubs_epi16(weights, activations));
                }
            }
        }
        for (dots, pairs) in dots.as_flattened_mut().iter_mut().zip(pairs.as_flattened()) {
            *dots = _mm256_add_epi32(*dots, _mm256_madd_epi16(*pairs, ones));
        }
    }
    dots
}

#[target_feature(enable = "avx2")]
#[inline]
fn halves(word: &Word) -> [__m256i; 2] {
    let (halves, _) = word.0.as_chunks::<8>();
    // SAFETY: eight words are 32 bytes.
    from_fn(|half| unsafe { _mm256_loadu_si256(halves[half].as_ptr().cast()) })
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn widen(scales: &[u16; TILE]) -> [__m256; 2] {
    let (halves, _) = scales.as_chunks::<8>();
    // SAFETY: eight halves are 16 bytes.
    from_fn(|half| _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves[half].as_ptr().cast()) }))
}
