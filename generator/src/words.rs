//! Effect of words: which of two texts more people click, learnt from trials in which real readers chose.
//!
//! The log-odds of a click, centred within each trial so that topic, picture and day fall out, are regressed on what
//! stands in the text by weighted ridge regression; a logistic curve makes a difference of scores a probability.

mod features;
mod fit;
pub mod judge;
mod model;
mod predictor;
pub mod train;
pub mod trials;

pub use features::{Inputs, Reader};
pub use model::{Card, Model};
pub use predictor::{Predictor, State};

use sha2::{Digest as _, Sha256};

/// Trials of which one in this many is kept for the test.
const TEST_ONE_IN: u64 = 5;

/// A trial's id as a number, the same on every machine.
pub(crate) fn number(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Whether the trial `id` belongs to the test fold.
pub fn in_test(id: &str) -> bool {
    number(id).is_multiple_of(TEST_ONE_IN)
}

#[cfg(test)]
mod tests;
