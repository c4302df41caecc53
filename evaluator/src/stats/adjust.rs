//! Several questions asked of the same data: adjusted p-values.

/// Which error is held down over a family of comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjustment {
    /// Holm (1979): the chance of any false positive.
    Holm,
    /// Benjamini-Hochberg (1995): the expected share of false positives among the positives.
    BenjaminiHochberg,
    /// Benjamini-Yekutieli (2001): the same however the comparisons depend on each other.
    BenjaminiYekutieli,
    /// Bonferroni: the chance of any false positive, never less strict than Holm.
    Bonferroni,
    /// Šidák (1967): the same for comparisons that are independent.
    Sidak,
}

/// The p-values adjusted, in the order given; each is comparable with alpha itself.
pub fn adjusted(p_values: &[f64], adjustment: Adjustment) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut answer = vec![0.0; count];
    match adjustment {
        Adjustment::Holm => {
            let mut running = 0.0_f64;
            for (rank, &index) in order.iter().enumerate() {
                running = running.max((p_values[index] * (count - rank) as f64).min(1.0));
                answer[index] = running;
            }
        }
        Adjustment::BenjaminiHochberg | Adjustment::BenjaminiYekutieli => {
            let harmonic = || (1..=count).map(|rank| (rank as f64).recip()).sum();
            let factor: f64 = if adjustment == Adjustment::BenjaminiYekutieli { harmonic() } else { 1.0 };
            let mut running = 1.0_f64;
            for (rank, &index) in order.iter().enumerate().rev() {
                running = running.min(factor * p_values[index] * count as f64 / (rank + 1) as f64);
                answer[index] = running;
            }
        }
        Adjustment::Bonferroni => {
            answer = p_values.iter().map(|p| (p * count as f64).min(1.0)).collect();
        }
        // 1 − (1 − p)ⁿ, exact for the smallest p too.
        Adjustment::Sidak => {
            answer = p_values.iter().map(|p| -(count as f64 * (-p).ln_1p()).exp_m1()).collect();
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// statsmodels 0.15.0 `multipletests`, methods "holm" and "fdr_bh".
    #[test]
    fn adjusted_p_values_equal_statsmodels() {
        let p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216];
        let holm = [0.01, 0.072, 0.312, 0.312, 0.312, 0.312, 0.312, 0.615, 0.615, 0.615];
        let bh = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105_714_285_714_285_72, 0.216, 0.216, 0.216];
        for (adjustment, expected) in [(Adjustment::Holm, holm), (Adjustment::BenjaminiHochberg, bh)] {
            for (found, expected) in adjusted(&p, adjustment).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{adjustment:?}: {found} is not {expected}");
            }
        }
        assert!(adjusted(&[], Adjustment::Holm).is_empty());
    }
}
