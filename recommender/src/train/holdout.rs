//! Last basket: of each person, what was taken on the last day is kept back, and the model must find it among all
//! items, as serving does: what the person took before may be wanted again. Ties count against the model.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::taste::{Interaction, Taste};

/// Places that count.
const TOP: usize = 10;
/// Seconds before a person's last deed that belong to the same basket.
const DAY: i64 = 86_400;
/// People asked for at most, evenly taken from all.
const MOST: usize = 2_000;

/// How well what was held out was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Mean over people of the discounted gain of the first ten places, as a share of the best possible.
    pub ndcg: f64,
    /// Share of people with a wanted item among the first ten.
    pub hit_rate: f64,
    /// People measured.
    pub people: usize,
}

/// One person to be served.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    /// What was done before, the oldest first.
    pub(super) history: Vec<(u32, f32)>,
    /// What was taken next.
    pub(super) wanted: HashSet<u32>,
}

/// What is learnt from and what is asked for.
pub(super) struct Split {
    /// Everything before the held-out baskets.
    pub(super) kept: Vec<Interaction>,
    /// People on whom settings are chosen.
    pub(super) validation: Vec<Question>,
    /// Other people, on whom the choice is measured.
    pub(super) test: Vec<Question>,
}

pub(super) fn split(interactions: &[Interaction], people: usize) -> Split {
    let mut by_person: Vec<Vec<Interaction>> = vec![Vec::new(); people];
    for interaction in interactions {
        by_person[interaction.user as usize].push(*interaction);
    }
    let (mut kept, mut asked) = (Vec::with_capacity(interactions.len()), Vec::new());
    for mut deeds in by_person {
        deeds.sort_by_key(|deed| deed.at);
        let last = deeds.last().map_or(0, |deed| deed.at);
        let basket = deeds.partition_point(|deed| deed.at <= last - DAY);
        let wanted: HashSet<u32> =
            deeds[basket..].iter().filter(|deed| deed.weight > 0.0).map(|deed| deed.item).collect();
        if basket > 0 && !wanted.is_empty() {
            deeds.truncate(basket);
            let history = deeds.iter().map(|deed| (deed.item, deed.weight)).collect();
            asked.push(Question { history, wanted });
        }
        kept.extend(deeds);
    }
    let (mut validation, mut test) = (Vec::new(), Vec::new());
    let stride = asked.len().div_ceil(MOST).max(1);
    for (place, question) in asked.into_iter().step_by(stride).enumerate() {
        if place % 2 == 0 { test.push(question) } else { validation.push(question) }
    }
    Split { kept, validation, test }
}

pub(super) fn measure(taste: &Taste, asked: &[Question]) -> Measured {
    ranked(asked, |history, scores| taste.score_into(&taste.fold(history), scores), taste.items())
}

pub(super) fn measure_popularity(popularity: &[f32], asked: &[Question]) -> Measured {
    ranked(asked, |_, scores| scores.copy_from_slice(popularity), popularity.len())
}

fn ranked(asked: &[Question], score: impl Fn(&[(u32, f32)], &mut [f32]) + Sync, items: usize) -> Measured {
    let gains: Vec<f64> = asked
        .par_iter()
        .map_init(
            || vec![0.0_f32; items],
            |scores, question| {
                score(&question.history, scores);
                gain(scores, &question.wanted)
            },
        )
        .collect();
    let people = gains.len();
    let mean = |sum: f64| if people == 0 { 0.0 } else { sum / people as f64 };
    let hits = gains.iter().filter(|gain| **gain > 0.0).count();
    Measured { ndcg: mean(gains.iter().sum()), hit_rate: mean(hits as f64), people }
}

/// NDCG of the first ten; of equal scores, the unwanted come first.
fn gain(scores: &[f32], wanted: &HashSet<u32>) -> f64 {
    let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let order = |x: &u32, y: &u32| {
        let (a, b) = (scores[*x as usize], scores[*y as usize]);
        b.total_cmp(&a).then_with(|| wanted.contains(x).cmp(&wanted.contains(y))).then_with(|| x.cmp(y))
    };
    let mut items: Vec<u32> = (0..scores.len() as u32).collect();
    if items.len() > TOP {
        items.select_nth_unstable_by(TOP - 1, order);
        items.truncate(TOP);
    }
    items.sort_unstable_by(order);
    let found = items.iter().enumerate().filter(|(_, item)| wanted.contains(item));
    let best: f64 = (0..wanted.len().min(TOP)).map(discount).sum();
    found.map(|(place, _)| discount(place)).sum::<f64>() / best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(user: u32, item: u32, day: i64) -> Interaction {
        Interaction { user, item, weight: 1.0, at: day * DAY }
    }

    #[test]
    fn the_last_days_basket_is_kept_back() {
        // Person 0 takes 0 and 1, then 2 and again 1 on the last day. Person 1 has one day only.
        let deeds =
            [deed(0, 0, 1), deed(0, 1, 2), deed(0, 2, 9), deed(0, 1, 9), deed(1, 0, 1), deed(1, 2, 1)];
        let split = split(&deeds, 2);
        let question = Question { history: vec![(0, 1.0), (1, 1.0)], wanted: HashSet::from([1, 2]) };
        assert_eq!((split.test, split.validation), (vec![question], Vec::new()));
        assert_eq!(split.kept.len(), 4);
    }

    #[test]
    fn ties_count_against_the_model() {
        let question = Question { history: Vec::new(), wanted: HashSet::from([2]) };
        // Item 3 has the score of item 2 and comes first: third place of 1/log2(4).
        let measured = measure_popularity(&[5.0, 3.0, 4.0, 4.0], &[question]);
        assert!((measured.ndcg - 0.5).abs() < 1e-12, "{measured:?}");
        assert_eq!((measured.hit_rate, measured.people), (1.0, 1));
    }
}
