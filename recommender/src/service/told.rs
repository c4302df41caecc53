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

    /// What carried each pick: the past items with the largest shares of its score, or what is popular.
    fn reasons(&self, places: &[Place]) -> Vec<Vec<Reason>> {
        let popular = |kind: &str, weight: f64| Reason { feature: kind.into(), weight, ..Reason::default() };
        let (serving, fold_in, shelf, deeds) = match self {
            Self::Model { serving, fold_in, shelf, deeds } => (serving, fold_in, shelf, deeds),
            Self::Popularity(kind) => return vec![vec![popular(kind, 1.0)]; places.len()],
        };
        let columns: Vec<u32> = places.iter().filter_map(|place| place.candidate.column).collect();
        let mut shares = fold_in.shares(&columns).into_iter();
        let because = |place: &Place| {
            let shares = match place.candidate.column {
                Some(_) => shares.next().unwrap_or_default(),
                None => shelf
                    .guess_of(place.candidate.item)
                    .map_or_else(Vec::new, |row| fold_in.shares_of_row(row)),
            };
            let positive = shares.into_iter().filter(|share| share.value > 0.0).take(REASONS);
            let score = place.candidate.score;
            let told = positive.map(|share: Share| {
                let weight = if score > 0.0 { f64::from(share.value) / score } else { 0.0 };
                let Cause::Item(past) = share.cause else { return popular(POPULARITY, weight) };
                let id = &serving.artefact.item_ids[past as usize];
                Reason {
                    because_item_id: id.clone(),
                    because_title: shelf.catalogue.title(id).to_owned(),
                    because_kind: telling(deeds, id).into(),
                    feature: String::new(),
                    weight,
                }
            });
            told.collect()
        };
        places.iter().map(because).collect()
    }
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
