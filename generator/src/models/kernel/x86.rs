//! The product with the wide registers of x86.

#![allow(clippy::unused_self, reason = "the proof is what a caller must show")]
#![allow(unsafe_code, reason = "vector loads, and calls that the constructors prove the processor can take")]

mod narrow;
mod wide;

use super::Strip;
use crate::models::activations::Activations;

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
        unsafe { wide::multiply(strip, rows, out) }
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
        unsafe { narrow::multiply(strip, rows, out) }
    }
}
