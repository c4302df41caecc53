//! The uniform random policy: every eligible offer, and none, with the same probability. What it logs can answer for
//! any other policy, which is why it decides until something better is known.

use sha2::{Digest as _, Sha256};

use crate::metric::fact::DAY;

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Index of the offer; `None`: no offer.
    pub offer: Option<usize>,
    /// Probability with which this was chosen.
    pub propensity: f64,
}

/// Chooses among `offers` and none for `unit`. The choice depends on nothing but the seed, the unit and the number of
/// offers: the same seed chooses evenly over units, and the same unit evenly over seeds.
pub fn choose(unit: &str, seed: u64, offers: usize) -> Choice {
    let arms = offers as u64 + 1;
    // The high half of a 128-bit product: even over arms to within 2⁻⁶⁴ of each.
    let arm = (u128::from(digest("choice", &seed.to_le_bytes(), unit)) * u128::from(arms)) >> 64;
    Choice {
        offer: usize::try_from(arm).ok().and_then(|arm| arm.checked_sub(1)),
        propensity: 1.0 / arms as f64,
    }
}

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
    fn arms_are_chosen_evenly_over_units_and_over_seeds() {
        for by_unit in [true, false] {
            let mut counts = [0_u32; 4];
            for i in 0..40_000_u64 {
                let choice = if by_unit { choose(&format!("u{i}"), 7, 3) } else { choose("u", i, 3) };
                assert!((choice.propensity - 0.25).abs() < 1e-15);
                counts[choice.offer.map_or(0, |offer| offer + 1)] += 1;
            }
            for count in counts {
                assert!((f64::from(count) / 40_000.0 - 0.25).abs() < 0.01, "{counts:?}");
            }
        }
        assert_eq!(choose("u", 1, 0), Choice { offer: None, propensity: 1.0 });
    }

    #[test]
    fn the_held_out_share_is_as_set() {
        let held = (0..20_000).filter(|i| held_out(&format!("u{i}"), 0.05)).count();
        assert!((900..1100).contains(&held), "{held}");
        assert!(!held_out("u", 0.0));
    }
}
