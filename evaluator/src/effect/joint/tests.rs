use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Six features, of which the first moves what the arms do and the others nothing; the arms are a family of depths.
fn drawn(rows: usize, curved: bool, seed: u64) -> (Matrix, Vec<usize>, Vec<f64>, Vec<Vec<f64>>) {
    let mut random = StdRng::seed_from_u64(seed);
    let arms: Vec<Vec<f64>> = [0.0, 0.05, 0.1, 0.2].into_iter().map(|depth| vec![depth]).collect();
    let (mut features, mut action, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let row: Vec<f64> = (0..6).map(|_| random.random_range(-1.7..1.7)).collect();
        let arm = random.random_range(0..4);
        let chance = truth(&row, arms[arm][0], curved);
        features.extend(&row);
        action.push(arm);
        values.push(f64::from(u8::from(random.random_bool(chance))));
    }
    (Matrix::new(features, rows, 6).expect("finite"), action, values, arms)
}

fn truth(row: &[f64], depth: f64, curved: bool) -> f64 {
    let bend = if curved { 3.0 * row[0] * row[1] } else { 0.0 };
    boost::sigmoid(-2.0 + 0.4 * row[2] + depth * (2.0 + 4.0 * row[0] + bend))
}

fn misses(rows: usize, curved: bool) -> (Line, f64) {
    let (features, action, values, arms) = drawn(rows, curved, 3);
    let objective = Objective::Logistic;
    let line = Lesson { features: &features, action: &action, arms: &arms, values: &values, objective }.fit();
    let line = line.expect("fits");
    let (unseen, ..) = drawn(2_000, curved, 4);
    let effect = |row: &[f64]| line.predict(row, 3, &arms) - line.predict(row, 0, &arms);
    let wanted = |row: &[f64]| truth(row, 0.2, curved) - truth(row, 0.0, curved);
    let mean = (0..2_000).map(|row| wanted(unseen.row(row))).sum::<f64>() / 2_000.0;
    let (mut missed, mut of_mean) = (0.0, 0.0);
    for row in 0..2_000 {
        missed += (effect(unseen.row(row)) - wanted(unseen.row(row))).powi(2);
        of_mean += (mean - wanted(unseen.row(row))).powi(2);
    }
    (line, missed / of_mean)
}

#[test]
fn whom_the_arms_move_is_learnt_from_few_rows_and_products_only_from_enough() {
    let (plain, missed) = misses(20_000, false);
    assert!(missed < 0.15, "{missed} of the effects' variance is missed");
    assert!(plain.basis.of(&[0.0; 6]).len() == 7, "there is no evidence for products");
    let (curved, missed) = misses(100_000, true);
    assert!(curved.basis.of(&[0.0; 6]).len() == 28, "the product is seen");
    assert!(missed < 0.15, "{missed}");
}

#[test]
fn amounts_are_learnt_up_to_their_noise() {
    let (features, action, _, arms) = drawn(3_000, false, 5);
    let mut random = StdRng::seed_from_u64(6);
    let wanted = |row: &[f64], arm: usize| 5_000.0 + 900.0 * row[1] - 6_000.0 * arms[arm][0];
    let values: Vec<f64> = (0..3_000)
        .map(|row| wanted(features.row(row), action[row]) + random.random_range(-1_000.0..1_000.0))
        .collect();
    let objective = Objective::Squared;
    let line = Lesson { features: &features, action: &action, arms: &arms, values: &values, objective }
        .fit()
        .expect("fits");
    for arm in 0..4 {
        let row = [0.3, -1.0, 0.0, 1.0, 0.5, f64::NAN];
        let missed = line.predict(&row, arm, &arms) - wanted(&row, arm);
        assert!(missed.abs() < 80.0, "arm {arm} misses by {missed}");
    }
}
