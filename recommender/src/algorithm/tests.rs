use proptest::prelude::*;

use super::*;
use crate::taste::TasteSettings;

/// People who take 0, then 1, then 2; others 3, then 4; nobody took 5.
pub(crate) fn chains() -> Histories {
    let chain = |items: &[u32]| -> Vec<Past> {
        (0..).zip(items).map(|(step, &item)| Past { item, weight: 1.0, step }).collect()
    };
    let people = (0..12).map(|n| if n % 2 == 0 { chain(&[0, 1, 2]) } else { chain(&[3, 4]) });
    Histories { people: people.collect(), items: 6 }
}

pub(crate) fn all() -> Vec<Settings> {
    let kinds = [
        Algorithm::Svd,
        Algorithm::Als,
        Algorithm::Ease,
        Algorithm::ItemKnn,
        Algorithm::Transition,
        Algorithm::Popularity,
    ];
    let mut all: Vec<Settings> = kinds.map(|kind| Settings::of(kind, 7)).into();
    all.push(Settings::of(Algorithm::Transition, 7).with("joint", 1.0));
    all.push(Settings::of(Algorithm::ItemKnn, 7).with("k1", 1.2));
    let parts = all.iter().map(|settings| Part { weight: 0.3, settings: settings.clone() }).collect();
    all.push(Settings::Blend(BlendSettings { parts }));
    all
}

fn scores(model: &dyn Model, past: &[Past]) -> Vec<f32> {
    let mut out = vec![f32::NAN; model.items()];
    model.score_into(past, &mut out);
    out
}

