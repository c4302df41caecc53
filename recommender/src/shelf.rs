//! What requests are answered from: one view of the catalogue, of what is popular and of the model, swapped in whole.
//!
//! A changed item makes a new view that shares nearly all with the one before; a new model makes a view of its own.

use std::collections::HashMap;
use std::sync::Arc;

use proto::common::v1::Item;

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

/// Vectors of what is said of items, by the text.
pub type Vectors = HashMap<String, Vec<f32>>;

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

    /// Infers the factors of all items that the model does not know, as far as `vectors` has their texts.
    pub fn infer_all(&mut self, vectors: &Vectors) {
        let slots: Vec<u32> = self.catalogue.unmodelled().map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.infer(slot, vectors));
    }

    fn infer(&mut self, slot: u32, vectors: &Vectors) {
        let Some(row) = (slot as usize).checked_sub(self.catalogue.columns()) else { return };
        let map = self.serving.as_ref().and_then(|serving| serving.artefact.texts.as_ref());
        let Some((map, listing)) = map.zip(self.catalogue.listing(slot as usize)) else { return };
        let vector = vectors.get(&text(&listing.item)).filter(|vector| vector.len() == map.dimensions());
        let factors = vector.map(|vector| map.map_one(vector));
        if self.inferred.width() != map.factors() {
            self.inferred = Rows::new(map.factors());
        }
        self.inferred.set(row, factors.as_deref());
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

    /// Scores of unknown items for the person in `fold_in`, the first slot behind the model's columns first; 0 where
    /// nothing was inferred.
    pub fn inferred_scores(&self, fold_in: &FoldIn<'_>) -> Vec<f32> {
        fold_in.person().map_or_else(Vec::new, |person| self.inferred.products(&person))
    }
}
