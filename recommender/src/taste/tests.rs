use super::*;
use proptest::prelude::*;

fn took(pairs: &[(u32, u32)]) -> Vec<Interaction> {
    let event = |(at, &(user, item))| Interaction { user, item, weight: 1.0, at: at as i64 };
    pairs.iter().enumerate().map(event).collect()
}

/// Two groups of people with disjoint tastes: items 0 to 2 and items 3 to 5; nobody took item 6.
fn two_groups() -> Vec<Interaction> {
    took(&[
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (2, 1),
        (2, 2),
        (3, 3),
        (3, 4),
        (3, 5),
        (4, 3),
        (4, 5),
        (5, 4),
        (5, 5),
    ])
}

fn fitted(settings: &TasteSettings) -> Taste {
    Taste::fit(&two_groups(), 6, 7, settings, &|_, _| {}).unwrap()
}

fn scores(taste: &Taste, history: &[(u32, f32)]) -> Vec<f32> {
    let mut out = vec![f32::NAN; taste.items()];
    taste.score_into(&taste.fold(history), &mut out);
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
    let alike = taste.similar(0, 2);
    let mut names: Vec<u32> = alike.iter().map(|x| x.0).collect();
    names.sort_unstable();
    assert_eq!(names, [1, 2], "{alike:?}");
    assert!(taste.similar(6, 3).is_empty() && taste.similar(7, 3).is_empty());
    assert!(taste.similar(0, 0).is_empty());
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
    let events = took(&[(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]);
    let taste = Taste::fit(&events, 3, 2, &settings, &|_, _| {}).unwrap();
    let (from_a, from_b) = (scores(&taste, &[(0, 1.0)])[1], scores(&taste, &[(1, 1.0)])[0]);
    assert!((from_a - 2.0 / 5.5).abs() < 1e-5, "{from_a}");
    assert!((from_b - 2.0 / 4.5).abs() < 1e-5, "{from_b}");
}

#[test]
fn a_newer_item_weighs_more_and_a_repeat_is_as_new_as_its_last() {
    let taste = fitted(&TasteSettings { recency: 0.5, ..TasteSettings::default() });
    let shares = taste.contributions(&[(0, 1.0), (3, 1.0)], 1);
    assert_eq!(shares[0].0, 0);
    let alone = taste.contributions(&[(0, 1.0)], 1)[0].1;
    assert!((shares[0].1 - alone * (-0.5_f32).exp()).abs() < 1e-6);
    let again = taste.contributions(&[(0, 1.0), (3, 1.0), (0, 2.0)], 1);
    assert!((again[0].1 - alone * 2.0).abs() < 1e-6, "1 + 2 events count log2(4) = 2, undamped");
}

#[test]
fn a_model_comes_back_from_its_bytes_and_others_are_refused() {
    let taste = fitted(&TasteSettings::default());
    let data = taste.to_safetensors().unwrap();
    assert_eq!(Taste::from_safetensors(&data).unwrap(), taste);
    assert_eq!(taste.to_safetensors().unwrap(), data);
    for broken in [&data[..0], &data[..20], &data[..data.len() - 1]] {
        assert!(matches!(Taste::from_safetensors(broken), Err(TasteError::Artefact(_))));
    }
    let bare = safetensors::serialize(Vec::<(&str, safetensors::tensor::TensorView)>::new(), None).unwrap();
    assert!(matches!(Taste::from_safetensors(&bare), Err(TasteError::Artefact(_))));
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let fit =
        |events: &[Interaction], settings: &TasteSettings| Taste::fit(events, 6, 7, settings, &|_, _| {});
    let plain = TasteSettings::default();
    assert!(matches!(fit(&[], &plain), Err(TasteError::Svd(SvdError::Empty { .. }))));
    assert!(matches!(fit(&took(&[(6, 0)]), &plain), Err(TasteError::Matrix(MatrixError::Outside { .. }))));
    let nan = [Interaction { user: 0, item: 0, weight: f32::NAN, at: 0 }];
    assert!(matches!(fit(&nan, &plain), Err(TasteError::Matrix(MatrixError::NotFinite { .. }))));
    let refused = fit(&two_groups(), &TasteSettings { rank: 0, ..plain.clone() });
    assert!(matches!(refused, Err(TasteError::Setting { field: "rank", .. })));
    let refused = fit(&two_groups(), &TasteSettings { recency: f64::NAN, ..plain });
    assert!(matches!(refused, Err(TasteError::Setting { field: "recency", .. })));
}

proptest! {
    #[test]
    fn the_contributions_sum_to_the_score(
        history in proptest::collection::vec((0u32..9, -1.0f32..3.0), 0..20),
        recency in 0.0f64..1.0,
        tail in 0.0f64..2.0,
    ) {
        let taste = fitted(&TasteSettings { recency, tail, ..TasteSettings::default() });
        let out = scores(&taste, &history);
        for item in 0..7u32 {
            let shares = taste.contributions(&history, item);
            let sum: f32 = shares.iter().map(|x| x.1).sum();
            prop_assert!((sum - out[item as usize]).abs() < 1e-4, "{sum} and {}", out[item as usize]);
            prop_assert!(shares.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
    }
}
