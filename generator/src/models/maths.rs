//! Small vector arithmetic, written so that the compiler turns it into wide instructions.
//!
//! Every function works on one row alone and in one order, so a row's result never depends on what else is in
//! the batch. The functions are inlined into closures that `pulp` compiles for the widest registers at hand.

#![allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]

/// How many floats are worked on side by side.
pub const LANES: usize = 16;

/// e to the x, to about seven digits, without a branch.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to the nearest whole number
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut sum = 1.987_569_2e-4;
    for factor in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        sum = sum * rest + factor;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    (sum * rest * rest + rest + 1.0) * power
}

/// The sum of a row's products with another.
#[inline(always)]
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (a, b) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Scales a row to unit root mean square, then by `weight`.
#[inline(always)]
pub fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let scale = 1.0 / (dot(row, row) / row.len() as f32 + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(row).zip(weight) {
        *out = x * scale * weight;
    }
}

/// `gate` becomes silu(gate) · up.
#[inline(always)]
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp(-*gate)) * up;
    }
}

/// `gate` becomes gelu(gate) · up, GELU by its approximation with the hyperbolic tangent.
#[inline(always)]
pub fn geglu(gate: &mut [f32], up: &[f32]) {
    const ROOT: f32 = 0.797_884_6; // √(2/π)
    for (gate, up) in gate.iter_mut().zip(up) {
        let inner = ROOT * (*gate + 0.044_715 * *gate * *gate * *gate);
        // x · (1 + tanh u) / 2 is x / (1 + e^−2u).
        *gate = *gate / (1.0 + exp(-2.0 * inner)) * up;
    }
}

/// Adds one row to another.
#[inline(always)]
pub fn add(to: &mut [f32], row: &[f32]) {
    for (to, x) in to.iter_mut().zip(row) {
        *to += x;
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "whole numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let true_value = f64::from(x).exp();
            let error = (f64::from(exp(x)) - true_value).abs() / true_value;
            assert!(error < 4e-7, "exp({x}) is off by {error}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1000.0) < 1e-37);
    }

    #[test]
    fn gelu_is_that_of_the_paper() {
        // Hendrycks and Gimpel 2016: x·Φ(x); the approximation is within 5e-4 of it.
        let mut gate = [-3.0, -1.0, 0.0, 1.0, 3.0];
        geglu(&mut gate, &[1.0; 5]);
        for (found, wanted) in gate.into_iter().zip([-0.00405, -0.15866, 0.0, 0.84134, 2.99595]) {
            assert!((found - wanted).abs() < 5e-4, "{found}, not {wanted}");
        }
    }

    #[test]
    fn dot_takes_the_remainder_too() {
        let row: Vec<f32> = (0..35).map(|x| x as f32).collect();
        assert_eq!(dot(&row, &row), 13_685.0);
    }
}
