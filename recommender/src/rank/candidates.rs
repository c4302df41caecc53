//! Everything that may be recommended, with its score: the rules are applied here, before the best are taken.

use std::collections::HashMap;

use proto::recommender::v1::Rules;

use super::{Candidate, Filter};
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
    /// not know has its score in `guessed`, which begin those of the shelf's fresh items, or that of knowing nothing, 0.
    pub fn scored(
        shelf: &'a Shelf,
        (scores, guessed): (&[f32], &[f32]),
        popularity: &[f32],
        filter: &Filter,
    ) -> Self {
        let mut found = Self { all: Vec::with_capacity(shelf.popular.len()), filtered_out: 0 };
        let open = filter.is_open();
        let goods = shelf.goods.iter().zip(&shelf.conditional).zip(scores).zip(popularity).zip(0_u32..);
        for ((((item, conditional), score), popularity), column) in goods {
            let Some(item) = item else { continue };
            let (score, popularity) = (f64::from(*score), f64::from(*popularity));
            let candidate = Candidate { item, score, boost: 0.0, popularity, column: Some(column) };
            if open && !conditional {
                found.all.push(candidate);
            } else {
                found.add(candidate, filter);
            }
        }
        let guessed = guessed.iter().copied().chain(std::iter::repeat(0.0));
        for (item, score) in shelf.fresh.iter().zip(guessed) {
            let score = f64::from(score);
            found.add(Candidate { item, score, boost: 0.0, popularity: 0.0, column: None }, filter);
        }
        found
    }

    /// Every item by the share of people who took it; of the people of a segment, where its shares are given, and
    /// then among those its people did not take by that of all.
    pub fn popular(shelf: &'a Shelf, segment: Option<&HashMap<&str, f64>>, filter: &Filter) -> Self {
        let mut found = Self { all: Vec::with_capacity(shelf.popular.len()), filtered_out: 0 };
        for (item, share) in &shelf.popular {
            let own = |shares: &HashMap<&str, f64>| shares.get(item.item_id.as_str()).copied().unwrap_or(0.0);
            let score = segment.map_or(*share, own);
            found.add(Candidate { item, score, boost: 0.0, popularity: *share, column: None }, filter);
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
