//! Whether each learner learns, on a problem whose best answer is known.

use ndarray::Array2;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Probability ½ + ½·sign(x·y) of 0.9 or 0.1, moved by a category; z is noise.
fn sample(rows: usize, seed: u64) -> (Sample, Vec<f64>) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut values = Array2::zeros((rows, 4));
    let (mut outcomes, mut truth) = (Vec::new(), Vec::new());
    for mut row in values.rows_mut() {
        let (x, y) = (random.random_range(-1.0..1.0), random.random_range(-1.0..1.0));
        let level = random.random_range(0..3_u8);
        row.assign(&ndarray::arr1(&[x, y, random.random_range(-1.0..1.0), f64::from(level)]));
        let odds: f64 = 4.0 * f64::signum(x * y) + 2.0 * x + [-1.0, 0.0, 1.0][usize::from(level)];
        let p = probability(odds);
        truth.push(p);
        outcomes.push(random.random_bool(p));
    }
    let mut features = ["x", "y", "z"].map(Feature::number).to_vec();
    features.push(Feature { name: "level".into(), levels: ["a", "b", "c"].map(str::to_owned).to_vec() });
    let groups = (0..rows as u32).collect();
    (Sample { features, values, outcomes, groups }, truth)
}

#[test]
fn learners_come_near_the_truth_and_the_nearest_is_chosen() {
    let (sample, truth) = sample(3_000, 5);
    let best = quality(&truth, &sample.outcomes);
    let (intent, report) = choose(&sample, &Learner::ALL, 3, 7, &|_| true).expect("chooses");
    let of = |learner| report.learners.iter().find(|one| one.learner == learner).expect("tried").quality;
    // What two columns do only together no straight line can tell; trees and networks can.
    assert!(of(Learner::Logistic).auc < 0.75, "{report:#?}");
    for learner in [Learner::Tree, Learner::Boosting, Learner::Network] {
        assert!(of(learner).auc > best.auc - 0.05, "{learner}: {:?} of {best:?}", of(learner));
    }
    // linfa draws the columns once a tree, so that few trees see the two that belong together.
    assert!(of(Learner::Forest).auc > 0.85, "{report:#?}");
    assert!(report.calibrated.log_loss < best.log_loss + 0.04, "{report:#?}");
    assert!(report.calibrated.calibration_error < 0.03, "{report:#?}");
    assert_eq!(report.chosen, report.learners[0].learner);

    let row = sample.values.row(0).to_vec();
    let drivers = intent.drivers(&row);
    let at = |row: &[f64]| {
        let row = ndarray::ArrayView2::from_shape((1, 4), row).expect("a row");
        log_odds(intent.probabilities(row)[0])
    };
    let sum: f64 = drivers.iter().sum();
    assert!((sum - (at(&row) - at(&intent.usual))).abs() < 1e-6, "the drivers add up: {drivers:?}");

    let stored = serde_json::to_string(&intent).expect("stored");
    let again: Intent = serde_json::from_str(&stored).expect("read");
    assert_eq!(again.probabilities(sample.values.view()), intent.probabilities(sample.values.view()));
}

#[test]
fn one_outcome_alone_teaches_nothing() {
    let (mut sample, _) = sample(100, 1);
    sample.outcomes.fill(false);
    let refused = choose(&sample, &Learner::ALL, 3, 7, &|_| true);
    assert!(matches!(refused, Err(IntentError::TooFew { positives: 0, .. })));
}
