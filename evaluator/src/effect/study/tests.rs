use boost::{Matrix, Objective};
use rand::Rng as _;

use super::*;
use crate::effect::joint::Steps;

/// Two offers, of which the first moves those with a large first feature and the second nobody.
fn drawn(rows: usize) -> (Panel, Vec<f64>) {
    let mut random = StdRng::seed_from_u64(41);
    let (mut features, mut action, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let row: Vec<f64> = (0..3).map(|_| random.random_range(-1.7..1.7)).collect();
        let arm = random.random_range(0..3);
        let lift = if arm == 1 && row[0] > 0.5 { 1.5 } else { 0.0 };
        values.push(f64::from(u8::from(random.random_bool(boost::sigmoid(-1.5 + 0.5 * row[1] + lift)))));
        features.extend(row);
        action.push(arm);
    }
    let described = [("none", 0.0), ("a", 0.1), ("b", 0.1)];
    let panel = Panel {
        features: Matrix::new(features, rows, 3).expect("finite"),
        of_time: 0,
        action,
        propensity: vec![1.0 / 3.0; rows],
        arms: described.iter().map(|(_, depth)| vec![*depth]).collect(),
        steps: Steps::new(&described.map(|(family, depth)| (family.to_owned(), depth))),
        bought: None,
    };
    (panel, values)
}

fn studied(rows: usize) -> (Panel, Vec<usize>, Study) {
    let (panel, values) = drawn(rows);
    let folds = folds_of(rows, 4, 5);
    let target = Target { values: &values, objective: Objective::Logistic, event: None, discount: None };
    let study = study(&panel, target, &folds, 4, 6).expect("studies");
    (panel, folds, study)
}

/// What is stored to judge a person by is what the study judged by: models and weights without the person's fold.
#[test]
fn the_blend_of_a_fold_says_what_was_said_of_its_rows_unseen() {
    let (panel, folds, study) = studied(4_000);
    let mut apart = 0.0_f64;
    for row in (0..panel.rows()).step_by(7) {
        let x = panel.features.row(row);
        let (control, effects) = study.by_fold[folds[row]].predict(x, &panel.arms);
        assert!((control - study.control_unseen[row]).abs() < 1e-12, "control of row {row}");
        assert_eq!((effects.len(), study.arms.len()), (3, 2), "the control and two arms");
        for (effect, arm) in effects[1..].iter().zip(&study.arms) {
            let unseen = arm.unseen[row];
            assert!((effect - unseen).abs() < 1e-12, "row {row}: {effect} and {unseen}");
        }
        let (_, seen) = study.blend.predict(x, &panel.arms);
        apart = apart.max((seen[1] - effects[1]).abs());
    }
    assert!(apart > 1e-6, "and not what the models of all rows say");
}

#[test]
fn whom_an_offer_moves_is_found_and_nobody_where_it_moves_nobody() {
    let (panel, _, study) = studied(12_000);
    let effects = |x: f64| study.blend.predict(&[x, 0.0, 0.0], &panel.arms).1;
    assert!(effects(1.2)[1] > 0.2, "{:?}", effects(1.2));
    assert!(effects(-1.2)[1].abs() < 0.06, "{:?}", effects(-1.2));
    for x in [-1.2, 0.0, 1.2] {
        assert!(effects(x)[2].abs() < 0.06, "{:?} at {x}", effects(x));
    }
    let arm = &study.arms[0];
    assert!(arm.dr_loss < arm.constant_loss, "{} and {}", arm.dr_loss, arm.constant_loss);
}
