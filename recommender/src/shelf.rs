//! What requests are answered from: one view of the catalogue, of what is popular and of the model, swapped in whole.
//!
//! A changed item makes a new view that shares nearly all with the one before; a new model makes a view of its own.

use std::collections::HashMap;
use std::sync::Arc;

use proto::common::v1::Item;
use rayon::prelude::*;

use crate::artefact::Artefact;
use crate::catalogue::Catalogue;
use crate::chunks::Rows;
use crate::cold::text;
use crate::fold_in::FoldIn;
use crate::signals::Signals;
use crate::store::Deed;

/// The model that serves.
#[derive(Debug)]
pub struct Serving {
    /// Its id.
    pub model_id: String,
    /// The model.
    pub artefact: Artefact,
    /// Column of each item.
    pub columns: HashMap<String, u32>,
}

impl Serving {
    /// The model of this id.
    pub fn new(model_id: String, artefact: Artefact) -> Self {
        let columns = artefact.item_ids.iter().cloned().zip(0..).collect();
        Self { model_id, artefact, columns }
    }

    /// A person's `deeds`, the oldest first, folded into the model; `None` where they tell it nothing. They weigh what
    /// the model has learnt, or as `configured`.
    pub fn fold_in(&self, deeds: &[Deed], configured: &Signals, now: i64) -> Option<FoldIn<'_>> {
        let signals = self.artefact.signals.as_ref().unwrap_or(configured);
        FoldIn::of(self.artefact.model.as_ref(), &self.columns, deeds, signals, now)
    }
}

/// Ids of items with the share of people who took them, the most popular first.
pub type Popularity = Vec<(String, f64)>;

/// Vectors of what is said of items, by the text; empty where the encoder refused the text.
pub type Vectors = HashMap<String, Vec<f32>>;

/// Factors inferred from the text of one item.
#[derive(Debug)]
pub struct Inference {
    slot: usize,
    item: Arc<Item>,
    factors: Option<Vec<f32>>,
}

/// One view of everything; clones share what has not changed.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// All items; the slots of the model's columns come first.
    pub catalogue: Catalogue,
    /// The promoted model.
    pub serving: Option<Arc<Serving>>,
    /// Share of people who took the item of each slot; slots behind the last were taken by nobody.
    shares: Arc<Vec<f64>>,
    /// Factors of items that the model does not know, inferred from their texts; row 0 is the first slot behind the
    /// model's columns.
    inferred: Rows,
}

