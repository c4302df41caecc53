//! A person's past in serving: folded into the model that serves, without training.
//!
//! The present session is scored apart from the past and added to it, so that one click is felt however long the
//! past is, whatever the model makes of a past's length. The shares of both parts are the shares of the sum.

use std::collections::HashMap;

use ndarray::ArrayView1;
use proto::common::v1::EventKind;

use crate::algorithm::{Model, Past, Share, merged};
use crate::history::{Dated, PAUSE, visits};
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
    scores: Vec<f32>,
}

impl<'a> FoldIn<'a> {
    /// Folds `deeds`, the oldest first, into `model`, whose column of each item is in `columns`, at `now` in seconds.
    /// What the model does not know is left out; `None` where nothing is left, or what is left tells nothing.
    ///
    /// A purchase ends a need instead of showing one, so it is past at once.
    pub fn of(
        model: &'a dyn Model,
        columns: &HashMap<String, u32>,
        deeds: &[Deed],
        signals: &Signals,
        now: i64,
    ) -> Option<Self> {
        let (mut past, mut session) = (Vec::new(), Vec::new());
        for deed in deeds {
            let Some(&item) = columns.get(&deed.item_id) else { continue };
            let (kind, at) = (deed.kind, deed.at);
            let weight = signals.weight(kind) * signals.faded(now - at);
            let present = at > now - PAUSE && kind != EventKind::Purchase && weight > 0.0;
            let part = if present { &mut session } else { &mut past };
            let dated = Dated { item, weight, at, kind };
            if weight != 0.0 && !signals.repeats(part, &dated) {
                part.push(dated);
            }
        }
        if past.is_empty() {
            past = std::mem::take(&mut session);
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
        let told = !past.is_empty() && scores.iter().any(|&score| score != 0.0);
        told.then_some(Self { model, past, session, lift, scores })
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
        if self.session.is_empty() {
            return past;
        }
        let session = self.model.shares(&self.session, items);
        past.into_iter()
            .zip(session)
            .map(|(past, session)| {
                merged(past.into_iter().chain(session.into_iter().map(|share| self.lifted(share))))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
