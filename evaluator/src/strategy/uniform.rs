//! Uniform draws from hashes of a unit and a seed: the same for the same, even over units and over seeds.

use sha2::{Digest as _, Sha256};

use crate::metric::fact::DAY;

/// The seed of a decision that brings none: derived from the unit and the day of `now` (microseconds, UTC), so that a
/// person keeps an offer for a day and gets another chance the next.
pub fn seed_of_day(unit: &str, now: i64) -> u64 {
    // 0 on the wire means that no seed was given.
    digest("seed", &now.div_euclid(DAY).to_le_bytes(), unit).max(1)
}

/// Whether `unit` is among the `share` who never see an offer.
pub fn held_out(unit: &str, share: f64) -> bool {
    let place = (digest("holdout", &[], unit) >> 11) as f64 / (1_u64 << 53) as f64;
    place < share
}

/// Where in [0, 1) the seed puts a unit: even over units and over seeds.
pub fn place(unit: &str, seed: u64) -> f64 {
    (digest("choice", &seed.to_le_bytes(), unit) >> 11) as f64 / (1_u64 << 53) as f64
}

fn digest(purpose: &str, salt: &[u8], unit: &str) -> u64 {
    let hash = Sha256::new()
        .chain_update(purpose)
        .chain_update([0])
        .chain_update(salt)
        .chain_update(unit)
        .finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_even_over_units_and_over_seeds() {
        for by_unit in [true, false] {
            let mut counts = [0_u32; 4];
            for i in 0..40_000_u64 {
                let place = if by_unit { place(&format!("u{i}"), 7) } else { place("u", i) };
                counts[(place * 4.0) as usize] += 1;
            }
            for count in counts {
                assert!((f64::from(count) / 40_000.0 - 0.25).abs() < 0.01, "{counts:?}");
            }
        }
    }

    #[test]
    fn the_held_out_share_is_as_set() {
        let held = (0..20_000).filter(|i| held_out(&format!("u{i}"), 0.05)).count();
        assert!((900..1100).contains(&held), "{held}");
        assert!(!held_out("u", 0.0));
    }
}
