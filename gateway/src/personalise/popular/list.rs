//! Items in order of popularity, and an answer made of them.

use std::collections::HashMap;
use std::sync::Arc;

use proto::common::v1::Item;
use proto::gateway::v1::ItemUpdate;
use proto::recommender::v1::{
    Reason, ReasonKind, RecommendRequest, RecommendResponse, Recommendation, Rules,
};

/// Items, the most popular first.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    items: Vec<Arc<Item>>,
    /// Place of each item by its id.
    places: HashMap<String, usize>,
}

impl List {
    /// A list of `items`, the most popular first.
    pub(super) fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self::of_shared(items.into_iter().map(Arc::new))
    }

    fn of_shared(items: impl IntoIterator<Item = Arc<Item>>) -> Self {
        let items: Vec<_> = items.into_iter().collect();
        let places = items.iter().zip(0..).map(|(item, place)| (item.item_id.clone(), place)).collect();
        Self { items, places }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn contains(&self, item_id: &str) -> bool {
        self.places.contains_key(item_id)
    }

    /// Replaces items of the list by their new versions and appends others while the list is shorter than `most`.
    /// Returns what changed, with its place.
    pub(super) fn put(&mut self, items: Vec<Item>, most: usize) -> Vec<(usize, Arc<Item>)> {
        let mut changed = Vec::new();
        for item in items.into_iter().map(Arc::new) {
            if let Some(place) = self.places.get(&item.item_id) {
                self.items[*place] = item.clone();
                changed.push((*place, item));
            } else if self.items.len() < most {
                let place = self.items.len();
                self.places.insert(item.item_id.clone(), place);
                self.items.push(item.clone());
                changed.push((place, item));
            }
        }
        changed
    }

    /// Applies updates to items of the list; returns what changed, with its place.
    pub(super) fn update(&mut self, updates: Vec<ItemUpdate>) -> Vec<(usize, Arc<Item>)> {
        let mut changed = Vec::new();
        for ItemUpdate { item, update_mask } in updates {
            let Some(new) = item else { continue };
            let Some(place) = self.places.get(&new.item_id).copied() else { continue };
            let item = Arc::make_mut(&mut self.items[place]);
            apply(item, new, &update_mask);
            changed.push((place, self.items[place].clone()));
        }
        changed
    }

    pub(super) fn remove(&mut self, item_ids: &[String]) {
        let gone = |item: &Item| item_ids.contains(&item.item_id);
        *self = Self::of_shared(self.items.iter().filter(|item| !gone(item)).cloned());
    }

    /// The answer to `request` at `now`, in seconds since 1970: items that may be listed and satisfy the rules. Diversity
    /// and exploration need the model and are left out.
    pub(super) fn answer(&self, request: &RecommendRequest, now: i64) -> RecommendResponse {
        let rules = request.rules.clone().unwrap_or_default();
        // Degrees of popularity are not kept, only the order: the score falls with the place.
        let mut scored: Vec<(&Item, f64)> = self
            .items
            .iter()
            .map(Arc::as_ref)
            .filter(|item| is_allowed(&rules, item, now))
            .zip(1_u32..)
            .map(|(item, place)| (item, rules.boosted(item, 1.0 / f64::from(place))))
            .collect();
        let allowed = scored.len();
        scored.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let mut of_category: HashMap<&str, u32> = HashMap::new();
        let picks = scored.into_iter().filter(|(item, _)| {
            let count = of_category.entry(item.categories.last().map_or("", String::as_str)).or_default();
            *count += 1;
            rules.max_per_category == 0 || *count <= rules.max_per_category
        });
        let recommendations = picks.take(request.limit as usize).map(|(item, score)| Recommendation {
            item_id: item.item_id.clone(),
            score,
            propensity: 1.0,
            sources: vec!["popularity".into()],
            reasons: vec![Reason { kind: ReasonKind::Popularity.into(), weight: 1.0, ..Reason::default() }],
            item: Some(item.clone()),
        });
        RecommendResponse {
            recommendations: recommendations.collect(),
            filtered_out: (self.items.len() - allowed) as u64,
            seed: request.seed,
            ..RecommendResponse::default()
        }
    }
}

