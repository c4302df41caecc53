//! What moved a prediction: Shapley values of the log-odds against an ordinary row, by sampled orders of the features
//! (Štrumbelj and Kononenko 2014), each order also taken backwards.

use ndarray::{Array2, ArrayView2};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// Orders taken forwards.
const ORDERS: usize = 8;
/// The same orders for every row: equal rows have equal drivers.
const SEED: u64 = 42;

/// Each feature's share of `of(row)` − `of(usual)`; they sum to it but for rounding.
pub(super) fn shapley(row: &[f64], usual: &[f64], of: &dyn Fn(ArrayView2<'_, f64>) -> Vec<f64>) -> Vec<f64> {
    let width = row.len();
    let mut random = StdRng::seed_from_u64(SEED);
    let mut order: Vec<usize> = (0..width).collect();
    let mut orders = Vec::with_capacity(2 * ORDERS);
    for _ in 0..ORDERS {
        order.shuffle(&mut random);
        orders.push(order.clone());
        orders.push(order.iter().rev().copied().collect());
    }
    // From the ordinary row to this one, a feature at a time.
    let mut between = Array2::zeros((orders.len() * (width + 1), width));
    for (walk, order) in orders.iter().enumerate() {
        let mut now = usual.to_vec();
        for step in 0..=width {
            between.row_mut(walk * (width + 1) + step).assign(&ndarray::ArrayView1::from(&now));
            if let Some(feature) = order.get(step) {
                now[*feature] = row[*feature];
            }
        }
    }
    let scores = of(between.view());
    let mut shares = vec![0.0; width];
    for (walk, order) in orders.iter().enumerate() {
        let scores = &scores[walk * (width + 1)..];
        for (step, feature) in order.iter().enumerate() {
            shares[*feature] += (scores[step + 1] - scores[step]) / orders.len() as f64;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_where_features_add_and_split_what_two_do_together() {
        // 2x + yz from (0, 0, 0) to (1, 1, 1): x has 2, y and z half of 1 each.
        let of =
            |rows: ArrayView2<'_, f64>| rows.rows().into_iter().map(|r| 2.0 * r[0] + r[1] * r[2]).collect();
        let shares = shapley(&[1.0, 1.0, 1.0], &[0.0; 3], &of);
        assert!((shares[0] - 2.0).abs() < 1e-12, "{shares:?}");
        // An order and its reverse give the last of y and z the product once each.
        assert!((shares[1] - 0.5).abs() < 1e-12 && (shares[2] - 0.5).abs() < 1e-12, "{shares:?}");
    }
}