impl Shelf {
    /// The view of `items` without a model and without popularity.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self { catalogue: Catalogue::new(items, &[]), ..Self::default() }
    }

    /// The same items served by another model.
    #[must_use]
    pub fn with_serving(&self, serving: Arc<Serving>, popularity: &Popularity) -> Self {
        let catalogue = self.catalogue.renumbered(&serving.artefact.item_ids);
        let mut shelf = Self { catalogue, serving: Some(serving), ..Self::default() };
        shelf.set_popularity(popularity);
        shelf
    }

    /// Stores an item in place of one of the same id.
    pub fn insert(&mut self, item: Item, vectors: &Vectors) {
        let slot = self.catalogue.insert(item);
        self.infer(slot, vectors);
    }

    /// Removes the item of this id.
    pub fn remove(&mut self, item_id: &str) {
        self.catalogue.remove(item_id);
    }

    /// Takes over all items in which `newer` differs from `older`, of which it is a changed clone.
    pub fn take_over(&mut self, older: &Self, newer: &Self, vectors: &Vectors) {
        for slot in self.catalogue.take_over(&older.catalogue, &newer.catalogue) {
            self.infer(slot, vectors);
        }
    }

    /// Says anew what is popular.
    pub fn set_popularity(&mut self, popularity: &Popularity) {
        let mut shares = vec![0.0; self.catalogue.slot_count()];
        for (id, share) in popularity {
            if let Some(slot) = self.catalogue.slot(id) {
                shares[slot as usize] = *share;
            }
        }
        self.shares = Arc::new(shares);
    }

    /// Share of people who took the item of this slot.
    pub fn share(&self, slot: usize) -> f64 {
        self.shares.get(slot).copied().unwrap_or(0.0)
    }

    /// Whether anybody is known to have taken anything.
    pub fn has_popularity(&self) -> bool {
        self.shares.iter().any(|share| *share > 0.0)
    }

    /// The factors of up to `count` items that the model does not know, in the slots from `from` on, with the slot
    /// behind the last one looked at. Runs on rayon's threads.
    pub fn inferences(&self, from: usize, count: usize, vectors: &Vectors) -> (Vec<Inference>, usize) {
        let from = from.max(self.catalogue.columns());
        let until = from.saturating_add(count).min(self.catalogue.slot_count());
        let one = |slot: usize| {
            let item = &self.catalogue.listing(slot)?.item;
            let factors = self.factors_of(item, vectors);
            Some(Inference { slot, item: item.clone(), factors })
        };
        ((from..until).into_par_iter().filter_map(one).collect(), until)
    }

    /// Takes over inferred factors of items that have not changed since.
    pub fn take_inferences(&mut self, inferences: Vec<Inference>) {
        for Inference { slot, item, factors } in inferences {
            let current = self.catalogue.listing(slot);
            if current.is_some_and(|listing| Arc::ptr_eq(&listing.item, &item)) {
                self.set_inferred(slot, factors.as_deref());
            }
        }
    }

    /// Infers the factors of the item of this id anew.
    pub fn infer_item(&mut self, item_id: &str, vectors: &Vectors) {
        if let Some(slot) = self.catalogue.slot(item_id) {
            self.infer(slot, vectors);
        }
    }

    fn infer(&mut self, slot: u32, vectors: &Vectors) {
        let slot = slot as usize;
        if slot >= self.catalogue.columns()
            && let Some(listing) = self.catalogue.listing(slot)
        {
            let factors = self.factors_of(&listing.item, vectors);
            self.set_inferred(slot, factors.as_deref());
        }
    }

    fn set_inferred(&mut self, slot: usize, factors: Option<&[f32]>) {
        let Some(row) = slot.checked_sub(self.catalogue.columns()) else { return };
        if let Some(factors) = factors.filter(|factors| self.inferred.width() != factors.len()) {
            self.inferred = Rows::new(factors.len());
        }
        self.inferred.set(row, factors);
    }

    /// The factors that an item's text tells: by the encoder where it knows the text, else by its n-grams.
    fn factors_of(&self, item: &Item, vectors: &Vectors) -> Option<Vec<f32>> {
        let Artefact { texts, ngrams, .. } = &self.serving.as_ref()?.artefact;
        let said = text(item);
        let embedded = texts.as_ref().and_then(|map| {
            let vector = vectors.get(&said)?;
            (vector.len() == map.dimensions()).then(|| map.map_one(vector))
        });
        embedded.or_else(|| ngrams.as_ref()?.map_one(&said))
    }

    /// Items that the model does not know and whose factors could be inferred if their texts were known, at most
    /// `limit`.
    pub fn waiting_for_texts(&self, vectors: &Vectors, limit: usize) -> Vec<Arc<Item>> {
        let mapped = self.serving.as_ref().is_some_and(|serving| serving.artefact.texts.is_some());
        let waiting = |(_, item): &(u32, &Arc<Item>)| mapped && !vectors.contains_key(&text(item));
        self.catalogue.unmodelled().filter(waiting).take(limit).map(|(_, item)| item.clone()).collect()
    }

    /// The factors that the text of an unknown item tells.
    pub fn inferred_factors(&self, item_id: &str) -> Option<&[f32]> {
        let row = (self.catalogue.slot(item_id)? as usize).checked_sub(self.catalogue.columns())?;
        self.inferred.get(row)
    }

    /// The factors that the text of an item tells, one that the model knows included: few interactions leave its own at 0.
    pub fn text_factors(&self, item_id: &str) -> Option<Vec<f32>> {
        if let Some(inferred) = self.inferred_factors(item_id) {
            return Some(inferred.to_vec());
        }
        let ngrams = self.serving.as_ref()?.artefact.ngrams.as_ref()?;
        ngrams.map_one(&text(self.catalogue.get(item_id)?))
    }

    /// Scores of unknown items for the person in `fold_in`, the first slot behind the model's columns first; 0 where
    /// nothing was inferred.
    pub fn inferred_scores(&self, fold_in: &FoldIn<'_>) -> Vec<f32> {
        fold_in.person().map_or_else(Vec::new, |person| self.inferred.products(&person))
    }
}
