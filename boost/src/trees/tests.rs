use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::{Error, Matrix, Objective, Sample};

/// Rows of three uniform features; the third tells nothing.
fn features(rows: usize, seed: u64) -> Matrix {
    let mut random = StdRng::seed_from_u64(seed);
    let values = (0..rows * 3).map(|_| random.random::<f64>()).collect();
    Matrix::new(values, rows, 3).expect("finite")
}

fn truth(row: &[f64]) -> f64 {
    4.0 * (row[0] - 0.5).abs() + if row[1] > 0.3 { 1.0 } else { 0.0 } * row[0]
}

fn squared_error(model: &Trees, features: &Matrix) -> f64 {
    let of = |row: usize| (model.predict(features.row(row)) - truth(features.row(row))).powi(2);
    (0..features.rows()).map(of).sum::<f64>() / features.rows() as f64
}

#[test]
fn a_curve_with_an_interaction_is_learnt_and_generalises() {
    let known = features(4_000, 1);
    let targets: Vec<f64> = (0..4_000).map(|row| truth(known.row(row))).collect();
    let model = fit(&Sample::new(&known, &targets), &Settings::new(Objective::Squared)).expect("fits");
    let unseen = features(1_000, 2);
    let mean = targets.iter().sum::<f64>() / 4_000.0;
    let spread = targets.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / 4_000.0;
    assert!(squared_error(&model, &unseen) < 0.005 * spread, "{}", squared_error(&model, &unseen) / spread);
    let importance = model.importance();
    assert!(importance[0] > importance[1] && importance[1] > 50.0 * importance[2], "{importance:?}");
    let (bias, parts) = model.contributions(unseen.row(0));
    assert!((bias + parts.iter().sum::<f64>() - model.score(unseen.row(0))).abs() < 1e-9);
}

/// One fork by hand: left holds targets 0, 0 and right 1, 3; the leaves are −G/(H+λ) from the mean 1.
#[test]
fn leaves_are_newton_steps() {
    let known = Matrix::new(vec![1.0, 2.0, 3.0, 4.0], 4, 1).expect("finite");
    let settings = Settings {
        rounds: 1,
        learning_rate: 1.0,
        leaves: 2,
        leaf_rows: 2,
        l2: 2.0,
        ..Settings::new(Objective::Squared)
    };
    let model = fit(&Sample::new(&known, &[0.0, 0.0, 1.0, 3.0]), &settings).expect("fits");
    assert!((model.predict(&[2.0]) - (1.0 - 2.0 / 4.0)).abs() < 1e-12);
    assert!((model.predict(&[3.0]) - (1.0 + 2.0 / 4.0)).abs() < 1e-12);
    let fork = model.trees[0].nodes[0].fork.expect("forked");
    assert!((fork.threshold - 2.5).abs() < 1e-12);
}

#[test]
fn a_weight_counts_like_so_many_rows() {
    let known = features(300, 3);
    let targets: Vec<f64> = (0..300).map(|row| truth(known.row(row))).collect();
    let weights: Vec<f64> = (0..300).map(|row| f64::from(row as u32 % 3)).collect();
    let repeated: Vec<usize> = (0..300).flat_map(|row| std::iter::repeat_n(row, row % 3)).collect();
    let again: Vec<f64> = repeated.iter().map(|&row| targets[row]).collect();
    let settings = Settings { leaf_rows: 1, rounds: 20, leaves: 4, ..Settings::new(Objective::Squared) };
    let weighted = fit(&Sample::weighted(&known, &targets, &weights), &settings).expect("fits");
    let spread_out = fit(&Sample::new(&known.select(&repeated), &again), &settings).expect("fits");
    let seen: Vec<usize> = (0..300).filter(|row| row % 3 > 0).collect();
    for row in seen {
        let (a, b) = (weighted.predict(known.row(row)), spread_out.predict(known.row(row)));
        assert!((a - b).abs() < 0.15, "{a} {b}");
    }
    assert!((weighted.base - spread_out.base).abs() < 1e-12);
}

#[test]
fn probabilities_are_calibrated_and_a_sample_without_successes_has_a_finite_score() {
    let known = features(20_000, 4);
    let mut random = StdRng::seed_from_u64(5);
    let chance = |row: &[f64]| if row[0] > 0.5 { 0.3 } else { 0.05 };
    let targets: Vec<f64> =
        (0..20_000).map(|row| f64::from(random.random_bool(chance(known.row(row))))).collect();
    let settings = Settings { rounds: 60, ..Settings::new(Objective::Logistic) };
    let model = fit(&Sample::new(&known, &targets), &settings).expect("fits");
    for (low, high, expected) in [(0.0, 0.5, 0.05), (0.5, 1.0, 0.3)] {
        let of: Vec<f64> = (0..20_000)
            .filter(|&row| (low..high).contains(&known.row(row)[0]))
            .map(|row| model.predict(known.row(row)))
            .collect();
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        assert!((mean - expected).abs() < 0.01, "{mean} is not {expected}");
    }
    let none = fit(&Sample::new(&known, &vec![0.0; 20_000]), &settings).expect("fits");
    assert!(none.score(known.row(0)).is_finite() && none.predict(known.row(0)) < 0.001);
}

