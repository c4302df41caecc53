//! How well items are ranked that nobody had taken when the model was trained, by their texts alone.
//!
//! A random share of the items is withheld from training with all their interactions. For everybody who took some of
//! them, the full catalogue, withheld items and others alike, is ranked from what the person took of the others.

use std::collections::HashMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde::Serialize;

use super::log::Log;
use super::{EvaluateError, Fold, Measures, Scorer, measure};
use crate::algorithm::{Algorithm, Histories, Model, Past, Settings, fit};
use crate::cold::NgramMap;
use crate::factorise::Watch;

/// The outcome, in the form `recommender cold --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct ColdReport {
    /// By texts, ranked in the full catalogue.
    pub texts: Measures,
    /// By popularity, ranked in the full catalogue; of withheld items it knows nothing.
    pub popularity: Measures,
    /// By texts, among the withheld items alone.
    pub texts_among_cold: Measures,
    /// In random order, among the withheld items alone.
    pub random_among_cold: Measures,
    /// Share of the factors' variance that texts tell of items kept back from the regression.
    pub explained: f64,
    /// Items in all.
    pub items: usize,
    /// Items withheld from training.
    pub withheld: usize,
    /// People tested.
    pub people: usize,
    /// Dimensions of a text.
    pub dimensions: usize,
}

/// Scores known items by the model and withheld ones by factors inferred from their texts.
struct ColdScorer<'a> {
    model: &'a dyn Model,
    /// Factors of each withheld item, by item.
    inferred: &'a HashMap<u32, Vec<f32>>,
    /// Whether only withheld items are ranked.
    cold_only: bool,
}

impl Scorer for ColdScorer<'_> {
    fn score(&self, history: &[Past], out: &mut [f32]) {
        self.model.score_into(history, out);
        if self.cold_only {
            out.fill(f32::NEG_INFINITY);
        }
        let Some(person) = self.model.person_factors(history) else { return };
        for (item, factors) in self.inferred {
            out[*item as usize] = person.iter().zip(factors).map(|(a, b)| a * b).sum();
        }
    }

    fn knows(&self, item: u32) -> bool {
        self.inferred.contains_key(&item) || (!self.cold_only && self.model.popularity()[item as usize] > 0.0)
    }
}

/// Ranks withheld items in an order drawn at random.
struct RandomScorer<'a>(&'a HashMap<u32, f32>);

impl Scorer for RandomScorer<'_> {
    fn score(&self, _: &[Past], out: &mut [f32]) {
        out.fill(f32::NEG_INFINITY);
        self.0.iter().for_each(|(item, score)| out[*item as usize] = *score);
    }

    fn knows(&self, item: u32) -> bool {
        self.0.contains_key(&item)
    }
}

