//! Student's t: tails and quantiles for any positive, possibly fractional, number of degrees of freedom.

use statrs::function::gamma::ln_gamma;

use super::normal;

/// P(|T| > |t|) with `dof` degrees of freedom.
///
/// I_{ν/(ν+t²)}(ν/2, ½), the regularised incomplete beta function; DLMF 8.17.22 for its continued fraction.
pub fn two_sided(t: f64, dof: f64) -> f64 {
    if !t.is_finite() {
        return 0.0;
    }
    if t == 0.0 {
        return 1.0;
    }
    let square = t * t;
    // y = 1 − x is kept apart: x is next to 1 when ν is large.
    let y = square / (dof + square);
    let x = dof / (dof + square);
    let a = dof / 2.0;
    let ln_x = if y < 0.5 { (-y).ln_1p() } else { x.ln() };
    let front = (a * ln_x + 0.5 * y.ln() - ln_beta_half(a)).exp();
    let tail = if x < (a + 1.0) / (a + 2.5) {
        front * continued_fraction(a, 0.5, x) / a
    } else {
        1.0 - front * continued_fraction(0.5, a, y) / 0.5
    };
    tail.clamp(0.0, 1.0)
}

/// P(T ≤ t) with `dof` degrees of freedom.
pub fn cdf(t: f64, dof: f64) -> f64 {
    let tail = 0.5 * two_sided(t, dof);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// P(T > t) with `dof` degrees of freedom.
pub fn sf(t: f64, dof: f64) -> f64 {
    cdf(-t, dof)
}

/// Density at `t`.
pub fn density(t: f64, dof: f64) -> f64 {
    (-ln_beta_half(dof / 2.0) - 0.5 * dof.ln() - 0.5 * (dof + 1.0) * (t * t / dof).ln_1p()).exp()
}

/// The t with P(T ≤ t) = `p`, for `p` in (0, 1); ±∞ at the ends.
pub fn quantile(p: f64, dof: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    if (p - 0.5).abs() < f64::EPSILON {
        return 0.0;
    }
    if p < 0.5 {
        return -upper_quantile(p, dof);
    }
    upper_quantile(1.0 - p, dof)
}

/// The t > 0 with P(T > t) = `tail`: a bracket found by doubling, then Newton steps kept inside it.
fn upper_quantile(tail: f64, dof: f64) -> f64 {
    let mut low = 0.0;
    let mut high = (-normal::quantile(tail)).max(1.0);
    while sf(high, dof) > tail && high < 1e300 {
        low = high;
        high *= 2.0;
    }
    let mut t = (-normal::quantile(tail)).clamp(low, high);
    for _ in 0..200 {
        let difference = sf(t, dof) - tail;
        if difference > 0.0 {
            low = t;
        } else {
            high = t;
        }
        let newton = t + difference / density(t, dof);
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - t).abs() <= 1e-15 * t.abs() {
            return next;
        }
        t = next;
    }
    t
}

/// ln B(a, ½) = ln Γ(a) + ln Γ(½) − ln Γ(a + ½); the asymptotic series where the difference of two ln Γ would
/// lose digits (DLMF 5.11.13).
fn ln_beta_half(a: f64) -> f64 {
    const LN_GAMMA_HALF: f64 = 0.572_364_942_924_700_1;
    if a < 40.0 {
        return ln_gamma(a) + LN_GAMMA_HALF - ln_gamma(a + 0.5);
    }
    let inverse = 1.0 / a;
    let square = inverse * inverse;
    let ratio = 0.5 * a.ln()
        - inverse * (1.0 / 8.0 - square * (1.0 / 192.0 - square * (1.0 / 640.0 - square * 17.0 / 14_336.0)));
    LN_GAMMA_HALF - ratio
}

/// The continued fraction of the incomplete beta function by Lentz's method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..200_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let change = d * c;
        result *= change;
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1 `t.ppf` and `t.sf`.
    #[test]
    fn quantiles_and_tails_equal_scipys() {
        for (p, dof, t) in [
            (0.975, 1.0, 12.706_204_736_432_095),
            (0.975, 30.0, 2.042_272_456_301_238),
            (0.975, 1_995.5, 1.961_153_504_111_151_6),
            (0.995, 4.5, 4.272_823_993_011_293),
        ] {
            assert!((quantile(p, dof) / t - 1.0).abs() < 1e-10, "{p} {dof}: {} is not {t}", quantile(p, dof));
        }
        for dof in [0.7, 1.0, 3.3, 79.0, 81.0, 1e4, 1e7] {
            for p in [1e-9, 0.01, 0.3, 0.5, 0.8, 0.999] {
                let slack = if dof > 1e6 { 1e-9 } else { 1e-12 };
                assert!((cdf(quantile(p, dof), dof) - p).abs() < slack, "round trip of {p} at {dof}");
            }
        }
        assert!((quantile(0.975, 1e9) - normal::quantile(0.975)).abs() < 1e-8);
    }
}
