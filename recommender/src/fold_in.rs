//! A person's past in serving: folded into the model that serves, without training.
//!
//! The present session is scored apart from the past and added to it, so that one click is felt however long the
//! past is, whatever the model makes of a past's length. The shares of both parts are the shares of the sum.

use std::collections::HashMap;

use ndarray::ArrayView1;
use proto::common::v1::EventKind;

use crate::algorithm::{Model, Past, Share, merged};
use crate::history::{Dated, PAUSE, keep_last_ratings, visits};
use crate::signals::Signals;
use crate::store::Deed;

/// How far the session lifts its best item, as a share of the best score that all the past gives.
const LIFT: f32 = 0.5;

/// Scores of every item for one person, and what they came from.
pub struct FoldIn<'a> {
    model: &'a dyn Model,
    past: Vec<Past>,
    session: Vec<Past>,
    /// What the session's scores are multiplied by.
    lift: f32,
    /// Share that is left of a score above 0 of items whose events speak against them on the whole. Most models tell
    /// nothing of an item from events with the item itself.
    rejected: HashMap<u32, f32>,
    scores: Vec<f32>,
}

/// The deeds that weigh something, without double clicks, with the columns of their items.
fn dated(columns: &HashMap<String, u32>, deeds: &[Deed], signals: &Signals, now: i64) -> Vec<Dated> {
    let mut dated: Vec<Dated> = Vec::with_capacity(deeds.len());
    for deed in deeds {
        let Some(&item) = columns.get(&deed.item_id) else { continue };
        let (kind, at, strength) = (deed.kind, deed.at, signals.strength(deed));
        let weight = signals.weight(kind) * strength * signals.faded(now - at);
        let one = Dated { item, weight, strength, at, kind };
        if weight != 0.0 && !signals.repeats(&dated, &one) {
            dated.push(one);
        }
    }
    dated
}

/// Items whose weights sum to less than 0, with the share that is left of their scores: none, since what the same event
/// takes off similar items would otherwise lift the item beside them.
fn rejected(deeds: &[Dated]) -> HashMap<u32, f32> {
    let mut sums: HashMap<u32, f32> = HashMap::new();
    for deed in deeds.iter().filter(|deed| deed.weight < 0.0) {
        sums.insert(deed.item, 0.0);
    }
    for deed in deeds {
        sums.entry(deed.item).and_modify(|sum| *sum += deed.weight);
    }
    sums.retain(|_, sum| *sum < 0.0);
    sums.into_keys().map(|item| (item, 0.0)).collect()
}

impl<'a> FoldIn<'a> {
    /// Folds `deeds`, the oldest first, into `model`, whose column of each item is in `columns`, at `now` in seconds.
    /// What the model does not know is left out; `None` where nothing that speaks for an item is left, or what is left
    /// tells the model nothing.
    ///
    /// A purchase ends a need instead of showing one, so it is past at once.
    pub fn of(
        model: &'a dyn Model,
        columns: &HashMap<String, u32>,
        deeds: &[Deed],
        signals: &Signals,
        now: i64,
    ) -> Option<Self> {
        let mut dated = dated(columns, deeds, signals, now);
        keep_last_ratings(&mut dated);
        let is_present =
            |deed: &Dated| deed.at > now - PAUSE && deed.kind != EventKind::Purchase && deed.weight > 0.0;
        let (mut session, mut past): (Vec<Dated>, Vec<Dated>) = dated.iter().copied().partition(is_present);
        // Dislikes alone are no past that a session could be measured by.
        if past.iter().all(|deed| deed.weight <= 0.0) {
            (past, session) = (dated.clone(), Vec::new());
        }
        if past.iter().all(|deed| deed.weight <= 0.0) {
            return None;
        }
        let (past, session) = (visits(&past), visits(&session));
        let mut scores = vec![0.0; model.items()];
        model.score_into(&past, &mut scores);
        let mut lift = 0.0;
        if !session.is_empty() {
            let mut felt = vec![0.0; model.items()];
            model.score_into(&session, &mut felt);
            let best = |scores: &[f32]| scores.iter().copied().fold(0.0, f32::max);
            let (long, short) = (best(&scores), best(&felt));
            lift = if long > 0.0 && short > 0.0 { LIFT * long / short } else { 1.0 };
            scores.iter_mut().zip(&felt).for_each(|(score, felt)| *score += lift * felt);
        }
        let rejected = rejected(&dated);
        for (item, left) in &rejected {
            let score = &mut scores[*item as usize];
            *score *= if *score > 0.0 { *left } else { 1.0 };
        }
        scores.iter().any(|&score| score != 0.0).then_some(Self {
            model,
            past,
            session,
            lift,
            rejected,
            scores,
        })
    }

    /// The score of every item.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The person's factors, the session included: their inner product with an item's inferred factors is the item's
    /// score. Nothing where the model has no factors.
    pub fn person(&self) -> Option<Vec<f32>> {
        let past = self.model.person_factors(&self.past);
        let session = if self.session.is_empty() { None } else { self.model.person_factors(&self.session) };
        let session = session.map(|session| session * self.lift);
        match (past, session) {
            (Some(past), Some(session)) => Some((past + session).to_vec()),
            (one, other) => one.or(other).map(|one| one.to_vec()),
        }
    }

    /// What carried the score of such an item.
    pub fn shares_of_row(&self, row: ArrayView1<f32>) -> Vec<Share> {
        let past = self.model.shares_of_row(&self.past, row);
        if self.session.is_empty() {
            return past;
        }
        let session = self.model.shares_of_row(&self.session, row);
        merged(past.into_iter().chain(session.into_iter().map(|share| self.lifted(share))))
    }

    fn lifted(&self, share: Share) -> Share {
        Share { value: self.lift * share.value, ..share }
    }

    /// What carried the scores of `items`, the largest share first; the shares of an item sum to its score.
    pub fn shares(&self, items: &[u32]) -> Vec<Vec<Share>> {
        let past = self.model.shares(&self.past, items);
        let mut all = if self.session.is_empty() {
            past
        } else {
            let session = self.model.shares(&self.session, items);
            let both = |(past, session): (Vec<Share>, Vec<Share>)| {
                merged(past.into_iter().chain(session.into_iter().map(|share| self.lifted(share))))
            };
            past.into_iter().zip(session).map(both).collect()
        };
        for (item, shares) in items.iter().zip(&mut all) {
            // As with the score, which they sum to.
            let sum: f32 = shares.iter().map(|share| share.value).sum();
            if let Some(left) = self.rejected.get(item).filter(|_| sum > 0.0) {
                for share in shares {
                    share.value *= left;
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
