use proptest::prelude::*;

use super::*;
use crate::algorithm::tests::{all, chains};
use crate::algorithm::{Algorithm, Settings, fit};
use crate::factorise::Watch;

fn deed(kind: EventKind, item: u32, at: i64) -> Deed {
    Deed::new("p", kind, item.to_string(), at)
}

fn columns() -> HashMap<String, u32> {
    (0..6_u32).map(|item| (item.to_string(), item)).collect()
}

#[test]
fn one_click_is_felt_after_a_long_past_and_forgotten_after_the_session() {
    for settings in all().into_iter().filter(|settings| settings.algorithm() != Algorithm::Popularity) {
        let model = fit(&settings, &chains(), Watch::idle()).expect("fits");
        let mut deeds: Vec<Deed> =
            (0..200).map(|n| deed(EventKind::Purchase, n % 3, i64::from(n) * 10)).collect();
        deeds.push(deed(EventKind::Click, 3, 3_000));
        let share = |now: i64| {
            let felt =
                FoldIn::of(model.as_ref(), &columns(), &deeds, &Signals::default(), now).expect("known");
            felt.scores()[4] / felt.scores().iter().copied().fold(0.0, f32::max)
        };
        let (now, later) = (share(3_010), share(3_000 + PAUSE));
        assert!(now > 0.2, "{settings:?}: {now}");
        // To ALS and what it is part of, whatever was once taken is preferred, a click no less than a purchase.
        let forgets = settings.algorithm() == Algorithm::Svd;
        assert!(!forgets || later < 0.1, "{settings:?}: {now}, then {later}");
    }
}

#[test]
fn what_tells_nothing_is_nobody() {
    let model = fit(&Settings::of(Algorithm::Transition, 1), &chains(), Watch::idle()).expect("fits");
    let of =
        |deeds: &[Deed]| FoldIn::of(model.as_ref(), &columns(), deeds, &Signals::default(), 100).is_none();
    assert!(of(&[]));
    assert!(of(&[deed(EventKind::Impression, 0, 1), deed(EventKind::Purchase, 77, 1)]));
    assert!(of(&[deed(EventKind::Purchase, 5, 1)]), "nobody took item 5: the model says nothing of it");
    assert!(!of(&[deed(EventKind::Click, 0, 90)]), "a session alone");
}

/// Scores of six items, two chains of three, after clicks on items 0 and 1 and what follows.
fn scores_after(model: &dyn Model, more: &[Deed]) -> Vec<f32> {
    let clicks = [deed(EventKind::Click, 0, 1_000), deed(EventKind::Click, 1, 1_010)];
    let deeds = [&clicks, more].concat();
    let felt = FoldIn::of(model, &columns(), &deeds, &Signals::default(), 1_100).expect("known");
    felt.scores().to_vec()
}

#[test]
fn a_dislike_lowers_the_item_and_what_is_like_it() {
    for settings in all() {
        let model = fit(&settings, &chains(), Watch::idle()).expect("fits");
        let before = scores_after(model.as_ref(), &[]);
        let after = scores_after(model.as_ref(), &[deed(EventKind::Dislike, 1, 1_050)]);
        assert!(after[1] < before[1] || before[1] <= 0.0, "{settings:?}: {before:?}, then {after:?}");
        let personal = settings.algorithm() != Algorithm::Popularity;
        assert!(!personal || after[2] < before[2], "{settings:?}: {before:?}, then {after:?}");
    }
}

#[test]
fn one_star_lowers_an_item_and_five_stars_do_not() {
    for settings in all() {
        let model = fit(&settings, &chains(), Watch::idle()).expect("fits");
        let rated = |stars| Deed { rating: Some(stars), ..deed(EventKind::Rating, 2, 1_050) };
        let before = scores_after(model.as_ref(), &[]);
        let (one, five) =
            (scores_after(model.as_ref(), &[rated(1.0)]), scores_after(model.as_ref(), &[rated(5.0)]));
        assert!(one[2] < before[2] && one[2] < five[2], "{settings:?}: {before:?}, {one:?}, {five:?}");
        let changed_mind = scores_after(model.as_ref(), &[rated(1.0), rated(5.0)]);
        assert!(
            (changed_mind[2] - five[2]).abs() <= 1e-4 * five[2].abs(),
            "{settings:?}: the last rating counts"
        );
    }
}

#[test]
fn somebody_who_only_dislikes_is_nobody_the_model_knows() {
    let model = fit(&Settings::of(Algorithm::Svd, 1), &chains(), Watch::idle()).expect("fits");
    let deeds = [deed(EventKind::Dislike, 0, 1_000)];
    assert!(FoldIn::of(model.as_ref(), &columns(), &deeds, &Signals::default(), 1_100).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_shares_sum_to_the_score_with_a_session_as_well(
        which in 0..all().len(),
        past in proptest::collection::vec((0_u32..7, 0_i64..90_000, 0_usize..5), 0..12),
        session in proptest::collection::vec((0_u32..7, 99_000_i64..100_000), 0..4),
    ) {
        const KINDS: [EventKind; 5] =
            [EventKind::Purchase, EventKind::Click, EventKind::View, EventKind::Dislike, EventKind::Cart];
        let model = fit(&all()[which], &chains(), Watch::idle()).expect("fits");
        let mut deeds: Vec<Deed> = past.iter().map(|&(item, at, kind)| deed(KINDS[kind], item, at)).collect();
        deeds.extend(session.iter().map(|&(item, at)| deed(EventKind::Click, item, at)));
        deeds.sort_by_key(|deed| deed.at);
        if let Some(felt) = FoldIn::of(model.as_ref(), &columns(), &deeds, &Signals::default(), 100_000) {
            let scale = felt.scores().iter().fold(0.0_f64, |most, score| most.max(f64::from(score.abs())));
            for (shares, &score) in felt.shares(&[0, 1, 2, 3, 4, 5]).iter().zip(felt.scores()) {
                let sum: f64 = shares.iter().map(|share| f64::from(share.value)).sum();
                let size: f64 = shares.iter().map(|share| f64::from(share.value.abs())).sum();
                let apart = (sum - f64::from(score)).abs();
                prop_assert!(apart <= 1e-5 * size.max(scale), "{sum}, not {score}");
            }
        }
    }
}
