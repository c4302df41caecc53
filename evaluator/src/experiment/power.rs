//! How large an experiment must be, and what an experiment of a given size can find.

use crate::stats::{normal, student};

/// How two proportions' test is approximated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approximation {
    /// z with the pooled variance under the null: the test most tools run. What planning uses.
    Pooled,
    /// z with each arm's own variance.
    Unpooled,
    /// Cohen's h on the arcsine scale.
    Arcsine,
}

/// Units in the control for a two-sided test at `alpha` to find `p1` against `p0` with probability `power`, the
/// treatment having `ratio` times as many. Infinite when both are the same.
///
/// Fleiss, Levin & Paik (2003), eq. 4.14 for [`Approximation::Pooled`].
pub fn proportion_units(p0: f64, p1: f64, alpha: f64, power: f64, ratio: f64, by: Approximation) -> f64 {
    let za = normal::quantile(1.0 - alpha / 2.0);
    let zb = normal::quantile(power);
    let spread = p0 * (1.0 - p0) + p1 * (1.0 - p1) / ratio;
    let root = match by {
        Approximation::Arcsine => {
            let h = effect_h(p0, p1);
            return (za + zb).powi(2) * (1.0 + 1.0 / ratio) / (h * h);
        }
        Approximation::Unpooled => (za + zb) * spread.sqrt(),
        Approximation::Pooled => {
            let pooled = (p0 + ratio * p1) / (1.0 + ratio);
            za * (pooled * (1.0 - pooled) * (1.0 + 1.0 / ratio)).sqrt() + zb * spread.sqrt()
        }
    };
    (root / (p1 - p0)).powi(2)
}

/// Probability that `n` units an arm find `p1` against `p0` in a two-sided test at `alpha`.
pub fn proportion_power(p0: f64, p1: f64, n: f64, alpha: f64, by: Approximation) -> f64 {
    let za = normal::quantile(1.0 - alpha / 2.0);
    let (shift, null_over_alternative) = match by {
        Approximation::Arcsine => (effect_h(p0, p1) * (n / 2.0).sqrt(), 1.0),
        Approximation::Pooled | Approximation::Unpooled => {
            let alternative = p0 * (1.0 - p0) + p1 * (1.0 - p1);
            let mean = f64::midpoint(p0, p1);
            let null = if by == Approximation::Pooled { 2.0 * mean * (1.0 - mean) } else { alternative };
            ((p1 - p0) * (n / alternative).sqrt(), (null / alternative).sqrt())
        }
    };
    let bound = za * null_over_alternative;
    normal::sf(bound - shift) + normal::cdf(-bound - shift)
}

fn effect_h(p0: f64, p1: f64) -> f64 {
    2.0 * p1.sqrt().asin() - 2.0 * p0.sqrt().asin()
}

/// Units an arm for a two-sided two-sample t test at `alpha` to find a difference of `d` standard deviations with
/// probability `power`, by the noncentral t distribution. Infinite for no difference.
pub fn mean_units(d: f64, alpha: f64, power: f64) -> f64 {
    if d == 0.0 {
        return f64::INFINITY;
    }
    // The normal approximation is a lower bound, and a tight one from the start.
    let z = normal::quantile(1.0 - alpha / 2.0) + normal::quantile(power);
    let mut low = (2.0 * (z / d).powi(2)).max(2.0);
    if mean_power(d, low, alpha) >= power {
        return low;
    }
    let mut high = low + 10.0;
    while mean_power(d, high, alpha) < power {
        low = high;
        high *= 1.5;
    }
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if mean_power(d, middle, alpha) < power { low = middle } else { high = middle }
    }
    high
}

/// Probability that `n` units an arm find a difference of `d` standard deviations in a two-sided t test at `alpha`.
pub fn mean_power(d: f64, n: f64, alpha: f64) -> f64 {
    let dof = 2.0 * n - 2.0;
    let critical = student::quantile(1.0 - alpha / 2.0, dof);
    let shift = d.abs() * (n / 2.0).sqrt();
    // T' = (Z + shift) / S with S² ~ χ²/dof: average the normal tails over S by Simpson's rule. The density is
    // normalised by its own integral, so no Γ is needed.
    let spread = 1.0 / (2.0 * dof).sqrt();
    let (from, to) = ((1.0 - 12.0 * spread).max(0.0), 1.0 + 14.0 * spread);
    let steps = 2_000_u32;
    let width = (to - from) / f64::from(steps);
    let (mut mass, mut found) = (0.0, 0.0);
    for step in 0..=steps {
        let s = from + width * f64::from(step);
        let weight = if step == 0 || step == steps { 1.0 } else { 2.0 + 2.0 * f64::from(step % 2) };
        let density = if s > 0.0 { ((dof - 1.0) * s.ln() - dof * (s * s - 1.0) / 2.0).exp() } else { 0.0 };
        mass += weight * density;
        found += weight * density * (normal::sf(critical * s - shift) + normal::cdf(-critical * s - shift));
    }
    found / mass
}

#[cfg(test)]
mod tests {
    //! statsmodels 0.15.0: `NormalIndPower`, `power_proportions_2indep`, `TTestIndPower`.
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-8, "{found} is not {expected}");
    }

    #[test]
    fn sample_sizes_equal_statsmodels() {
        let (p0, p1) = (0.01, 0.01 * 1.02);
        // statsmodels' own root finder stops some 1e-6 short here.
        let arcsine = proportion_units(p0, p1, 0.05, 0.8, 1.0, Approximation::Arcsine);
        assert!((arcsine / 3_923_545.927_632_941_4 - 1.0).abs() < 1e-5, "{arcsine}");
        close(proportion_units(p0, p1, 0.05, 0.8, 1.0, Approximation::Pooled), 3_923_649.875_824_210_7);
        close(proportion_units(p0, p1, 0.05, 0.8, 1.0, Approximation::Unpooled), 3_923_647.130_321_354);
        close(mean_units(0.05, 0.05, 0.8), 6_280.048_916_291_407);
        close(mean_units(0.1, 0.01, 0.8), 2_337.452_888_074_654_8);
        assert!(mean_units(0.0, 0.05, 0.8).is_infinite());
    }

    #[test]
    fn power_equals_statsmodels() {
        close(proportion_power(0.1, 0.12, 1000.0, 0.05, Approximation::Arcsine), 0.298_654_020_845_763_37);
        close(proportion_power(0.1, 0.12, 1000.0, 0.05, Approximation::Pooled), 0.298_080_325_381_459_8);
    }
}
