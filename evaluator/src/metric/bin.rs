//! Outcomes by size: bins that are exact for small whole numbers and a thousandth wide above.

/// Bins of one doubling of the outcome.
const FINE: i64 = 1 << 10;
/// Numbers below this have a bin of their own.
const EXACT: i64 = 2 * FINE;
/// log₂ of [`EXACT`].
const EXACT_BITS: u32 = 11;

/// The bin of `value`; bins are ordered as values are.
pub fn of(value: i64) -> i32 {
    let size = value.saturating_abs();
    let bin = if size < EXACT {
        size
    } else {
        let doubling = size.ilog2() - EXACT_BITS;
        EXACT + i64::from(doubling) * FINE + (size >> (doubling + 1)) - FINE
    };
    (if value < 0 { -bin } else { bin }) as i32
}

/// The greatest value in `bin`.
pub fn greatest(bin: i32) -> i64 {
    if bin < 0 { -least(-i64::from(bin)) } else { least(i64::from(bin) + 1) - 1 }
}

/// The least value of a `bin` that is not negative.
fn least(bin: i64) -> i64 {
    if bin < EXACT {
        return bin;
    }
    let (doubling, place) = ((bin - EXACT) / FINE, (bin - EXACT) % FINE);
    // The bin after the last one would begin beyond what is representable.
    i64::try_from(i128::from(FINE + place) << (doubling + 1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_numbers_stand_alone() {
        for value in -2_047..2_048 {
            assert_eq!((of(value), greatest(of(value))), (value as i32, value));
        }
        assert!(of(2_047) < of(2_048) && of(i64::MAX) > of(i64::MAX / 2));
        assert_eq!(greatest(of(i64::MAX)), i64::MAX - 1, "one short of the end, far beyond any money");
    }

    proptest! {
        #[test]
        fn bins_are_ordered_and_a_thousandth_wide(a in 0_i64..1 << 60, b in 0_i64..1 << 60) {
            prop_assert_eq!(a.cmp(&b).is_le() || of(a) >= of(b), true);
            let top = greatest(of(a));
            prop_assert!(top >= a && (top - a) as f64 <= a as f64 / 1_000.0);
            prop_assert_eq!(of(top), of(a));
            prop_assert_eq!(of(top + 1), of(a) + 1);
            prop_assert_eq!(of(-a), -of(a));
        }
    }
}
