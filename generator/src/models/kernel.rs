//! The product that nearly all the time goes into: eight-bit weights with eight-bit activations.
//!
//! Weights lie in tiles of [`TILE`] rows by [`BLOCK`] columns, four columns of a row to a word, so that one
//! instruction multiplies a word of activations with a word of every row. Within a block the sum is exact in
//! integers; blocks are added in order, so a result depends neither on the batch nor on the thread.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::activations::Activations;

/// Rows that are worked on side by side.
pub const TILE: usize = 16;

/// Columns that share a scale.
pub const BLOCK: usize = 32;

/// Words in a row of a block.
pub const WORDS: usize = BLOCK / 4;

/// Weights of at most so many steps are small: those of Q4_0 and Q5_0 files are.
pub const SMALL: u8 = 16;

/// Four columns of each row of a tile, as bytes offset by 128.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Word(pub [i32; TILE]);

/// A tile's rows over all columns.
#[derive(Clone, Copy)]
pub struct Strip<'a> {
    /// [`WORDS`] for each block.
    pub words: &'a [Word],
    /// The half-precision scales of the rows, for each block.
    pub scales: &'a [[u16; TILE]],
    /// Whether no weight has more than [`SMALL`] steps.
    pub small: bool,
}

/// The instructions this machine has for the product.
#[derive(Clone, Copy, Debug)]
pub enum Kernel {
    /// AMX, and AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Tiles(x86::Tiles),
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Wide(x86::Wide),
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Narrow(x86::Narrow),
    /// Whatever the compiler makes of plain code.
    Portable,
}

impl Kernel {
    /// The best this machine can do.
    pub fn detect() -> Kernel {
        Kernel::all().remove(0)
    }

    /// All this machine can do, best first.
    pub fn all() -> Vec<Kernel> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(x86::Tiles::detect().map(Kernel::Tiles));
            all.extend(x86::Wide::detect().map(Kernel::Wide));
            all.extend(x86::Narrow::detect().map(Kernel::Narrow));
        }
        all.push(Kernel::Portable);
        all
    }

    /// Multiplies a tile with every row of activations; `out` takes [`TILE`] values a row.
    pub fn multiply(self, strip: Strip<'_>, rows: &Activations, out: &mut [f32]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Tiles(kernel) => kernel.multiply(strip, rows, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::Wide(kernel) => kernel.multiply(strip, rows, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::Narrow(kernel) => kernel.multiply(strip, rows, out),
            Kernel::Portable => portable::multiply(strip, rows, out),
        }
    }
}
