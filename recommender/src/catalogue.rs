//! The items of the shop, held in memory so that a change of one item costs microseconds however many there are.
//!
//! Each id has a slot that it keeps while the model is the same: the slots of the model's columns come first and are
//! equal to them, those of items that the model does not know follow.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use proto::common::v1::Item;

use crate::chunks::Chunks;

/// Ids in a shard of the index, on average at most; a changed shard is copied.
const IDS_PER_SHARD: usize = 512;

/// An item on sale with a property that every request asks for.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The item.
    pub item: Arc<Item>,
    /// Whether the item may be listed at any time to any request without further rules: it is recommendable, not
    /// sold out, and its sale has neither a begin nor an end. Most requests need not look at the item then.
    pub unconditional: bool,
}

impl Listing {
    fn new(item: Item) -> Self {
        let bounded = item.available_from.is_some() || item.available_until.is_some();
        // Without bounds every moment is alike.
        let unconditional = !bounded && item.may_be_listed(0, false);
        Self { item: Arc::new(item), unconditional }
    }
}

/// All items by id and by slot; clones share what has not changed.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    slots: Index,
    listings: Chunks<Option<Listing>>,
    /// Slots of the model's columns.
    columns: usize,
    items: usize,
}

impl Catalogue {
    /// The catalogue of `items` before a model's columns, the items of the columns `item_ids` first.
    pub fn new(items: impl IntoIterator<Item = Item>, item_ids: &[String]) -> Self {
        let mut catalogue = Self::with_columns(item_ids);
        for item in items {
            catalogue.insert(item);
        }
        catalogue
    }

    /// The same items with the slots of another model's columns.
    #[must_use]
    pub fn renumbered(&self, item_ids: &[String]) -> Self {
        let mut catalogue = Self::with_columns(item_ids);
        for listing in self.listings.iter().flatten() {
            catalogue.put(listing.clone());
        }
        catalogue
    }

    fn with_columns(item_ids: &[String]) -> Self {
        let mut catalogue = Self { columns: item_ids.len(), ..Self::default() };
        for id in item_ids {
            catalogue.slots.insert(id, catalogue.listings.len() as u32);
            catalogue.listings.push(None);
        }
        catalogue
    }

    /// Stores an item in place of one of the same id and returns its slot.
    pub fn insert(&mut self, item: Item) -> u32 {
        self.put(Listing::new(item))
    }

    fn put(&mut self, listing: Listing) -> u32 {
        let id = listing.item.item_id.as_str();
        let slot = self.slots.get(id).unwrap_or_else(|| {
            let slot = self.listings.len() as u32;
            self.slots.insert(id, slot);
            self.listings.push(None);
            slot
        });
        if let Some(place) = self.listings.get_mut(slot as usize) {
            self.items += usize::from(place.is_none());
            *place = Some(listing);
        }
        slot
    }

    /// Removes the item of this id; its slot stays for the id.
    pub fn remove(&mut self, item_id: &str) {
        let Some(slot) = self.slots.get(item_id) else { return };
        if let Some(place) = self.listings.get_mut(slot as usize) {
            self.items -= usize::from(place.is_some());
            *place = None;
        }
    }

    /// Takes over all items in which `newer` differs from `older`, of which it is a changed clone; the slots here may
    /// be others than there. Returns the slots of items that were stored here.
    pub fn take_over(&mut self, older: &Self, newer: &Self) -> Vec<u32> {
        let mut changed = Vec::new();
        for slot in newer.listings.unshared_with(&older.listings) {
            let (before, now) = (older.listing(slot), newer.listing(slot));
            match (before, now) {
                (_, Some(now)) if before.is_none_or(|before| !Arc::ptr_eq(&before.item, &now.item)) => {
                    changed.push(self.put(now.clone()));
                }
                (Some(before), None) => self.remove(&before.item.item_id),
                _ => {}
            }
        }
        changed
    }

    /// The item of this id.
    pub fn get(&self, item_id: &str) -> Option<&Arc<Item>> {
        self.listing(self.slot(item_id)? as usize).map(|listing| &listing.item)
    }

    /// The slot of this id, whether the item is there or was removed.
    pub fn slot(&self, item_id: &str) -> Option<u32> {
        self.slots.get(item_id)
    }

    /// What is in this slot; nothing where the item was removed or never stored.
    pub fn listing(&self, slot: usize) -> Option<&Listing> {
        self.listings.get(slot)?.as_ref()
    }

    /// All slots in order, as slices that follow each other; the model's columns come first.
    pub fn slices(&self) -> impl Iterator<Item = &[Option<Listing>]> {
        self.listings.slices()
    }