fn is_allowed(rules: &Rules, item: &Item, now: i64) -> bool {
    !rules.exclude_item_ids.contains(&item.item_id)
        && (rules.only_item_ids.is_empty() || rules.only_item_ids.contains(&item.item_id))
        && rules.fits(item, now)
}

/// Takes the fields of `new` that `mask` names.
fn apply(item: &mut Item, new: Item, mask: &[String]) {
    let named = |field: &str| mask.iter().any(|name| name == field);
    macro_rules! take {
        ($($field:ident),*) => { $(if named(stringify!($field)) { item.$field = new.$field; })* };
    }
    take!(
        title,
        description,
        categories,
        brand,
        price,
        unit_cost,
        stock,
        available_from,
        available_until,
        attributes,
        image_uri,
        not_recommendable
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 100;

    fn item(id: &str, category: &str) -> Item {
        Item { item_id: id.into(), title: id.into(), categories: vec![category.into()], ..Item::default() }
    }

    fn shop() -> List {
        List::new([item("a", "tea"), item("b", "tea"), item("c", "tea"), item("d", "milk")])
    }

    fn answer(list: &List, rules: Rules) -> Vec<String> {
        let request = RecommendRequest { limit: 3, rules: Some(rules), ..RecommendRequest::default() };
        list.answer(&request, NOW).recommendations.into_iter().map(|pick| pick.item_id).collect()
    }

    #[test]
    fn the_most_popular_items_that_satisfy_the_rules_are_listed() {
        let list = shop();
        assert_eq!(answer(&list, Rules::default()), ["a", "b", "c"]);
        let without = Rules { exclude_item_ids: vec!["a".into()], ..Rules::default() };
        assert_eq!(answer(&list, without), ["b", "c", "d"]);
        assert_eq!(answer(&list, Rules { categories: vec!["milk".into()], ..Rules::default() }), ["d"]);
        assert_eq!(answer(&list, Rules { max_per_category: 1, ..Rules::default() }), ["a", "d"]);
    }

    #[test]
    fn an_item_that_may_not_be_listed_is_left_out_until_it_may_be_again() {
        let mut list = shop();
        let update = |stock| ItemUpdate {
            item: Some(Item { stock, ..item("a", "tea") }),
            update_mask: vec!["stock".into()],
        };
        list.update(vec![update(Some(0))]);
        assert_eq!(answer(&list, Rules::default()), ["b", "c", "d"]);
        let sold_out_too = Rules { include_sold_out: true, ..Rules::default() };
        assert_eq!(answer(&list, sold_out_too), ["a", "b", "c"]);
        list.update(vec![update(Some(2))]);
        assert_eq!(answer(&list, Rules::default()), ["a", "b", "c"]);
        list.put(vec![Item { not_recommendable: true, ..item("b", "tea") }], 4);
        assert_eq!(answer(&list, Rules::default()), ["a", "c", "d"]);
    }

    #[test]
    fn an_update_changes_the_named_fields_alone() {
        let mut list = shop();
        let new = Item { title: "other".into(), brand: "brand".into(), ..item("a", "other") };
        let changed = list.update(vec![ItemUpdate { item: Some(new), update_mask: vec!["brand".into()] }]);
        let expected = Item { brand: "brand".into(), ..item("a", "tea") };
        assert_eq!(changed, [(0, Arc::new(expected))]);
    }

    #[test]
    fn removed_items_leave_the_list_and_new_ones_go_to_its_end() {
        let mut list = shop();
        list.remove(&["b".into()]);
        let changed = list.put(vec![item("e", "milk"), item("f", "milk")], 4);
        assert_eq!(
            changed.iter().map(|(place, item)| (*place, item.item_id.as_str())).collect::<Vec<_>>(),
            [(3, "e")]
        );
        assert_eq!(
            list.items.iter().map(|item| item.item_id.as_str()).collect::<Vec<_>>(),
            ["a", "c", "d", "e"]
        );
    }
}
