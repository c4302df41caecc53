//! From scores to a list: rules first, then difference and chance, then the best.

mod candidates;
mod queue;
mod select;

use std::collections::HashSet;
use std::sync::Arc;

use proto::common::v1::Item;
use proto::recommender::v1::Rules;

pub use candidates::Candidates;
pub use select::{Choice, Place, select};

/// An item that may be recommended.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The item.
    pub item: &'a Arc<Item>,
    /// The model's score, or the popularity; boosted.
    pub score: f64,
    /// What boosts added to it.
    pub boost: f64,
    /// What decides between equal scores: many models give most items none.
    pub popularity: f64,
    /// The model's column; absent where the model does not know it.
    pub column: Option<u32>,
}

/// The rules of one request, made ready for many items.
pub struct Filter<'a> {
    rules: &'a Rules,
    excluded: HashSet<&'a str>,
    only: HashSet<&'a str>,
    now: i64,
}

impl<'a> Filter<'a> {
    /// `left_out` are items that the person does not want to see: disliked ones, and where the rules say so, those
    /// bought.
    pub fn new(rules: &'a Rules, left_out: &'a [String], now: i64) -> Self {
        let excluded = rules.exclude_item_ids.iter().chain(left_out).map(String::as_str).collect();
        Self { rules, excluded, only: rules.only_item_ids.iter().map(String::as_str).collect(), now }
    }

    /// Whether every item that is always available passes: the rules name no ids, categories or prices.
    pub fn is_open(&self) -> bool {
        let Rules { categories, price_min, price_max, .. } = self.rules;
        self.excluded.is_empty()
            && self.only.is_empty()
            && categories.is_empty()
            && price_min.is_none()
            && price_max.is_none()
    }

    /// Whether the rules let `item` through.
    pub fn allows(&self, item: &Item) -> bool {
        !self.excluded.contains(item.item_id.as_str())
            && (self.only.is_empty() || self.only.contains(item.item_id.as_str()))
            && self.rules.fits(item, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::common::v1::Money;

    fn item(id: &str) -> Item {
        let price = Money { currency_code: "USD".into(), minor_units: 500 };
        Item { item_id: id.into(), price: Some(price), categories: vec!["Tea".into()], ..Item::default() }
    }

    #[test]
    fn what_the_rules_keep_out_is_kept_out() {
        let usd = |minor_units| Some(Money { currency_code: "USD".into(), minor_units });
        let allows = |rules: Rules, item: &Item| Filter::new(&rules, &["b".to_owned()], 100).allows(item);
        assert!(allows(Rules::default(), &item("a")));
        assert!(!allows(Rules::default(), &item("b")), "bought");
        assert!(!allows(Rules { exclude_item_ids: vec!["a".into()], ..Rules::default() }, &item("a")));
        assert!(!allows(Rules { only_item_ids: vec!["c".into()], ..Rules::default() }, &item("a")));
        assert!(!allows(Rules { price_max: usd(499), ..Rules::default() }, &item("a")));
    }

    #[test]
    fn rules_that_look_at_items_are_not_open() {
        let usd = |minor_units| Some(Money { currency_code: "USD".into(), minor_units });
        let open = |rules: Rules| Filter::new(&rules, &[], 100).is_open();
        assert!(open(Rules { max_per_category: 2, diversity: 0.5, ..Rules::default() }));
        assert!(open(Rules { include_sold_out: true, ..Rules::default() }));
        assert!(!open(Rules { categories: vec!["Soap".into()], ..Rules::default() }));
        assert!(!open(Rules { price_max: usd(499), ..Rules::default() }));
        assert!(!open(Rules { exclude_item_ids: vec!["a".into()], ..Rules::default() }));
        assert!(!open(Rules { only_item_ids: vec!["a".into()], ..Rules::default() }));
        assert!(!Filter::new(&Rules::default(), &["b".to_owned()], 100).is_open(), "bought");
    }
}
