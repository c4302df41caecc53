//! What a deed tells of a taste.

use std::collections::HashMap;

use proto::common::v1::EventKind;

use crate::store::Deed;
use crate::taste::Taste;

/// Deeds of one person that are folded in; older ones no longer weigh.
pub const FOLDED: u64 = 1000;

/// How much a deed tells, in purchases; 0 tells nothing.
pub fn weight(kind: EventKind) -> f32 {
    match kind {
        EventKind::Purchase => 1.0,
        EventKind::Cart => 0.7,
        EventKind::Favourite | EventKind::Share => 0.6,
        EventKind::Rating => 0.5,
        EventKind::Click => 0.4,
        EventKind::View => 0.2,
        EventKind::Dislike => -1.0,
        EventKind::Unspecified
        | EventKind::Impression
        | EventKind::Unsubscribe
        | EventKind::Survey
        | EventKind::OfferShown
        | EventKind::OfferWithheld
        | EventKind::OfferRedeemed => 0.0,
    }
}

/// Deeds as the model reads them: (column, weight), the oldest first; what the model does not know is left out.
pub fn columns(deeds: &[Deed], columns: &HashMap<String, u32>) -> Vec<(u32, f32)> {
    let known = deeds.iter().filter_map(|deed| Some((*columns.get(&deed.item_id)?, weight(deed.kind))));
    known.filter(|(_, weight)| *weight != 0.0).collect()
}

/// Seconds for which what a person looks at says what the person is after now.
const SESSION: i64 = 30 * 60;
/// How far the session lifts its best item, as a share of the best score that all the past gives.
const LIFT: f32 = 0.5;

/// [`columns`] with the present session weighed so that one click is felt however long the past is.
///
/// A purchase ends a need instead of showing one, so it is past at once. Scores stay linear in what is returned.
pub fn with_session(
    deeds: &[Deed],
    known: &HashMap<String, u32>,
    taste: &Taste,
    now: i64,
) -> Vec<(u32, f32)> {
    let is_present =
        |deed: &&Deed| deed.at > now - SESSION && deed.kind != EventKind::Purchase && weight(deed.kind) > 0.0;
    let (present, past): (Vec<Deed>, Vec<Deed>) = deeds.iter().cloned().partition(|deed| is_present(&deed));
    let (mut past, present) = (columns(&past, known), columns(&present, known));
    if !past.is_empty() && !present.is_empty() {
        let (long, short) = (best(taste, &past), best(taste, &present));
        let scale = if long > 0.0 && short > 0.0 { LIFT * long / short } else { 1.0 };
        past.extend(present.iter().map(|(item, weight)| (*item, Taste::weighing(*weight, scale))));
    } else {
        past.extend(present);
    }
    past
}

fn best(taste: &Taste, history: &[(u32, f32)]) -> f32 {
    let mut scores = vec![0.0; taste.items()];
    taste.score_into(&taste.fold(history), &mut scores);
    scores.into_iter().fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taste::{Interaction, TasteSettings};

    fn deed(kind: EventKind, item: usize, at: i64) -> Deed {
        Deed { person: "p".into(), kind, item_id: item.to_string(), at }
    }

    /// Two groups of people: one takes items 0..5, the other 5..10.
    fn taste() -> Taste {
        let take = |user: u32| (0..5).map(move |n| (user, if user < 20 { n } else { n + 5 }));
        let taken = (0..40).flat_map(take).filter(|(user, item)| (user + item) % 4 != 0);
        let taken = taken.map(|(user, item)| Interaction { user, item, weight: 1.0, at: i64::from(item) });
        let settings = TasteSettings { rank: 4, ..TasteSettings::default() };
        Taste::fit(&taken.collect::<Vec<_>>(), 40, 10, &settings, &|_, _| {}).expect("fits")
    }

    #[test]
    fn one_click_is_felt_after_a_long_past_and_forgotten_after_the_session() {
        let (taste, known) = (taste(), (0..10_u32).map(|item| (item.to_string(), item)).collect());
        let mut deeds: Vec<Deed> =
            (0..200).map(|n| deed(EventKind::Purchase, n % 4, i64::try_from(n).expect("small"))).collect();
        deeds.push(deed(EventKind::Click, 7, 1_000));
        let score = |now: i64| {
            let mut scores = vec![0.0; 10];
            taste.score_into(&taste.fold(&with_session(&deeds, &known, &taste, now)), &mut scores);
            let most = scores.iter().copied().fold(0.0, f32::max);
            scores[8] / most
        };
        assert!(score(1_010) > 0.2, "{}", score(1_010));
        assert!(score(1_000 + SESSION) < 0.1, "{}", score(1_000 + SESSION));
    }
}