fn past(items: &[u32]) -> Vec<Past> {
    (0..).zip(items).map(|(step, &item)| Past { item, weight: 1.0, step }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_shares_of_every_algorithm_sum_to_the_score(
        which in 0..all().len(),
        history in proptest::collection::vec((0_u32..8, -1.0_f32..3.0, 0_u32..3), 0..20),
    ) {
        let settings = &all()[which];
        let model = fit(settings, &chains(), Watch::idle()).expect("fits");
        let mut step = 0;
        let past = history.iter().map(|&(item, weight, pause)| {
            step += pause;
            Past { item, weight, step }
        });
        let past: Vec<Past> = past.collect();
        let scores = scores(model.as_ref(), &past);
        let scale = scores.iter().fold(0.0_f64, |most, score| most.max(f64::from(score.abs())));
        for (shares, &score) in model.shares(&past, &[0, 1, 2, 3, 4, 5]).iter().zip(&scores) {
            let sum: f64 = shares.iter().map(|share| f64::from(share.value)).sum();
            let size: f64 = shares.iter().map(|share| f64::from(share.value.abs())).sum();
            let apart = (sum - f64::from(score)).abs();
            prop_assert!(apart <= 1e-5 * size.max(scale), "{settings:?}: {sum}, not {score}");
            prop_assert!(shares.windows(2).all(|pair| pair[0].value >= pair[1].value));
        }
    }
}

#[test]
fn every_model_comes_back_from_its_bytes_bit_for_bit() {
    for settings in all() {
        let model = fit(&settings, &chains(), Watch::idle()).expect("fits");
        let data = to_safetensors(model.as_ref()).expect("written");
        let back = from_safetensors(&data).expect("read");
        assert_eq!((back.settings(), back.popularity()), (model.settings(), model.popularity()));
        assert_eq!(to_safetensors(back.as_ref()).expect("written"), data);
        for history in [past(&[0]), past(&[0, 3, 1]), past(&[2, 4])] {
            assert_eq!(scores(back.as_ref(), &history), scores(model.as_ref(), &history), "{settings:?}");
            assert_eq!(back.shares(&history, &[1, 4]), model.shares(&history, &[1, 4]), "{settings:?}");
        }
        for broken in [&data[..0], &data[..20], &data[..data.len() - 1]] {
            assert!(from_safetensors(broken).is_err());
        }
    }
    let bare = safetensors::serialize(Vec::<(&str, safetensors::tensor::TensorView)>::new(), None);
    let refused = from_safetensors(&bare.expect("written")).expect_err("no model").to_string();
    assert!(refused.contains("`model`"), "{refused}");
}

#[test]
fn a_model_of_tastes_of_the_first_layout_is_read() {
    let model = fit(&Settings::of(Algorithm::Svd, 7), &chains(), Watch::idle()).expect("fits");
    let data = to_safetensors(model.as_ref()).expect("written");
    let tensors = safetensors::SafeTensors::deserialize(&data).expect("read");
    let card = |format: &str| {
        let settings = serde_json::to_string(&TasteSettings { seed: 7, ..TasteSettings::default() });
        format!("{{\"format\":\"{format}\",\"settings\":{}}}", settings.expect("written"))
    };
    let old = |format: &str| {
        let entries = std::collections::HashMap::from([("taste".to_owned(), card(format))]);
        safetensors::serialize(tensors.tensors(), Some(entries)).expect("written")
    };
    let back = from_safetensors(&old("bespoke.taste.v1")).expect("read");
    assert_eq!(scores(back.as_ref(), &past(&[0, 3])), scores(model.as_ref(), &past(&[0, 3])));
    let refused = from_safetensors(&old("bespoke.taste.v0")).expect_err("another layout").to_string();
    assert!(refused.contains("bespoke.taste.v0") && refused.contains("bespoke.taste.v1"), "{refused}");
}

#[test]
fn what_comes_next_is_ranked_before_what_never_came_along() {
    for settings in all().into_iter().filter(|settings| settings.algorithm() != Algorithm::Popularity) {
        let model = fit(&settings, &chains(), Watch::idle()).expect("fits");
        let out = scores(model.as_ref(), &past(&[0]));
        assert!(out[1] > out[4] && out[2] > out[4], "{settings:?}: {out:?}");
    }
}

#[test]
fn transitions_have_a_direction_and_are_the_counts_by_hand() {
    let mut settings = Settings::of(Algorithm::Transition, 1);
    for (name, value) in [("past_decay", 0.0), ("future_decay", 0.0), ("shrink", 0.0), ("recency", 0.0)] {
        settings.set(name, value).expect("a parameter");
    }
    let model = fit(&settings, &chains(), Watch::idle()).expect("fits");
    let (from_first, from_last) = (scores(model.as_ref(), &past(&[0])), scores(model.as_ref(), &past(&[2])));
    // Item 0 is known in two lessons (before 1, before 2): item 1 comes in the first, item 2 in both.
    assert!((from_first[1] - 0.5).abs() < 1e-6 && (from_first[2] - 1.0).abs() < 1e-6, "{from_first:?}");
    assert!(from_last.iter().all(|score| score.abs() < 1e-6), "{from_last:?}");
}

#[test]
fn ease_is_its_closed_form() {
    // Steck 2019, eq. 8, by hand: XᵀX = [[3, 2], [2, 2]], λ = 2.5, P = [[4.5, −2], [−2, 5.5]] / 20.75.
    let people = vec![past(&[0, 1]), past(&[0, 1]), past(&[0])];
    let mut settings = Settings::of(Algorithm::Ease, 1);
    for (name, value) in [("ridge", 2.5), ("recency", 0.0)] {
        settings.set(name, value).expect("a parameter");
    }
    let model = fit(&settings, &Histories { people, items: 2 }, Watch::idle()).expect("fits");
    assert!((scores(model.as_ref(), &past(&[0]))[1] - 2.0 / 5.5).abs() < 1e-5);
    assert!((scores(model.as_ref(), &past(&[1]))[0] - 2.0 / 4.5).abs() < 1e-5);
}

#[test]
fn too_little_and_parameters_out_of_range_are_refused() {
    let nobody = Histories { people: vec![Vec::new()], items: 3 };
    let nan = Histories { people: vec![vec![Past { item: 0, weight: f32::NAN, step: 0 }]], items: 1 };
    let one = Histories { people: vec![past(&[0])], items: 1 };
    let same = Histories { people: vec![past(&[0, 1]); 4], items: 2 };
    for settings in all() {
        assert!(matches!(fit(&settings, &nobody, Watch::idle()), Err(FitError::TooLittle { .. })));
        assert!(matches!(
            fit(&settings, &nan, Watch::idle()),
            Err(FitError::Matrix(MatrixError::NotFinite { .. }))
        ));
        for odd in [&one, &same] {
            let model =
                fit(&settings, odd, Watch::idle()).expect("one person, one item, or all the same will do");
            assert!(
                scores(model.as_ref(), &past(&[0])).iter().all(|score| score.is_finite()),
                "{settings:?}"
            );
        }
    }
    let mut svd = Settings::of(Algorithm::Svd, 1);
    for (name, value) in [("rank", 0.0), ("rank", 2.5), ("recency", f64::NAN), ("ridge", -1.0)] {
        assert!(matches!(svd.set(name, value), Err(FitError::Setting { .. })), "{name} {value}");
    }
    assert!(matches!(svd.set("alpha", 1.0), Err(FitError::Unknown { .. })));
}
