//! Picks as they are told: what proposed each, and why.

use proto::common::v1::{Degradation, DegradationCause, EventKind};
use proto::recommender::v1::{Reason, Recommendation};

use crate::algorithm::{BlendSettings, Cause, Settings, Share};
use crate::fold_in::FoldIn;
use crate::rank::Place;
use crate::shelf::{Serving, Shelf};
use crate::store::Deed;

/// Reasons of a pick.
const REASONS: usize = 3;
/// What proposes where nothing is known of a person.
pub(super) const POPULARITY: &str = "popularity";
/// What proposes where only a person's segment is known.
pub(super) const SEGMENT: &str = "segment_popularity";
/// What boosts did to a score.
const BOOST: &str = "boost";
/// What carried a pick beside the reasons told.
const OTHER: &str = "other";
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
    },
    /// What many take, of all or of a segment.
    Popularity(&'static str),
}

impl Teller<'_> {
    pub(super) fn tell(&self, places: &[Place], explain: bool) -> Vec<Recommendation> {
        let reasons = if explain { self.reasons(places) } else { vec![Vec::new(); places.len()] };
        let sources = match self {
            Self::Model { serving, .. } => sources(serving),
            Self::Popularity(kind) => vec![(*kind).to_owned()],
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
        let Self::Popularity(kind) = self else { return None };
        Some(Degradation {
            stage: "recommend".into(),
            cause: DegradationCause::Cold.into(),
            served_by: (*kind).to_owned(),
        })
    }

    /// What carried each pick: the past items with the largest shares of its score, or what is popular; then what
    /// boosts did, and what is left. The shares sum to 1, but where there is no score to share.
    fn reasons(&self, places: &[Place]) -> Vec<Vec<Reason>> {
        let scored = match self {
            Self::Model { serving, fold_in, shelf, deeds } => {
                let columns: Vec<u32> = places.iter().filter_map(|place| place.candidate.column).collect();
                let mut shares = fold_in.shares(&columns).into_iter();
                let of = |place: &Place| {
                    let shares = match place.candidate.column {
                        Some(_) => shares.next().unwrap_or_default(),
                        None => shelf
                            .guess_of(place.candidate.item)
                            .map_or_else(Vec::new, |row| fold_in.shares_of_row(row)),
                    };
                    let positive = shares.into_iter().filter(|share| share.value > 0.0).take(REASONS);
                    positive.map(|share| because(serving, shelf, deeds, share)).collect()
                };
                places.iter().map(of).collect()
            }
            Self::Popularity(kind) => {
                let of = |place: &Place| vec![feature(kind, place.candidate.score - place.candidate.boost)];
                places.iter().map(of).collect::<Vec<Vec<Reason>>>()
            }
        };
        places.iter().zip(scored).map(|(place, reasons)| shared(reasons, place)).collect()
    }
}

fn feature(name: &str, weight: f64) -> Reason {
    Reason { feature: name.into(), weight, ..Reason::default() }
}

/// A share of a score as a reason, not yet divided by the score.
fn because(serving: &Serving, shelf: &Shelf, deeds: &[Deed], share: Share) -> Reason {
    let weight = f64::from(share.value);
    let Cause::Item(past) = share.cause else { return feature(POPULARITY, weight) };
    let id = &serving.artefact.item_ids[past as usize];
    Reason {
        because_item_id: id.clone(),
        because_title: shelf.catalogue.title(id).to_owned(),
        because_kind: telling(deeds, id).into(),
        feature: String::new(),
        weight,
    }
}

/// `reasons` of a pick as shares of its score, with what boosts did and what is left.
fn shared(mut reasons: Vec<Reason>, place: &Place) -> Vec<Reason> {
    let (score, boost) = (place.candidate.score, place.candidate.boost);
    if boost != 0.0 {
        reasons.push(feature(BOOST, boost));
    }
    let told: f64 = reasons.iter().map(|reason| reason.weight).sum();
    // What arithmetic in single precision leaves is no reason.
    if !reasons.is_empty() && (score - told).abs() > 1e-5 * score.abs() {
        reasons.push(feature(OTHER, score - told));
    }
    for reason in &mut reasons {
        reason.weight = if score > 0.0 { reason.weight / score } else { 0.0 };
    }
    let last = |reason: &Reason| reason.feature == OTHER;
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
