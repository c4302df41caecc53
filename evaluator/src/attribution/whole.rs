//! Credit in whole minor units.

/// `shares` rounded to whole numbers that sum to exactly `total`: each is rounded down, and what is left goes one
/// unit each to the largest remainders (Hamilton's method), earlier shares first where they tie.
///
/// `shares` may be below 0 and sum to `total` to the rounding of `f64`; none moves by a whole unit.
pub fn apportion(shares: &[f64], total: i64) -> Vec<i64> {
    let mut whole: Vec<i64> = shares.iter().map(|share| share.floor() as i64).collect();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    // Remainders that differ by rounding alone are equal.
    let remainder = |share: f64| ((share - share.floor()) * 1e6).round();
    order.sort_by(|&a, &b| remainder(shares[b]).total_cmp(&remainder(shares[a])));
    let missing = total - whole.iter().sum::<i64>();
    if missing >= 0 {
        for &place in order.iter().cycle().take(if order.is_empty() { 0 } else { missing as usize }) {
            whole[place] += 1;
        }
    } else {
        // Rounding may have lifted a share to the next whole number: the smallest remainders give it back.
        for &place in order
            .iter()
            .rev()
            .filter(|&&place| shares[place].abs() >= 1.0)
            .take(missing.unsigned_abs() as usize)
        {
            whole[place] -= 1;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_remainders_get_what_is_left() {
        assert_eq!(apportion(&[33.4, 33.3, 33.3], 100), [34, 33, 33]);
        assert_eq!(
            apportion(&[1.0 / 3.0, 1.0 - 2.0 / 3.0, 1.0 / 3.0], 1),
            [1, 0, 0],
            "ties go to the earlier"
        );
        assert!(apportion(&[], 0).is_empty());
    }

    proptest! {
        #[test]
        fn whole_parts_sum_to_the_total_and_stay_within_a_unit(
            weights in proptest::collection::vec(0.0_f64..1.0, 1..40),
            total in 0_i64..1_000_000_000,
        ) {
            let sum: f64 = weights.iter().sum();
            prop_assume!(sum > 1e-3);
            let shares: Vec<f64> = weights.iter().map(|weight| total as f64 * weight / sum).collect();
            let whole = apportion(&shares, total);
            prop_assert_eq!(whole.iter().sum::<i64>(), total);
            for (whole, share) in whole.iter().zip(&shares) {
                prop_assert!((*whole as f64 - share).abs() < 1.0 + 1e-6);
            }
        }
    }
}
