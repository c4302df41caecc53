//! Student's t: tails and quantiles for any positive, possibly fractional, number of degrees of freedom.

use super::{beta, normal};

/// From so many degrees of freedom on the normal deviate that [`deviate`] gives is exact to rounding, and the incomplete
/// beta function is not: its argument lies too near to 1.
const MANY: f64 = 1_000.0;

/// P(|T| > |t|) with `dof` degrees of freedom: I_{ν/(ν+t²)}(ν/2, ½).
pub fn two_sided(t: f64, dof: f64) -> f64 {
    if !t.is_finite() {
        return 0.0;
    }
    if dof >= MANY {
        return 2.0 * normal::sf(deviate(t, dof));
    }
    let square = t * t;
    // Both shares are given: the first is next to 1 when ν is large.
    beta::regularised(dof / 2.0, 0.5, dof / (dof + square), square / (dof + square))
}

/// The normal deviate with the same two-sided tail as `t` (Hill 1970, ACM algorithm 395).
fn deviate(t: f64, dof: f64) -> f64 {
    let a = dof - 0.5;
    let b = 48.0 * a * a;
    let y = a * (t * t / dof).ln_1p();
    let inner = (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0;
    (inner / b + 1.0) * y.sqrt()
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

/// Density at `t` above 0.
fn density(t: f64, dof: f64) -> f64 {
    let all = dof + t * t;
    beta::density(dof / 2.0, 0.5, dof / all, t * t / all) * t * dof / (all * all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1 `t.ppf` and `t.sf`.
    #[test]
    fn quantiles_and_tails_equal_scipys() {
        for (p, dof, t) in [
            (0.975, 1.0, 12.706_204_736_174_694),
            (0.975, 22.306_8, 2.072_220_551_745_237_7),
            (0.975, 30.0, 2.042_272_456_301_238),
            (0.95, 79.3, 1.664_296_698_620_258_8),
            (0.975, 1_995.5, 1.961_153_504_111_151_6),
            (0.995, 4.5, 4.272_823_993_011_293),
            (0.975, 1e6, 1.959_966_356_814_107),
        ] {
            assert!((quantile(p, dof) / t - 1.0).abs() < 1e-12, "{p} {dof}: {} is not {t}", quantile(p, dof));
        }
        for dof in [0.7, 1.0, 3.3, 79.0, 81.0, 1e4, 1e7] {
            for p in [1e-9, 0.01, 0.3, 0.5, 0.8, 0.999] {
                assert!((cdf(quantile(p, dof), dof) - p).abs() < 1e-12, "round trip of {p} at {dof}");
            }
        }
        assert!((quantile(0.975, 1e9) - normal::quantile(0.975)).abs() < 1e-8);
    }
}
