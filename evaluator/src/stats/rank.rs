//! Two samples compared by rank and by distribution: no shape is assumed.

use super::normal;

/// A statistic with its two-sided p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// The statistic.
    pub statistic: f64,
    /// Its p-value.
    pub p_value: f64,
}

/// Up to so many pairs of values the distribution of the Kolmogorov-Smirnov distance is counted out.
const COUNTED: f64 = 1e8;

/// Mann & Whitney's U (1947) of `treatment` over `control`, by the normal approximation with ties and continuity
/// corrected for. `None` where either is empty or all values are the same.
pub fn mann_whitney(control: &[f64], treatment: &[f64]) -> Option<Test> {
    let (n0, n1) = (control.len() as f64, treatment.len() as f64);
    let n = n0 + n1;
    let mut all: Vec<(f64, bool)> = control.iter().map(|value| (signless(*value), false)).collect();
    all.extend(treatment.iter().map(|value| (signless(*value), true)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let count = same.len() as f64;
        let treated = same.iter().filter(|(_, treated)| *treated).count() as f64;
        ranks += treated * (before + f64::midpoint(1.0, count));
        ties += count.powi(3) - count;
        before += count;
    }
    let statistic = ranks - n1 * (n1 + 1.0) / 2.0;
    let variance = n0 * n1 / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if !(n0 > 0.0 && n1 > 0.0 && variance > 0.0) {
        return None;
    }
    let distance = ((statistic - n0 * n1 / 2.0).abs() - 0.5).max(0.0);
    Some(Test { statistic, p_value: (2.0 * normal::sf(distance / variance.sqrt())).min(1.0) })
}

/// The greatest distance of the two samples' distribution functions (Smirnov 1939), its p-value counted out, or for
/// very many values in the limit. `None` where either is empty.
pub fn kolmogorov_smirnov(control: &[f64], treatment: &[f64]) -> Option<Test> {
    if control.is_empty() || treatment.is_empty() {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut values: Vec<f64> = values.iter().map(|value| signless(*value)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(control), sorted(treatment));
    let (m, n) = (a.len() as f64, b.len() as f64);
    let (mut i, mut j, mut statistic) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let here = a[i].min(b[j]);
        i += a[i..].iter().take_while(|value| **value <= here).count();
        j += b[j..].iter().take_while(|value| **value <= here).count();
        statistic = statistic.max((i as f64 / m - j as f64 / n).abs());
    }
    let p_value =
        if m * n <= COUNTED { counted(a.len(), b.len(), statistic) } else { limit(m, n, statistic) };
    Some(Test { statistic, p_value })
}

/// Zero without a sign, so that both zeros are one value.
fn signless(value: f64) -> f64 {
    value + 0.0
}

/// P(D ≥ `distance`) over all orders of `m` and `n` values: the share of lattice paths that leave the band.
fn counted(m: usize, n: usize, distance: f64) -> f64 {
    let (m_f, n_f) = (m as f64, n as f64);
    // Distances are multiples of 1/(mn); half a step below stands clear of rounding.
    let band = (0.5 + (distance * m_f * n_f - 1e-7).floor()) / (m_f * n_f);
    let outside = |i: usize, j: usize| (i as f64 / m_f - j as f64 / n_f).abs() > band;
    let mut inside: Vec<f64> = (0..=n).map(|j| f64::from(u8::from(!outside(0, j)))).collect();
    for i in 1..=m {
        let stay = i as f64 / (i as f64 + n_f);
        inside[0] = if outside(i, 0) { 0.0 } else { stay * inside[0] };
        for j in 1..=n {
            inside[j] = if outside(i, j) { 0.0 } else { stay * inside[j] + inside[j - 1] };
        }
    }
    (1.0 - inside[n]).clamp(0.0, 1.0)
}

/// Kolmogorov's limit 2·Σ (−1)^(k−1)·exp(−2k²λ²).
fn limit(m: f64, n: f64, distance: f64) -> f64 {
    let lambda = distance * (m * n / (m + n)).sqrt();
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: f64| (-2.0 * k * k * lambda * lambda).exp();
    let sum: f64 = (1..=100).map(|k| if k % 2 == 1 { term(f64::from(k)) } else { -term(f64::from(k)) }).sum();
    (2.0 * sum).clamp(0.0, 1.0)
}