/// Withholds a `share` of the items of `log`, trains `algorithm` on the rest and ranks; `texts` holds the text of each
/// item by its name.
///
/// # Errors
/// Nobody took a withheld item and another one, a fit fails, or fewer than 50 items have a text.
pub fn evaluate_cold(
    log: &Log,
    texts: &HashMap<String, String>,
    algorithm: Algorithm,
    share: f64,
    seed: u64,
) -> Result<ColdReport, EvaluateError> {
    let text = |item: u32| texts.get(&log.items[item as usize]);
    let mut order: Vec<u32> = (0..log.items.len() as u32).filter(|item| text(*item).is_some()).collect();
    let mut random = StdRng::seed_from_u64(seed);
    order.shuffle(&mut random);
    let (withheld, with_text) = order.split_at((share * order.len() as f64) as usize);
    let mut is_withheld = vec![false; log.items.len()];
    for item in withheld {
        is_withheld[*item as usize] = true;
    }

    let mut rows: Vec<usize> = (0..log.events.len()).collect();
    rows.sort_by_key(|row| (log.events[*row].time, *row));
    let mut fold =
        Fold { histories: vec![Vec::new(); log.users.len()], targets: vec![Vec::new(); log.users.len()] };
    let mut seen = std::collections::HashSet::new();
    for row in rows {
        let event = log.events[row];
        if !seen.insert((event.user, event.item)) {
            continue;
        }
        let (history, targets) =
            (&mut fold.histories[event.user as usize], &mut fold.targets[event.user as usize]);
        if is_withheld[event.item as usize] {
            targets.push(event.item);
        } else {
            let step = history.len() as u32;
            history.push(Past { item: event.item, weight: 1.0, step });
        }
    }
    for (history, targets) in fold.histories.iter().zip(&mut fold.targets) {
        if history.is_empty() {
            targets.clear();
        }
    }
    let people = fold.targets.iter().filter(|targets| !targets.is_empty()).count();
    if people == 0 {
        return Err(EvaluateError::NobodyTookBoth);
    }
    let histories = Histories { people: fold.histories.clone(), items: log.items.len() };
    let model = fit(&Settings::of(algorithm, seed), &histories, Watch::idle())?;
    let popularity = fit(&Settings::of(Algorithm::Popularity, seed), &histories, Watch::idle())?;
    let factors = model.factors().ok_or(EvaluateError::NoFactors { algorithm })?;
    let learnt: Vec<usize> =
        with_text.iter().map(|item| *item as usize).filter(|item| model.popularity()[*item] > 0.0).collect();
    let said: Vec<String> = learnt.iter().filter_map(|item| text(*item as u32).cloned()).collect();
    let counts: Vec<f32> = learnt.iter().map(|item| model.popularity()[*item]).collect();
    let map = NgramMap::fit(&said, factors.select(ndarray::Axis(0), &learnt).view(), &counts)?;
    let inferred: HashMap<u32, Vec<f32>> =
        withheld.iter().filter_map(|item| Some((*item, map.map_one(text(*item)?)?))).collect();
    let drawn: HashMap<u32, f32> =
        withheld.iter().copied().zip((0..).map(|place: u16| f32::from(place))).collect();
    let scorer = |cold_only| ColdScorer { model: model.as_ref(), inferred: &inferred, cold_only };
    let items = log.items.len();
    Ok(ColdReport {
        texts: measure(&fold, items, &scorer(false)),
        popularity: measure(&fold, items, popularity.as_ref()),
        texts_among_cold: measure(&fold, items, &scorer(true)),
        random_among_cold: measure(&fold, items, &RandomScorer(&drawn)),
        explained: map.explained(),
        items,
        withheld: withheld.len(),
        people,
        dimensions: crate::cold::DIMENSIONS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::log::Event;

    #[test]
    fn withheld_items_of_a_persons_kind_are_found_by_their_texts() {
        // Two kinds of items and of people, each person taking a third of the own kind.
        let kinds = ["绿茶 green tea", "花园水管 garden hose"];
        let items: Vec<String> = (0..200).map(|n| format!("i{n}")).collect();
        let texts: HashMap<String, String> =
            items.iter().zip(0..).map(|(id, n)| (id.clone(), format!("{} {n}", kinds[n % 2]))).collect();
        let take = |user: u32| {
            (0..200_u32).filter(move |item| item % 2 == user % 2 && (item * 7 + user * 13).is_multiple_of(3))
        };
        let event = |user: u32, item: u32| Event { user, item, time: (i64::from(item), 0), basket: 0 };
        let events: Vec<Event> =
            (0..150).flat_map(|user| take(user).map(move |item| event(user, item))).collect();
        let users = (0..150).map(|n| format!("u{n}")).collect();
        let log = Log { users, items, events, ..Log::default() };
        let report = evaluate_cold(&log, &texts, Algorithm::Svd, 0.2, 7).expect("evaluates");
        assert_eq!((report.withheld, report.people), (40, 150));
        assert!(report.popularity.ndcg < 0.01, "popularity knows nothing of them: {report:?}");
        let (texts, random) = (report.texts_among_cold.ndcg, report.random_among_cold.ndcg);
        assert!(texts > 1.3 * random && report.texts.ndcg > 0.01, "{report:?}");
    }
}
