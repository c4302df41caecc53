//! What requests are answered from: one view of the catalogue, of what is popular and of the model, swapped in whole.
//!
//! What the three have to do with each other is worked out here, once a change, and not once a request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use proto::common::v1::Item;

use crate::artefact::Artefact;
use crate::cold::text;
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
    /// Whether the availability of each of them must be checked on each request: it has a time of sale, is sold out or
    /// is never recommended. Cached here so that most requests avoid scattered item lookups.
    pub conditional: Vec<bool>,
    /// Items the model does not know: nobody had taken them when it was trained.
    pub fresh: Vec<Arc<Item>>,
    /// The factors of the first of these as their texts tell them, a row each; none of those behind.
    pub guessed: Array2<f32>,
}

impl Shelf {
    /// The view of these; `vectors` are those of new items' texts, as far as they are known yet.
    pub fn new(
        catalogue: Arc<Catalogue>,
        counts: &Popularity,
        serving: Option<Arc<Serving>>,
        vectors: &Vectors,
    ) -> Self {
        let taken: HashSet<&str> = counts.iter().map(|(id, _)| id.as_str()).collect();
        let first = counts.iter().filter_map(|(id, share)| Some((catalogue.get(id)?.clone(), *share)));
        let mut popular: Vec<(Arc<Item>, f64)> = first.collect();
        let by_id = |items: &mut Vec<Arc<Item>>| items.sort_by(|a, b| a.item_id.cmp(&b.item_id));
        let untaken = catalogue.iter().filter(|item| !taken.contains(item.item_id.as_str()));
        let mut untaken: Vec<Arc<Item>> = untaken.cloned().collect();
        by_id(&mut untaken);
        popular.extend(untaken.into_iter().map(|item| (item, 0.0)));
        let ids = serving.as_ref().map(|serving| serving.artefact.item_ids.as_slice()).unwrap_or_default();
        let goods: Vec<Option<Arc<Item>>> = ids.iter().map(|id| catalogue.get(id).cloned()).collect();
        let conditional = goods.iter().map(|item| item.as_ref().is_some_and(|item| is_conditional(item)));
        let conditional = conditional.collect();
        let known = |item: &Arc<Item>| {
            serving.as_ref().is_some_and(|serving| serving.columns.contains_key(&item.item_id))
        };
        let mut fresh: Vec<Arc<Item>> = catalogue.iter().filter(|item| !known(item)).cloned().collect();
        by_id(&mut fresh);
        let (fresh, guessed) = guess(fresh, serving.as_deref(), vectors);
        Self { catalogue, serving, popular, goods, conditional, fresh, guessed }
    }
}

/// Whether the availability of `item` depends on the time or the request.
fn is_conditional(item: &Item) -> bool {
    let timed = item.available_from.is_some() || item.available_until.is_some();
    timed || item.is_sold_out() || item.not_recommendable
}

impl Shelf {
    /// The factors that a new item's text tells.
    pub fn guess_of(&self, item: &Arc<Item>) -> Option<ArrayView1<'_, f32>> {
        let place = self.fresh.iter().position(|other| other.item_id == item.item_id)?;
        (place < self.guessed.nrows()).then(|| self.guessed.row(place))
    }
}

/// `fresh` items with those first whose factors are guessed from their texts, and these factors.
fn guess(
    fresh: Vec<Arc<Item>>,
    serving: Option<&Serving>,
    vectors: &Vectors,
) -> (Vec<Arc<Item>>, Array2<f32>) {
    let none = Array2::zeros((0, 0));
    let Some(map) = serving.and_then(|serving| serving.artefact.texts.as_ref()) else { return (fresh, none) };
    let vector = |item: &Arc<Item>| vectors.get(&text(item)).filter(|one| one.len() == map.dimensions());
    let (told, rest): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|item| vector(item).is_some());
    let values: Vec<f32> = told.iter().filter_map(vector).flatten().copied().collect();
    let guessed = Array2::from_shape_vec((told.len(), map.dimensions()), values)
        .map_or(none, |texts| map.map(texts.view()));
    (told.into_iter().chain(rest).collect(), guessed)
}
