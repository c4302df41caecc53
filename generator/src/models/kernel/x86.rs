//! The product with the wide registers of x86.

#![allow(clippy::unused_self, reason = "the proof is what a caller must show")]
#![allow(unsafe_code, reason = "vector loads, and calls that the constructors prove the processor can take")]

mod narrow;
mod tiles;
mod wide;

use std::arch::x86_64::__cpuid_count;

use super::Strip;
use crate::models::activations::Activations;

/// Proof that AMX for bytes is there, and AVX-512 with VNNI.
#[derive(Clone, Copy, Debug)]
pub struct Tiles(());

/// Proof that AVX-512 with VNNI is there.
#[derive(Clone, Copy, Debug)]
pub struct Wide(());

/// Proof that AVX2 is there.
#[derive(Clone, Copy, Debug)]
pub struct Narrow(());

impl Tiles {
    pub(super) fn detect() -> Option<Tiles> {
        const BOTH: u32 = 1 << 24 | 1 << 25; // AMX-TILE and AMX-INT8
        // The leaf is there wherever AVX-512 is.
        let there = Wide::detect().is_some() && __cpuid_count(7, 0).edx & BOTH == BOTH;
        (there && permitted()).then_some(Tiles(()))
    }

    pub(super) fn multiply(self, strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
        // SAFETY: a `Tiles` is made by `detect` alone, which found these features.
        unsafe { tiles::multiply(strip, rows, out) }
    }
}

/// Asks the system for tiles: they make what it keeps of each thread larger, so it gives them to whoever asks. The
/// answer holds for all threads of the process; a system that knows no tiles says no.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XTILEDATA: libc::c_long = 18;
    // SAFETY: it takes two numbers and changes nothing but what the process may do.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0 }
}

/// How other systems are asked is not known here.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

impl Wide {
    pub(super) fn detect() -> Option<Wide> {
        let there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        there.then_some(Wide(()))
    }

    pub(super) fn multiply(self, strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
        // SAFETY: a `Wide` is made by `detect` alone, which found these features.
        unsafe { wide::multiply(strip, rows, 0, out) }
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
