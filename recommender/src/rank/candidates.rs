//! Everything that may be recommended, with its score: the rules are applied here, before the best are taken.

use std::collections::HashSet;

use proto::recommender::v1::Rules;

use super::{Candidate, Filter};
use crate::live::{Catalogue, Serving};

/// What a request may be answered with.
pub struct Shop<'a> {
    /// The goods there are.
    pub catalogue: &'a Catalogue,
    /// The request's rules.
    pub rules: &'a Rules,
    /// What the person has bought, where that is to be left out.
    pub purchased: &'a [String],
    /// Seconds since 1970.
    pub now: i64,
}

impl Shop<'_> {
    /// Every item the model knows and the rules let through, by its score in `scores`; and how many they left out.
    pub fn scored(&self, serving: &Serving, scores: &[f32]) -> (Vec<Candidate>, u64) {
        let filter = Filter::new(self.rules, self.purchased, self.now);
        let (mut candidates, mut filtered_out) = (Vec::with_capacity(scores.len()), 0);
        let popularity = serving.artefact.model.popularity();
        for (column, (id, score)) in (0_u32..).zip(serving.artefact.item_ids.iter().zip(scores)) {
            let Some(item) = self.catalogue.get(id) else { continue };
            if filter.allows(item) {
                candidates.push(Candidate {
                    item: item.clone(),
                    score: f64::from(*score),
                    popularity: f64::from(popularity[column as usize]),
                    column: Some(column),
                });
            } else {
                filtered_out += 1;
            }
        }
        (candidates, filtered_out)
    }

    /// Every item the rules let through, by popularity; items nobody has taken yet come last.
    pub fn known(&self, popular: &[(String, f64)]) -> (Vec<Candidate>, u64) {
        let filter = Filter::new(self.rules, self.purchased, self.now);
        let (mut candidates, mut filtered_out) = (Vec::new(), 0);
        let taken: HashSet<&str> = popular.iter().map(|(id, _)| id.as_str()).collect();
        let first = popular.iter().filter_map(|(id, share)| Some((self.catalogue.get(id)?, *share)));
        let rest = self.catalogue.iter().filter(|item| !taken.contains(item.item_id.as_str()));
        for (item, score) in first.chain(rest.map(|item| (item, 0.0))) {
            if filter.allows(item) {
                candidates.push(Candidate { item: item.clone(), score, popularity: score, column: None });
            } else {
                filtered_out += 1;
            }
        }
        (candidates, filtered_out)
    }
}
