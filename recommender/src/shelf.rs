//! What requests are answered from: one view of the catalogue, of what is popular and of the model, swapped in whole.
//!
//! What the three have to do with each other is worked out here, once a change, and not once a request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proto::common::v1::Item;

use crate::artefact::Artefact;
use crate::fold_in::FoldIn;
use crate::signals::Signals;
use crate::store::Deed;

/// All items, by id.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Changes whenever an item does.
    pub version: (u64, i64),
    items: HashMap<String, Arc<Item>>,
}

impl Catalogue {
    /// The catalogue of these items.
    pub fn new(version: (u64, i64), items: Vec<Item>) -> Self {
        let items = items.into_iter().map(|item| (item.item_id.clone(), Arc::new(item)));
        Self { version, items: items.collect() }
    }

    /// The item of this id.
    pub fn get(&self, item_id: &str) -> Option<&Arc<Item>> {
        self.items.get(item_id)
    }

    /// All items, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.items.values()
    }

    /// The item's title; empty where it is not known.
    pub fn title(&self, item_id: &str) -> &str {
        self.items.get(item_id).map_or("", |item| item.title.as_str())
    }
}

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

    /// A person's `deeds`, the oldest first, folded into the model; `None` where they tell it nothing.
    pub fn fold_in(&self, deeds: &[Deed], signals: &Signals, now: i64) -> Option<FoldIn<'_>> {
        FoldIn::of(self.artefact.model.as_ref(), &self.columns, deeds, signals, now)
    }
}

/// Ids of items with the share of people who took them, the most popular first.
pub type Popularity = Vec<(String, f64)>;

/// One view of everything.
#[derive(Debug, Default)]
pub struct Shelf {
    /// All items.
    pub catalogue: Arc<Catalogue>,
    /// The promoted model.
    pub serving: Option<Arc<Serving>>,
    /// All items with the share of people who took them, the most popular first; those nobody took come last, by id.
    pub popular: Vec<(Arc<Item>, f64)>,
    /// The item of each of the model's columns; none where it was taken out of the catalogue.
    pub goods: Vec<Option<Arc<Item>>>,
    /// Items the model does not know: nobody had taken them when it was trained.
    pub fresh: Vec<Arc<Item>>,
}

impl Shelf {
    /// The view of these three.
    pub fn new(catalogue: Arc<Catalogue>, counts: &Popularity, serving: Option<Arc<Serving>>) -> Self {
        let taken: HashSet<&str> = counts.iter().map(|(id, _)| id.as_str()).collect();
        let first = counts.iter().filter_map(|(id, share)| Some((catalogue.get(id)?.clone(), *share)));
        let mut popular: Vec<(Arc<Item>, f64)> = first.collect();
        let by_id = |items: &mut Vec<Arc<Item>>| items.sort_by(|a, b| a.item_id.cmp(&b.item_id));
        let untaken = catalogue.iter().filter(|item| !taken.contains(item.item_id.as_str()));
        let mut untaken: Vec<Arc<Item>> = untaken.cloned().collect();
        by_id(&mut untaken);
        popular.extend(untaken.into_iter().map(|item| (item, 0.0)));
        let ids = serving.as_ref().map(|serving| serving.artefact.item_ids.as_slice()).unwrap_or_default();
        let goods = ids.iter().map(|id| catalogue.get(id).cloned()).collect();
        let known = |item: &Arc<Item>| {
            serving.as_ref().is_some_and(|serving| serving.columns.contains_key(&item.item_id))
        };
        let mut fresh: Vec<Arc<Item>> = catalogue.iter().filter(|item| !known(item)).cloned().collect();
        by_id(&mut fresh);
        Self { popular, goods, fresh, catalogue, serving }
    }
}
