//! Takes places one after the other: maximal marginal relevance (Carbonell and Goldstein 1998) for difference,
//! ε-greedy for exploration, a bound per category.

use std::collections::HashMap;

use ndarray::ArrayView2;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Candidate;
use super::queue::Queue;

/// Candidates, for each place wanted, that difference and exploration choose among.
const POOL_PER_PLACE: usize = 5;
/// Candidates looked at however few places are wanted.
const LEAST_POOL: usize = 100;

/// A candidate that took a place.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The candidate.
    pub candidate: Candidate<'a>,
    /// Probability with which it took this place, given the places before.
    pub propensity: f64,
}

/// What chooses among the candidates.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Places wanted.
    pub limit: usize,
    /// 0 ranks by score alone, 1 by difference alone.
    pub diversity: f64,
    /// Probability that a place is given at random, evenly among the pool.
    pub explore: f64,
    /// Most of one category (an item's last, the narrowest); 0: no bound.
    pub max_per_category: usize,
    /// Seed of the chance.
    pub seed: u64,
}

/// Fills the places. `factors` are the model's rows, for likeness; without them categories tell it.
pub fn select<'a>(
    candidates: Vec<Candidate<'a>>,
    choice: Choice,
    factors: Option<ArrayView2<'_, f32>>,
) -> Vec<Place<'a>> {
    let pooled = choice.diversity > 0.0 || choice.explore > 0.0;
    let pool_size = if pooled { (choice.limit * POOL_PER_PLACE).max(LEAST_POOL) } else { choice.limit };
    let mut waiting = Queue::new(candidates);
    let mut pool: Vec<(Candidate, f64)> = waiting.by_ref().take(pool_size).map(|one| (one, 0.0)).collect();
    let (Some((best, _)), Some((worst, _))) = (pool.first(), pool.last()) else { return Vec::new() };
    let (best, worst) = (best.score, worst.score);
    let span = (best - worst).max(f64::EPSILON);
    let mut random = StdRng::seed_from_u64(choice.seed);
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut places: Vec<Place> = Vec::with_capacity(choice.limit.min(pool.len()));
    while places.len() < choice.limit && !pool.is_empty() {
        let worth = |(one, likeness): &(Candidate, f64)| {
            (1.0 - choice.diversity) * (one.score - worst) / span - choice.diversity * likeness
        };
        // Without difference the pool stays in order of score and its first is the best.
        let greedy = if choice.diversity > 0.0 {
            (1..pool.len())
                .fold(0, |best, index| if worth(&pool[index]) > worth(&pool[best]) { index } else { best })
        } else {
            0
        };
        let explored = choice.explore > 0.0 && random.random_bool(choice.explore);
        let index = if explored { random.random_range(0..pool.len()) } else { greedy };
        let even = choice.explore / pool.len() as f64;
        let propensity = even + if index == greedy { 1.0 - choice.explore } else { 0.0 };
        let (candidate, _) = pool.remove(index);
        if choice.diversity > 0.0 {
            for (one, likeness) in &mut pool {
                *likeness = likeness.max(alike(one, &candidate, factors));
            }
        }
        let category = candidate.item.categories.last().cloned().unwrap_or_default();
        places.push(Place { candidate, propensity });
        let count = taken.entry(category.clone()).or_insert(0);
        *count += 1;
        if choice.max_per_category > 0 && *count >= choice.max_per_category {
            let full = |one: &Candidate| one.item.categories.last().map_or("", String::as_str) == category;
            pool.retain(|(one, _)| !full(one));
        }
        // A pool that ran low is filled from the candidates behind it, as far as they may still take a place.
        while pool.len() < choice.limit.saturating_sub(places.len()) {
            let Some(next) = waiting.next() else { break };
            let category = next.item.categories.last().map_or("", String::as_str);
            let full = choice.max_per_category > 0
                && taken.get(category).is_some_and(|count| *count >= choice.max_per_category);
            if !full {
                pool.push((next, 0.0));
            }
        }
    }
    places
}

/// Likeness of two items, 0 to 1: cosine of their factors, else the share of categories in common.
fn alike(a: &Candidate, b: &Candidate, factors: Option<ArrayView2<'_, f32>>) -> f64 {
    if let (Some(factors), Some(left), Some(right)) = (factors, a.column, b.column) {
        let (left, right) = (factors.row(left as usize), factors.row(right as usize));
        let length = (left.dot(&left) * right.dot(&right)).sqrt();
        return if length > 0.0 { f64::from((left.dot(&right) / length).clamp(0.0, 1.0)) } else { 0.0 };
    }
    let common = a.item.categories.iter().filter(|name| b.item.categories.contains(name)).count();
    let all = a.item.categories.len() + b.item.categories.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::common::v1::Item;
    use std::sync::Arc;

    fn items() -> Vec<Arc<Item>> {
        let categories = |n: u32| vec![if n < 3 { "Tea" } else { "Soap" }.to_owned()];
        let item = |n: u32| Item { item_id: n.to_string(), categories: categories(n), ..Item::default() };
        (0..6).map(|n| Arc::new(item(n))).collect()
    }

    fn candidates(items: &[Arc<Item>]) -> Vec<Candidate<'_>> {
        let scored = items.iter().zip((1..=6).rev());
        let one = |(item, score)| Candidate {
            item,
            score: f64::from(score),
            boost: 0.0,
            popularity: 0.0,
            column: None,
        };
        scored.map(one).collect()
    }

    const PLAIN: Choice = Choice { limit: 3, diversity: 0.0, explore: 0.0, max_per_category: 0, seed: 1 };

    fn ids(choice: Choice) -> Vec<String> {
        select(candidates(&items()), choice, None)
            .into_iter()
            .map(|place| place.candidate.item.item_id.clone())
            .collect()
    }

    #[test]
    fn the_best_come_first_and_rules_change_the_order() {
        assert_eq!(ids(PLAIN), ["0", "1", "2"]);
        assert_eq!(ids(Choice { max_per_category: 1, ..PLAIN }), ["0", "3"]);
        assert_eq!(ids(Choice { diversity: 0.6, ..PLAIN })[..2], ["0", "3"]);
    }

    #[test]
    fn propensities_are_how_often_an_item_takes_a_place() {
        let runs = 20_000;
        let mut firsts = HashMap::new();
        let mut told = HashMap::new();
        for seed in 0..runs {
            let items = items();
            let places = select(candidates(&items), Choice { explore: 0.3, seed, ..PLAIN }, None);
            let id = places[0].candidate.item.item_id.clone();
            *firsts.entry(id.clone()).or_insert(0) += 1;
            told.insert(id, places[0].propensity);
        }
        for (id, count) in firsts {
            let share = f64::from(count) / runs as f64;
            assert!((share - told[&id]).abs() < 0.01, "{id}: {share} but {}", told[&id]);
        }
    }
}
