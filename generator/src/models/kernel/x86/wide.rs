//! With AVX-512 and VNNI: one instruction multiplies and adds 64 pairs of bytes.

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm512_cvtepi32_ps, _mm512_cvtph_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512, _mm512_mul_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::array::from_fn;

use crate::models::activations::{Activations, Block};
use crate::models::kernel::{Strip, TILE, WORDS, Word};

/// Rows of activations that share what is loaded of the weights.
const GROUP: usize = 8;

/// How far ahead weights are asked for, in words of a cache line each.
pub(super) const AHEAD: usize = 6 * WORDS;

/// The rows from `first` on, as many as `out` has room for.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn multiply(strip: Strip<'_>, rows: &Activations, first: usize, out: &mut [f32]) {
    for (group, out) in out.chunks_mut(GROUP * TILE).enumerate() {
        let first = first + group * GROUP;
        match out.len() / TILE {
            1 => some::<1>(strip, rows, first, out),
            2 => some::<2>(strip, rows, first, out),
            3 => some::<3>(strip, rows, first, out),
            4 => some::<4>(strip, rows, first, out),
            5 => some::<5>(strip, rows, first, out),
            6 => some::<6>(strip, rows, first, out),
            7 => some::<7>(strip, rows, first, out),
            _ => some::<GROUP>(strip, rows, first, out),
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn some<const ROWS: usize>(strip: Strip<'_>, rows: &Activations, first: usize, out: &mut [f32]) {
    let rows: [&[Block]; ROWS] = from_fn(|row| rows.row(first + row));
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (index, (words, scales)) in strip.words.as_chunks::<WORDS>().0.iter().zip(strip.scales).enumerate() {
        // Left to itself the processor reads a row's weights at half of what memory can bring. What lies ahead of a
        // strip's end is the next strip: strips are worked on in the order they lie in. Later groups of rows find the
        // strip in the cache.
        if first == 0 {
            let next = words.as_ptr().wrapping_add(AHEAD);
            for word in 0..WORDS {
                _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(word).cast());
            }
        }
        let weights: [__m512i; WORDS] = from_fn(|word| load(&words[word]));
        let scales = widen(scales);
        for (sum, row) in sums.iter_mut().zip(rows) {
            let block = &row[index];
            let mut dots = _mm512_set1_epi32(block.offset);
            for (weights, activations) in weights.iter().zip(block.words) {
                dots = _mm512_dpbusd_epi32(dots, *weights, _mm512_set1_epi32(activations));
            }
            let scales = _mm512_mul_ps(scales, _mm512_set1_ps(block.scale));
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scales, *sum);
        }
    }
    for (out, sum) in out.as_chunks_mut::<TILE>().0.iter_mut().zip(sums) {
        // SAFETY: `out` has room for sixteen floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(word: &Word) -> __m512i {
    // SAFETY: a word is 64 bytes long and so aligned.
    unsafe { _mm512_load_si512(std::ptr::from_ref(word).cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn widen(scales: &[u16; TILE]) -> __m512 {
    // SAFETY: sixteen halves are 32 bytes.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(scales.as_ptr().cast()) })
}