#[test]
fn a_monotone_feature_never_turns_round() {
    let known = features(2_000, 6);
    let mut random = StdRng::seed_from_u64(7);
    // Truly a valley in the first feature: the constraint has to bind.
    let targets: Vec<f64> =
        (0..2_000).map(|row| truth(known.row(row)) + random.random::<f64>() - 0.5).collect();
    for (monotone, sign) in [(Monotone::Increasing, 1.0), (Monotone::Decreasing, -1.0)] {
        let settings = Settings {
            monotone: vec![monotone],
            leaf_rows: 5,
            leaves: 31,
            ..Settings::new(Objective::Squared)
        };
        let model = fit(&Sample::new(&known, &targets), &settings).expect("fits");
        for _ in 0..50 {
            let (b, c) = (random.random::<f64>(), random.random::<f64>());
            let mut before = f64::NEG_INFINITY;
            for step in 0..=100 {
                let now = sign * model.score(&[f64::from(step) / 100.0, b, c]);
                assert!(now >= before - 1e-12, "{monotone:?} at {step}");
                before = now;
            }
        }
    }
}

#[test]
fn missing_values_go_where_they_help() {
    let mut values = Vec::new();
    let mut targets = Vec::new();
    for i in 0..900_u32 {
        let (value, target) = match i % 3 {
            0 => (f64::NAN, 2.0),
            1 => (f64::from(i), 0.0),
            _ => (f64::from(i) + 10_000.0, 2.0),
        };
        values.push(value);
        targets.push(target);
    }
    let known = Matrix::new(values, 900, 1).expect("NaN is missing");
    let model = fit(&Sample::new(&known, &targets), &Settings::new(Objective::Squared)).expect("fits");
    assert!(model.predict(&[f64::NAN]) > 1.9 && model.predict(&[5.0]) < 0.1);
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let known = features(30_000, 8);
    let targets: Vec<f64> = (0..30_000).map(|row| truth(known.row(row))).collect();
    let settings = Settings {
        rounds: 10,
        rows: 0.7,
        features: 0.7,
        stopping: Some(Stopping { share: 0.2, patience: 3 }),
        seed: 9,
        ..Settings::new(Objective::Squared)
    };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let model = pool.install(|| fit(&Sample::new(&known, &targets), &settings)).expect("fits");
        (serde_json::to_string(&model).expect("plain data"), model)
    };
    let (one, once) = on(1);
    assert_eq!(one, on(3).0);
    let again: Trees = serde_json::from_str(&one).expect("reads back");
    assert_eq!(again.trees.len(), 10);
    assert!(
        (0..1_000).all(|row| again.score(known.row(row)).to_bits() == once.score(known.row(row)).to_bits())
    );
}

#[test]
fn boosting_ends_when_noise_is_all_that_is_left() {
    let known = features(2_000, 10);
    let mut random = StdRng::seed_from_u64(11);
    let targets: Vec<f64> = (0..2_000).map(|_| random.random::<f64>()).collect();
    let settings = Settings {
        stopping: Some(Stopping { share: 0.3, patience: 10 }),
        ..Settings::new(Objective::Squared)
    };
    let model = fit(&Sample::new(&known, &targets), &settings).expect("fits");
    assert!(model.trees.len() < 20, "{} trees on noise", model.trees.len());
}

#[test]
fn bad_samples_and_settings_are_refused() {
    let known = features(10, 12);
    let settings = Settings::new(Objective::Logistic);
    let refused = |targets: &[f64], weights: Option<&[f64]>, settings: &Settings| {
        fit(&Sample { features: &known, targets, weights }, settings).expect_err("refused")
    };
    assert!(matches!(refused(&[0.0; 9], None, &settings), Error::Length { what: "targets", .. }));
    assert!(matches!(refused(&[2.0; 10], None, &settings), Error::Value { what: "target", row: 0, .. }));
    assert!(matches!(refused(&[f64::NAN; 10], None, &settings), Error::Value { .. }));
    assert_eq!(refused(&[0.0; 10], Some(&[0.0; 10]), &settings), Error::Empty);
    assert!(matches!(refused(&[0.0; 10], Some(&[-1.0; 10]), &settings), Error::Value { what: "weight", .. }));
    let lame = Settings { rounds: 0, ..settings };
    assert!(matches!(refused(&[0.0; 10], None, &lame), Error::Setting { setting: "rounds", .. }));
    assert!(Matrix::new(vec![f64::INFINITY], 1, 1).is_err() && Matrix::new(vec![1.0], 2, 1).is_err());
}
