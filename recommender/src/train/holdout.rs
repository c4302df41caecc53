//! Leave-last-out: of each person with three items or more, the item that was new last is kept back, and the model
//! must find it among all items the person did not have. Ties count against the model.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::taste::{Interaction, Taste};

/// Places that count.
const TOP: usize = 10;
/// Items a person must have.
const LEAST: usize = 3;

/// How well what was held out was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Mean of 1/log₂(rank + 1) over people, 0 beyond the tenth place.
    pub ndcg: f64,
    /// Share of people whose item was among the first ten.
    pub hit_rate: f64,
    /// People measured.
    pub people: usize,
}

/// What is learnt from and what is asked for.
pub(super) struct Split {
    /// Everything before the held-out item first appeared.
    pub(super) kept: Vec<Interaction>,
    /// Each person's history, the oldest first, and the item to find.
    pub(super) held_out: Vec<(Vec<(u32, f32)>, u32)>,
}

pub(super) fn split(interactions: &[Interaction], people: usize) -> Split {
    let mut by_person: Vec<Vec<Interaction>> = vec![Vec::new(); people];
    for interaction in interactions {
        by_person[interaction.user as usize].push(*interaction);
    }
    let (mut kept, mut held_out) = (Vec::with_capacity(interactions.len()), Vec::new());
    for mut deeds in by_person {
        deeds.sort_by_key(|deed| deed.at);
        let mut first: HashMap<u32, usize> = HashMap::new();
        for (place, deed) in deeds.iter().enumerate() {
            first.entry(deed.item).or_insert(place);
        }
        let last_new = first.iter().max_by_key(|(_, place)| **place).map(|(item, place)| (*item, *place));
        match last_new {
            Some((item, place)) if first.len() >= LEAST => {
                deeds.truncate(place);
                held_out.push((deeds.iter().map(|deed| (deed.item, deed.weight)).collect(), item));
            }
            _ => {}
        }
        kept.extend(deeds);
    }
    Split { kept, held_out }
}

pub(super) fn measure(taste: &Taste, split: &Split) -> Measured {
    ranked(split, |history, scores| taste.score_into(&taste.fold(history), scores), taste.items())
}

pub(super) fn measure_popularity(popularity: &[f32], split: &Split) -> Measured {
    ranked(split, |_, scores| scores.copy_from_slice(popularity), popularity.len())
}

fn ranked(split: &Split, score: impl Fn(&[(u32, f32)], &mut [f32]) + Sync, items: usize) -> Measured {
    let ranks = split.held_out.par_iter().map_init(
        || vec![0.0_f32; items],
        |scores, (history, wanted)| {
            score(history, scores);
            for (item, _) in history {
                scores[*item as usize] = f32::NEG_INFINITY;
            }
            let mine = scores[*wanted as usize];
            // The item itself is among those that reach its score: with it, this is its place from 1.
            scores.iter().filter(|other| **other >= mine).count()
        },
    );
    let gains: Vec<f64> =
        ranks.map(|rank| if rank <= TOP { 1.0 / (rank as f64 + 1.0).log2() } else { 0.0 }).collect();
    let people = gains.len();
    let mean = |sum: f64| if people == 0 { 0.0 } else { sum / people as f64 };
    let hits = gains.iter().filter(|gain| **gain > 0.0).count();
    Measured { ndcg: mean(gains.iter().sum()), hit_rate: mean(hits as f64), people }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(user: u32, item: u32, at: i64) -> Interaction {
        Interaction { user, item, weight: 1.0, at }
    }

    #[test]
    fn the_last_new_item_is_kept_back_with_all_that_follows() {
        // Person 0 takes 0, 1, 2, then 1 again: 2 is the last new one. Person 1 has too few items.
        let deeds =
            [deed(0, 0, 1), deed(0, 1, 2), deed(0, 2, 3), deed(0, 1, 4), deed(1, 0, 1), deed(1, 2, 2)];
        let split = split(&deeds, 2);
        assert_eq!(split.held_out, [(vec![(0, 1.0), (1, 1.0)], 2)]);
        assert_eq!(split.kept.len(), 4);
        let measured = measure_popularity(&[5.0, 4.0, 3.0, 3.0], &split);
        // Item 3 ties with item 2 and counts against it: second place.
        assert!((measured.ndcg - 1.0 / 3.0_f64.log2()).abs() < 1e-12, "{measured:?}");
        assert_eq!((measured.hit_rate, measured.people), (1.0, 1));
    }
}
