//! What can be recommended: the catalogue in memory, joined to the model that serves.

use std::collections::HashMap;
use std::sync::Arc;

use proto::common::v1::Item;

use crate::artefact::Artefact;
use crate::store::Card;

/// The shop's items at one moment; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    items: Vec<Arc<Item>>,
    places: Arc<HashMap<String, u32>>,
}

impl Catalogue {
    /// The catalogue with `changed` items replaced or added.
    #[must_use]
    pub fn with(&self, changed: Vec<Item>) -> Self {
        let mut next = self.clone();
        for item in changed {
            if let Some(&place) = next.places.get(&item.item_id) {
                next.items[place as usize] = Arc::new(item);
            } else {
                let place = next.items.len() as u32;
                Arc::make_mut(&mut next.places).insert(item.item_id.clone(), place);
                next.items.push(Arc::new(item));
            }
        }
        next
    }

    /// All items; the place of one never changes.
    pub fn items(&self) -> &[Arc<Item>] {
        &self.items
    }

    /// The place of an item.
    pub fn place(&self, item_id: &str) -> Option<usize> {
        self.places.get(item_id).map(|&place| place as usize)
    }

    /// An item by its id.
    pub fn get(&self, item_id: &str) -> Option<&Arc<Item>> {
        self.place(item_id).map(|place| &self.items[place])
    }
}

/// The model that serves.
#[derive(Debug)]
pub struct Model {
    /// What is known of it.
    pub card: Card,
    /// The model and its items.
    pub artefact: Artefact,
    columns: HashMap<String, u32>,
}

impl Model {
    /// A loaded model, ready to serve.
    pub fn new(card: Card, artefact: Artefact) -> Self {
        let columns = artefact.item_ids.iter().zip(0..).map(|(id, column)| (id.clone(), column)).collect();
        Self { card, artefact, columns }
    }

    /// The column of an item.
    pub fn column(&self, item_id: &str) -> Option<u32> {
        self.columns.get(item_id).copied()
    }
}

/// What one answer is made from; it does not change while the answer is made.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The items.
    pub catalogue: Catalogue,
    /// The model; absent where none serves.
    pub model: Option<Arc<Model>>,
    /// The model's column of each item of the catalogue that the model learnt something of.
    columns: Arc<Vec<Option<u32>>>,
}

impl View {
    /// Joins a catalogue to a model.
    pub fn new(catalogue: Catalogue, model: Option<Arc<Model>>) -> Self {
        let columns = model.as_ref().map_or_else(Vec::new, |model| {
            let learnt = |column: &u32| model.artefact.taste.popularity[*column as usize] > 0.0;
            let column = |item: &Arc<Item>| model.column(&item.item_id).filter(learnt);
            catalogue.items().iter().map(column).collect()
        });
        Self { catalogue, model, columns: Arc::new(columns) }
    }

    /// The model's column of the item at `place`, where it learnt something of it.
    pub fn column(&self, place: usize) -> Option<u32> {
        self.columns.get(place).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_item_keeps_its_place_and_old_views_their_items() {
        let item = |id: &str, title: &str| Item { item_id: id.into(), title: title.into(), ..Item::default() };
        let before = Catalogue::default().with(vec![item("a", "tea"), item("b", "cup")]);
        let after = before.with(vec![item("b", "mug"), item("c", "pot")]);
        assert_eq!(before.get("b").map(|item| item.title.as_str()), Some("cup"));
        assert_eq!(after.get("b").map(|item| item.title.as_str()), Some("mug"));
        assert_eq!((before.place("c"), after.place("c"), after.place("b")), (None, Some(2), Some(1)));
    }
}
