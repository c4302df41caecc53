//! The χ² distribution and the goodness-of-fit test.

use statrs::function::gamma::checked_gamma_ur;

/// P(X > `statistic`) for χ² with `dof` degrees of freedom.
pub fn sf(statistic: f64, dof: f64) -> f64 {
    if statistic <= 0.0 {
        return 1.0;
    }
    checked_gamma_ur(dof / 2.0, statistic / 2.0).map_or(0.0, |tail| tail.clamp(0.0, 1.0))
}

/// Pearson's χ² of `observed` counts against `expected` shares (any positive scale): (statistic, p).
///
/// Cells with no expected share are left out, as GrowthBook's back end does (its Python `check_srm` keeps them and
/// divides by zero). `None` when fewer than two cells remain or nothing was observed in them.
pub fn goodness_of_fit(observed: &[f64], expected: &[f64]) -> Option<(f64, f64)> {
    let cells: Vec<(f64, f64)> =
        observed.iter().copied().zip(expected.iter().copied()).filter(|(_, share)| *share > 0.0).collect();
    let total: f64 = cells.iter().map(|(count, _)| count).sum();
    let shares: f64 = cells.iter().map(|(_, share)| share).sum();
    if cells.len() < 2 || total <= 0.0 || !shares.is_finite() {
        return None;
    }
    let statistic = cells
        .iter()
        .map(|(count, share)| {
            let expected = total * share / shares;
            (count - expected).powi(2) / expected
        })
        .sum();
    Some((statistic, sf(statistic, (cells.len() - 1) as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GrowthBook gbstats 0.8.0 `check_srm` and, for the zero weight, scipy 1.17.1 `chisquare` on the other two.
    #[test]
    fn sample_ratio_p_values_equal_the_references() {
        for (observed, weights, p) in [
            (vec![1000.0, 1000.0], vec![0.5, 0.5], 1.0),
            (vec![1000.0, 1100.0], vec![0.5, 0.5], 0.029_096_331_741_252_267),
            (vec![10_000.0, 10_300.0], vec![0.5, 0.5], 0.035_240_223_824_274_594),
            (vec![5000.0, 2500.0, 2600.0], vec![0.5, 0.25, 0.25], 0.226_468_704_212_801_24),
            (vec![44_700.0, 45_489.0], vec![0.5, 0.5], 0.008_607_987_810_836_262),
            (vec![900.0, 101.0], vec![9.0, 1.0], 0.924_457_061_096_049),
        ] {
            let (_, found) = goodness_of_fit(&observed, &weights).expect("enough cells");
            assert!((found - p).abs() < 1e-12, "{observed:?}: {found} is not {p}");
        }
        let (_, zero_weight) =
            goodness_of_fit(&[1000.0, 1200.0, 900.0], &[0.5, 0.5, 0.0]).expect("two cells");
        assert!((zero_weight - 2.0e-5).abs() < 1e-6, "{zero_weight}");
        assert_eq!(goodness_of_fit(&[0.0, 0.0], &[0.5, 0.5]), None);
    }
}
