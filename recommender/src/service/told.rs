//! Picks as they are told: what proposed each, and why.

use proto::common::v1::{Degradation, DegradationCause, DegradationStage, EventKind, Substitute};
use proto::recommender::v1::{Reason, ReasonKind, Recommendation};

use crate::algorithm::{BlendSettings, Cause, Settings, Share};
use crate::fold_in::FoldIn;
use crate::rank::Place;
use crate::shelf::{Serving, Shelf};
use crate::signals::Signals;
use crate::stand_in::StandIns;
use crate::store::Deed;

/// Reasons of a pick.
const REASONS: usize = 3;
/// What proposes an item the model does not know.
const NEW: &str = "new";

/// What stands behind the picks of one answer.
pub(super) enum Teller<'a> {
    /// The model, the person folded in.
    Model {
        /// The model.
        serving: &'a Serving,
        /// The person.
        fold_in: &'a FoldIn<'a>,
        /// What there is.
        shelf: &'a Shelf,
        /// What the person did.
        deeds: &'a [Deed],
        /// Known items that were folded in for unknown ones.
        stand_ins: Option<&'a StandIns>,
        /// What deeds weigh.
        signals: &'a Signals,
    },
    /// Popularity, among all people or those of a segment.
    Popularity(Fallback),
}

/// Popularity list that serves a person the model knows nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    /// Popularity among all people.
    Everyone,
    /// Popularity among the people of the person's segment.
    Segment,
}

impl Fallback {
    fn source(self) -> &'static str {
        match self {
            Self::Everyone => "popularity",
            Self::Segment => "segment_popularity",
        }
    }

    fn substitute(self) -> Substitute {
        match self {
            Self::Everyone => Substitute::Popularity,
            Self::Segment => Substitute::SegmentPopularity,
        }
    }
}

impl Teller<'_> {
    pub(super) fn tell(&self, places: &[Place], explain: bool) -> Vec<Recommendation> {
        let reasons = if explain { self.reasons(places) } else { vec![Vec::new(); places.len()] };
        let sources = match self {
            Self::Model { serving, .. } => sources(serving),
            Self::Popularity(fallback) => vec![fallback.source().to_owned()],
        };
        let told = |(place, reasons): (&Place, Vec<Reason>)| {
            let Place { candidate, propensity } = place;
            let unknown = matches!(self, Self::Model { .. }) && candidate.column.is_none();
            Recommendation {
                item_id: candidate.item.item_id.clone(),
                score: candidate.score,
                propensity: *propensity,
                sources: if unknown { vec![NEW.to_owned()] } else { sources.clone() },
                reasons,
                item: Some(candidate.item.as_ref().clone()),
            }
        };
        places.iter().zip(reasons).map(told).collect()
    }

    /// That the model had no part in the answer.
    pub(super) fn degradation(&self) -> Option<Degradation> {
        let Self::Popularity(fallback) = self else { return None };
        Some(Degradation {
            stage: DegradationStage::Recommend.into(),
            cause: DegradationCause::Cold.into(),
            substitute: fallback.substitute().into(),
        })
    }

    /// What carried each pick: the past items with the largest shares of its score, or what is popular; then what
    /// boosts did, and what is left. The shares sum to 1, but where there is no score to share.
    fn reasons(&self, places: &[Place]) -> Vec<Vec<Reason>> {
        let scored = match self {
            Self::Model { serving, fold_in, shelf, deeds, stand_ins, signals } => {
                let original = |column: u32| {
                    let known = serving.artefact.item_ids[column as usize].as_str();
                    stand_ins.map_or(known, |stand_ins| stand_ins.original(known))
                };
                let is_named = |share: &Share| match share.cause {
                    Cause::Item(past) => may_be_named(original(past), deeds, signals, shelf),
                    Cause::Popularity => true,
                };
                let columns: Vec<u32> = places.iter().filter_map(|place| place.candidate.column).collect();
                let mut shares = fold_in.shares(&columns).into_iter();
                let of = |place: &Place| {
                    let shares = match place.candidate.column {
                        Some(_) => shares.next().unwrap_or_default(),
                        None => shelf
                            .inferred_factors(&place.candidate.item.item_id)
                            .map_or_else(Vec::new, |row| fold_in.shares_of_row(row.into())),
                    };
                    let positive = shares.into_iter().filter(|share| share.value > 0.0 && is_named(share));
                    let positive = positive.take(REASONS);
                    positive.map(|share| because(serving, shelf, (deeds, *stand_ins), share, place)).collect()
                };
                places.iter().map(of).collect()
            }
            Self::Popularity(_) => {
                let unboosted = |place: &Place| place.candidate.score - place.candidate.boost;
                let reasons = |place: &Place| vec![plain(ReasonKind::Popularity, unboosted(place))];
                places.iter().map(reasons).collect::<Vec<Vec<Reason>>>()
            }
        };
        places.iter().zip(scored).map(|(place, reasons)| shared(reasons, place)).collect()
    }
}

