//! Sample quantiles with the two order statistics that tell their error.

use crate::stats::normal;

/// The values of sorted `values` at `level` and at `level` ∓ z·√(level(1 − level)/n), z for 95 %: lower bound, estimate,
/// upper bound. Between two values they are in proportion (Hyndman & Fan 1996, definition 7). Not for no values.
pub fn sample(values: &[f64], level: f64) -> [f64; 3] {
    shares(level, values.len() as f64).map(|share| at(values, share))
}

/// The shares below the lower bound, the quantile and the upper bound of `count` values.
pub fn shares(level: f64, count: f64) -> [f64; 3] {
    let reach = normal::quantile(0.975) * (level * (1.0 - level) / count).sqrt();
    [(level - reach).max(0.0), level, (level + reach).min(1.0)]
}

fn at(values: &[f64], share: f64) -> f64 {
    let last = values.len() - 1;
    let place = share * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    values[below] + (values[above] - values[below]) * (place - below as f64)
}
