//! Everything that may be recommended, with its score: the rules are applied here, before the best are taken.

use std::collections::HashMap;

use proto::recommender::v1::Rules;

use super::{Candidate, Filter};
use crate::catalogue::Listing;
use crate::shelf::Shelf;

/// What the rules let through, and how many they left out.
#[derive(Debug, Default)]
pub struct Candidates<'a> {
    /// Those let through.
    pub all: Vec<Candidate<'a>>,
    /// How many were left out.
    pub filtered_out: u64,
}

impl<'a> Candidates<'a> {
    /// Every item by its score in `scores`, which has a place for each of the model's columns; an item the model does
    /// not know has its score in `inferred`, which begins with the first slot behind the columns, or that of knowing
    /// nothing, 0.
    pub fn scored(
        shelf: &'a Shelf,
        (scores, inferred): (&[f32], &[f32]),
        popularity: &[f32],
        filter: &Filter,
    ) -> Self {
        let mut found = Self { all: Vec::with_capacity(shelf.catalogue.len()), filtered_out: 0 };
        let open = filter.is_open();
        let columns = shelf.catalogue.columns();
        let mut slot = 0;
        for slice in shelf.catalogue.slices() {
            for listing in slice {
                let place = slot;
                slot += 1;
                let Some(Listing { item, unconditional }) = listing else { continue };
                let (score, popularity, column) = if place < columns {
                    (scores[place], popularity[place], Some(place as u32))
                } else {
                    (inferred.get(place - columns).copied().unwrap_or(0.0), 0.0, None)
                };
                let (score, popularity) = (f64::from(score), f64::from(popularity));
                let candidate = Candidate { item, score, boost: 0.0, popularity, column };
                if open && *unconditional {
                    found.all.push(candidate);
                } else {
                    found.add(candidate, filter);
                }
            }
        }
        found
    }

    /// Every item by the share of people who took it; of the people of a segment, where its shares are given, and
    /// then among those its people did not take by that of all.
    pub fn popular(shelf: &'a Shelf, segment: Option<&HashMap<&str, f64>>, filter: &Filter) -> Self {
        let mut found = Self { all: Vec::with_capacity(shelf.catalogue.len()), filtered_out: 0 };
        let open = filter.is_open();
        for (slot, listing) in shelf.catalogue.slices().flatten().enumerate() {
            let Some(Listing { item, unconditional }) = listing else { continue };
            let popularity = shelf.share(slot);
            let own = |shares: &HashMap<&str, f64>| shares.get(item.item_id.as_str()).copied().unwrap_or(0.0);
            let score = segment.map_or(popularity, own);
            let candidate = Candidate { item, score, boost: 0.0, popularity, column: None };
            if open && *unconditional {
                found.all.push(candidate);
            } else {
                found.add(candidate, filter);
            }
        }
        found
    }

    /// Raises and lowers those that the boosts of `rules` name.
    pub fn boost(&mut self, rules: &Rules) {
        if rules.boosts.is_empty() {
            return;
        }
        for candidate in &mut self.all {
            let boosted = rules.boosted(candidate.item, candidate.score);
            candidate.boost = boosted - candidate.score;
            candidate.score = boosted;
        }
    }

    fn add(&mut self, candidate: Candidate<'a>, filter: &Filter) {
        if filter.allows(candidate.item) {
            self.all.push(candidate);
        } else {
            self.filtered_out += 1;
        }
    }
}
