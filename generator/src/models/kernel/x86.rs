//! The product with the wide registers of x86.

#![allow(clippy::unused_self, reason = "the proof is what a caller must show")]
#![allow(unsafe_code, reason = "vector loads, and calls that the constructors prove the processor can take")]

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _mm_loadu_si128, _mm256_add_epi32, _mm256_and_si256,
    _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi16,
    _mm256_srai_epi16, _mm256_srli_epi16, _mm256_storeu_ps, _mm512_cvtepi32_ps, _mm512_cvtph_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512, _mm512_mul_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::array::from_fn;

use super::{Strip, TILE, WORDS, Word};
use crate::models::activations::{Activations, Block};

/// Proof that AVX-512 with VNNI is there.
#[derive(Clone, Copy, Debug)]
pub struct Wide(());

/// Proof that AVX2 is there.
#[derive(Clone, Copy, Debug)]
pub struct Narrow(());

impl Wide {
    pub(super) fn detect() -> Option<Wide> {
        let there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        there.then_some(Wide(()))
    }

    pub(super) fn multiply(self, strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
        // SAFETY: a `Wide` is made by `detect` alone, which found these features.
        unsafe { wide(strip, rows, out) }
    }
}

impl Narrow {
    pub(super) fn detect() -> Option<Narrow> {
        let there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        there.then_some(Narrow(()))
    }

    pub(super) fn multiply(self, strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
        // SAFETY: a `Narrow` is made by `detect` alone, which found these features.
        unsafe { narrow(strip, rows, out) }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn wide(strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
    let mut first = 0;
    for out in out.chunks_mut(8 * TILE) {
        match out.len() / TILE {
            8 => wide_rows::<8>(strip, rows, first, out),
            1 => wide_rows::<1>(strip, rows, first, out),
            _ => {
                for (row, out) in out.chunks_mut(TILE).enumerate() {
                    wide_rows::<1>(strip, rows, first + row, out);
                }
            }
        }
        first += 8;
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn wide_rows<const ROWS: usize>(strip: Strip<'_>, rows: &Activations, first: usize, out: &mut [f32]) {
    let rows: [&[Block]; ROWS] = from_fn(|row| rows.row(first + row));
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (index, (words, scales)) in strip.words.chunks_exact(WORDS).zip(strip.scales).enumerate() {
        let weights: [__m512i; WORDS] = from_fn(|word| load512(&words[word]));
        let scales = scales512(scales);
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
fn load512(word: &Word) -> __m512i {
    // SAFETY: a word is 64 bytes long and so aligned.
    unsafe { _mm512_load_si512(std::ptr::from_ref(word).cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn scales512(scales: &[u16; TILE]) -> __m512 {
    // SAFETY: sixteen halves are 32 bytes.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(scales.as_ptr().cast()) })
}

#[target_feature(enable = "avx2,fma,f16c")]
fn narrow(strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
    let low = _mm256_set1_epi32(0x00ff_00ff);
    for (index, out) in out.chunks_exact_mut(TILE).enumerate() {
        let mut sums = [_mm256_setzero_ps(); 2];
        let weights = strip.words.chunks_exact(WORDS).zip(strip.scales);
        for ((words, scales), block) in weights.zip(rows.row(index)) {
            let mut dots = [_mm256_set1_epi32(block.offset); 2];
            for (word, activations) in words.iter().zip(block.words) {
                let activations = _mm256_set1_epi32(activations);
                let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(activations));
                let odd = _mm256_srai_epi16::<8>(activations);
                for (dots, weights) in dots.iter_mut().zip(halves(word)) {
                    let evens = _mm256_madd_epi16(_mm256_and_si256(weights, low), even);
                    let odds = _mm256_madd_epi16(_mm256_srli_epi16::<8>(weights), odd);
                    *dots = _mm256_add_epi32(*dots, _mm256_add_epi32(evens, odds));
                }
            }
            let own = _mm256_set1_ps(block.scale);
            for ((sum, dots), scales) in sums.iter_mut().zip(dots).zip(scales256(scales)) {
                *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(scales, own), *sum);
            }
        }
        for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
            // SAFETY: `out` has room for eight floats.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) }
        }
    }
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
fn scales256(scales: &[u16; TILE]) -> [__m256; 2] {
    let (halves, _) = scales.as_chunks::<8>();
    // SAFETY: eight halves are 16 bytes.
    from_fn(|half| _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves[half].as_ptr().cast()) }))
}