    /// All items, in order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.listings.iter().flatten().map(|listing| &listing.item)
    }

    /// Items that the model has no column for, with their slots.
    pub fn unmodelled(&self) -> impl Iterator<Item = (u32, &Arc<Item>)> {
        let all = self.listings.iter().zip(0_u32..).skip(self.columns);
        all.filter_map(|(listing, slot)| Some((slot, &listing.as_ref()?.item)))
    }

    /// Number of slots.
    pub fn slot_count(&self) -> usize {
        self.listings.len()
    }

    /// Number of slots that are columns of the model.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The item's title; empty where the item is not known.
    pub fn title(&self, item_id: &str) -> &str {
        self.get(item_id).map_or("", |item| item.title.as_str())
    }
}

type Shard = HashMap<Arc<str>, u32>;

/// Slots by id, in shards that clones share until one of them changes.
#[derive(Debug, Clone, Default)]
struct Index {
    shards: Vec<Arc<Shard>>,
    hasher: RandomState,
    len: usize,
}

impl Index {
    fn shard(&self, id: &str) -> usize {
        (self.hasher.hash_one(id) % self.shards.len().max(1) as u64) as usize
    }

    fn get(&self, id: &str) -> Option<u32> {
        self.shards.get(self.shard(id))?.get(id).copied()
    }

    fn insert(&mut self, id: &str, slot: u32) {
        if self.len >= self.shards.len() * IDS_PER_SHARD {
            self.grow();
        }
        let shard = self.shard(id);
        let new = Arc::make_mut(&mut self.shards[shard]).insert(id.into(), slot).is_none();
        self.len += usize::from(new);
    }

    /// Spreads the ids over four times as many shards.
    fn grow(&mut self) {
        let count = (self.shards.len() * 4).max(1);
        let old = std::mem::replace(&mut self.shards, vec![Arc::default(); count]);
        for (id, slot) in old.iter().flat_map(|shard| shard.iter()) {
            let shard = self.shard(id);
            Arc::make_mut(&mut self.shards[shard]).insert(id.clone(), *slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: usize, title: &str) -> Item {
        Item { item_id: format!("i{id}"), title: title.to_owned(), ..Item::default() }
    }

    fn ids(columns: std::ops::Range<usize>) -> Vec<String> {
        columns.map(|n| format!("i{n}")).collect()
    }

    #[test]
    fn columns_come_first_and_other_items_behind_them() {
        let catalogue = Catalogue::new((0..5_000).rev().map(|n| item(n, "t")), &ids(0..3));
        assert_eq!((catalogue.len(), catalogue.columns(), catalogue.slot_count()), (5_000, 3, 5_000));
        for n in 0..3 {
            assert_eq!(catalogue.slot(&format!("i{n}")), Some(n));
            assert_eq!(catalogue.listing(n as usize).expect("there").item.item_id, format!("i{n}"));
        }
        assert_eq!(catalogue.unmodelled().count(), 4_997);
        assert_eq!(catalogue.get("i4999").expect("there").title, "t");
        assert!(catalogue.get("i5000").is_none());
    }

    #[test]
    fn a_changed_clone_leaves_the_original() {
        let original = Catalogue::new((0..2_000).map(|n| item(n, "old")), &[]);
        let mut changed = original.clone();
        changed.insert(item(7, "new"));
        changed.insert(item(2_000, "new"));
        changed.remove("i8");
        changed.remove("never there");
        assert_eq!((original.title("i7"), original.title("i8"), original.title("i2000")), ("old", "old", ""));
        assert_eq!((changed.title("i7"), changed.title("i8"), changed.title("i2000")), ("new", "", "new"));
        assert_eq!((original.len(), changed.len()), (2_000, 2_000));
        changed.insert(item(8, "back"));
        assert_eq!((changed.title("i8"), changed.len(), changed.slot_count()), ("back", 2_001, 2_001));
    }

    #[test]
    fn changes_made_meanwhile_are_taken_over_by_a_renumbered_copy() {
        let base = Catalogue::new((0..3_000).map(|n| item(n, "old")), &ids(0..10));
        let mut current = base.clone();
        current.insert(item(2_999, "new"));
        current.insert(item(3_000, "added"));
        current.remove("i5");
        let mut next = base.renumbered(&ids(2_990..3_001));
        next.take_over(&base, &current);
        assert_eq!(next.slot("i2999"), Some(9), "the new model's columns");
        assert_eq!((next.title("i2999"), next.title("i3000"), next.title("i5")), ("new", "added", ""));
        assert_eq!((next.len(), current.len()), (3_000, 3_000));
    }

    #[test]
    fn an_item_may_be_listed_unconditionally_only_without_stock_bounds_and_flags() {
        let listing = |item: Item| Listing::new(item).unconditional;
        let at = Some(pbjson_types::Timestamp { seconds: 5, nanos: 0 });
        assert!(listing(item(1, "t")) && listing(Item { stock: Some(3), ..item(1, "t") }));
        assert!(!listing(Item { stock: Some(0), ..item(1, "t") }));
        assert!(!listing(Item { available_until: at, ..item(1, "t") }));
        assert!(!listing(Item { available_from: at, ..item(1, "t") }));
        assert!(!listing(Item { not_recommendable: true, ..item(1, "t") }));
    }
}
