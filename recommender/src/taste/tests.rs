use super::*;
use crate::factorise::Watch;
use crate::matrix::MatrixError;

fn past(items: &[(u32, f32)]) -> Vec<Past> {
    (0..).zip(items).map(|(step, &(item, weight))| Past { item, weight, step }).collect()
}

fn took(people: &[&[u32]], items: usize) -> Histories {
    let one = |taken: &&[u32]| past(&taken.iter().map(|&item| (item, 1.0)).collect::<Vec<_>>());
    Histories { people: people.iter().map(one).collect(), items }
}

/// Two groups of people with disjoint tastes: items 0 to 2 and items 3 to 5; nobody took item 6.
fn two_groups() -> Histories {
    took(&[&[0, 1, 2], &[0, 1], &[1, 2], &[3, 4, 5], &[3, 5], &[4, 5]], 7)
}

fn fitted(settings: &TasteSettings) -> Taste {
    Taste::of(&two_groups(), settings, Watch::idle()).unwrap()
}

fn scores(taste: &Taste, history: &[(u32, f32)]) -> Vec<f32> {
    let mut out = vec![f32::NAN; taste.items()];
    taste.score_into(&past(history), &mut out);
    out
}

#[test]
fn a_full_rank_model_without_ridge_gives_a_history_back() {
    // V·Vᵀ of a full basis is the identity on the row space: PureSVD by its definition.
    let settings = TasteSettings {
        rank: 6,
        item_scale: 0.0,
        ridge: 0.0,
        leverage: false,
        recency: 0.0,
        ..TasteSettings::default()
    };
    let out = scores(&fitted(&settings), &[(0, 1.0), (1, 1.0), (2, 1.0)]);
    for (score, expected) in out.iter().zip([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]) {
        assert!((score - expected).abs() < 1e-4, "{out:?}");
    }
}

#[test]
fn tastes_stay_within_their_group() {
    let taste = fitted(&TasteSettings { rank: 2, ..TasteSettings::default() });
    let out = scores(&taste, &[(3, 1.0)]);
    assert!(out[4] > 0.05 && out[5] > 0.05, "{out:?}");
    assert!(out[..3].iter().all(|score| score.abs() < 1e-4), "{out:?}");
    assert!(out[6].abs() < f32::EPSILON, "nobody took it");
    let alike = taste.similar(0, 2, &|_| true);
    let mut names: Vec<u32> = alike.iter().map(|x| x.0).collect();
    names.sort_unstable();
    assert_eq!(names, [1, 2], "{alike:?}");
    assert!(taste.similar(6, 3, &|_| true).is_empty() && taste.similar(7, 3, &|_| true).is_empty());
    assert!(taste.similar(0, 0, &|_| true).is_empty());
}

#[test]
fn ridge_and_leverage_of_a_full_rank_model_are_ease() {
    // EASE (Steck 2019): B = −P_ij / P_jj off the diagonal with P = (XᵀX + λI)⁻¹. Items a and b taken by two
    // people together and a alone by a third: XᵀX = [[3, 2], [2, 2]], mean squared norm 2.5, λ = 2.5.
    // P = [[4.5, −2], [−2, 5.5]] / 20.75, so B_ab = 2 / 5.5 from a to b is −P_ab / P_bb with P_bb = 5.5 / 20.75.
    let settings = TasteSettings {
        rank: 2,
        item_scale: 0.0,
        ridge: 1.0,
        leverage: true,
        recency: 0.0,
        ..TasteSettings::default()
    };
    let taste = Taste::of(&took(&[&[0, 1], &[0, 1], &[0]], 2), &settings, Watch::idle()).unwrap();
    let (from_a, from_b) = (scores(&taste, &[(0, 1.0)])[1], scores(&taste, &[(1, 1.0)])[0]);
    assert!((from_a - 2.0 / 5.5).abs() < 1e-5, "{from_a}");
    assert!((from_b - 2.0 / 4.5).abs() < 1e-5, "{from_b}");
}

#[test]
fn a_newer_item_weighs_more_and_a_repeat_is_as_new_as_its_last() {
    let taste = fitted(&TasteSettings { recency: 0.5, ..TasteSettings::default() });
    let shares = |history: &[(u32, f32)]| taste.shares(&past(history), &[1]).remove(0);
    let two = shares(&[(0, 1.0), (3, 1.0)]);
    assert_eq!(two[0].cause, Cause::Item(0));
    let alone = shares(&[(0, 1.0)])[0].value;
    assert!((two[0].value - alone * (-0.5_f32).exp()).abs() < 1e-6);
    let again = shares(&[(0, 1.0), (3, 1.0), (0, 2.0)]);
    assert!((again[0].value - alone * 2.0).abs() < 1e-6, "1 + 2 events count log2(4) = 2, undamped");
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let fit = |histories: &Histories, settings: &TasteSettings| Taste::of(histories, settings, Watch::idle());
    let plain = TasteSettings::default();
    assert!(matches!(fit(&took(&[], 7), &plain), Err(FitError::TooLittle { .. })));
    let outside = fit(&took(&[&[7]], 7), &plain);
    assert!(matches!(outside, Err(FitError::Matrix(MatrixError::Outside { .. }))));
    let refused = |settings: &TasteSettings| match fit(&two_groups(), settings) {
        Err(FitError::Setting { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&TasteSettings { rank: 0, ..plain.clone() }), "rank");
    assert_eq!(refused(&TasteSettings { recency: f64::NAN, ..plain }), "recency");
}
