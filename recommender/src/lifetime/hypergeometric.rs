//! Gauss' hypergeometric function by its series.

/// Terms at most; 0 ≤ z < 1 of any real customer ends far before.
const TERMS: u32 = 1_000_000;

/// ₂F₁(a, b; c; z) for 0 ≤ z < 1 and c that is no whole number of at most 0.
///
/// Where c < a + b the terms grow before they fall; Euler's transformation (Abramowitz and Stegun 15.3.3) turns
/// the series into one that falls at once.
pub(super) fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    if c < a + b { (1.0 - z).powf(c - a - b) * series(c - a, c - b, c, z) } else { series(a, b, c, z) }
}

fn series(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut term, mut sum) = (1.0_f64, 1.0_f64);
    for n in 0..TERMS {
        let n = f64::from(n);
        term *= (a + n) * (b + n) / ((c + n) * (n + 1.0)) * z;
        sum += term;
        // Later terms shrink at least by z once n has passed the parameters.
        let is_falling = n > a.abs() + b.abs() + c.abs();
        if term == 0.0 || is_falling && term.abs() < 1e-16 * sum.abs() * (1.0 - z) {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elementary_cases_of_abramowitz_and_stegun() {
        let z = 0.6_f64;
        // 15.1.3: F(1, 1; 2; z) = −ln(1 − z)/z; 15.1.8: F(a, b; b; z) = (1 − z)⁻ᵃ; 15.1.4 with z².
        assert!((hypergeometric(1.0, 1.0, 2.0, z) + (1.0 - z).ln() / z).abs() < 1e-13);
        assert!((hypergeometric(2.5, 0.3, 0.3, z) - (1.0 - z).powf(-2.5)).abs() < 1e-11);
        let atanh = ((1.0 + z) / (1.0 - z)).ln() / (2.0 * z);
        assert!((hypergeometric(0.5, 1.0, 1.5, z * z) - atanh).abs() < 1e-13);
    }
}