/// Whether a past item may be told as a reason: nobody is told that they get something because of what they disliked or
/// rated no better than the middle of the scale, or because of goods that are never recommended, such as postage.
fn may_be_named(item_id: &str, deeds: &[Deed], signals: &Signals, shelf: &Shelf) -> bool {
    let against = |deed: &Deed| {
        matches!(deed.kind, EventKind::Dislike | EventKind::Rating) && signals.weight_of(deed) <= 0.0
    };
    !deeds.iter().any(|deed| deed.item_id == item_id && against(deed))
        && !shelf.catalogue.get(item_id).is_some_and(|item| item.not_recommendable)
}

/// A reason that names no item.
fn plain(kind: ReasonKind, weight: f64) -> Reason {
    Reason { kind: kind.into(), weight, ..Reason::default() }
}

/// A share of a score as a reason, not yet divided by the score.
fn because(
    serving: &Serving,
    shelf: &Shelf,
    (deeds, stand_ins): (&[Deed], Option<&StandIns>),
    share: Share,
    place: &Place,
) -> Reason {
    let weight = f64::from(share.value);
    let Cause::Item(past) = share.cause else { return plain(ReasonKind::Popularity, weight) };
    let known = serving.artefact.item_ids[past as usize].as_str();
    let id = stand_ins.map_or(known, |stand_ins| stand_ins.original(known));
    let kept = |deed: &Deed| deed.kind == EventKind::Purchase && deed.item_id == id && deed.kept > 0.0;
    let kind = if place.candidate.column.is_none() || id != known {
        ReasonKind::Text
    } else if id != place.candidate.item.item_id {
        ReasonKind::Item
    } else if deeds.iter().any(kept) {
        ReasonKind::RepeatPurchase
    } else {
        ReasonKind::SameItem
    };
    Reason {
        because_item_id: id.to_owned(),
        because_title: shelf.catalogue.title(id).to_owned(),
        because_kind: telling(deeds, id).into(),
        kind: kind.into(),
        weight,
    }
}

/// `reasons` of a pick as shares of its score, with what boosts did and what is left. Where other deeds speak against the
/// pick, so that its reasons come to more than the score, they are shares of their sum. A pick without a score names none.
fn shared(mut reasons: Vec<Reason>, place: &Place) -> Vec<Reason> {
    let (score, boost) = (place.candidate.score, place.candidate.boost);
    if score <= 0.0 {
        reasons.retain(|reason| reason.because_item_id.is_empty());
        for reason in &mut reasons {
            reason.weight = 0.0;
        }
        return reasons;
    }
    if boost != 0.0 {
        reasons.push(plain(ReasonKind::Boost, boost));
    }
    let told: f64 = reasons.iter().map(|reason| reason.weight).sum();
    // What arithmetic in single precision leaves is no reason.
    if !reasons.is_empty() && score - told > 1e-5 * score {
        reasons.push(plain(ReasonKind::Other, score - told));
    }
    let whole = score.max(told);
    for reason in &mut reasons {
        reason.weight /= whole;
    }
    let last = |reason: &Reason| reason.kind() == ReasonKind::Other;
    reasons.sort_by(|a, b| last(a).cmp(&last(b)).then(b.weight.total_cmp(&a.weight)));
    reasons
}

/// The most telling thing done with an item.
fn telling(deeds: &[Deed], item: &str) -> EventKind {
    const ORDER: [EventKind; 7] = [
        EventKind::Purchase,
        EventKind::Cart,
        EventKind::Favourite,
        EventKind::Share,
        EventKind::Rating,
        EventKind::Click,
        EventKind::View,
    ];
    let done = |kind: &EventKind| deeds.iter().any(|deed| deed.kind == *kind && deed.item_id == item);
    ORDER.into_iter().find(done).unwrap_or_default()
}

/// What proposes a pick of this model: its algorithm, those of the parts of a blend.
pub(super) fn sources(serving: &Serving) -> Vec<String> {
    match serving.artefact.model.settings() {
        Settings::Blend(BlendSettings { parts }) => {
            parts.iter().map(|part| part.settings.algorithm().to_string()).collect()
        }
        one => vec![one.algorithm().to_string()],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rank::Candidate;

    fn shares(score: f64, weights: &[f64]) -> Vec<(ReasonKind, f64)> {
        let item = Arc::default();
        let candidate = Candidate { item: &item, column: None, score, boost: 0.0, popularity: 0.0 };
        let place = Place { candidate, propensity: 1.0 };
        let because = |weight| Reason { because_item_id: "i".into(), ..plain(ReasonKind::Item, weight) };
        let reasons = weights.iter().map(|weight| because(*weight)).collect();
        shared(reasons, &place).iter().map(|reason| (reason.kind(), reason.weight)).collect()
    }

    #[test]
    fn shares_lie_between_nothing_and_all() {
        assert_eq!(
            shares(4.0, &[1.0, 2.0]),
            [(ReasonKind::Item, 0.5), (ReasonKind::Item, 0.25), (ReasonKind::Other, 0.25)]
        );
        // A disliked item takes 9 of the 10 that two others bring.
        assert_eq!(shares(1.0, &[6.0, 4.0]), [(ReasonKind::Item, 0.6), (ReasonKind::Item, 0.4)]);
        assert!(shares(-0.01, &[0.2]).is_empty() && shares(0.0, &[0.0]).is_empty());
    }
}
