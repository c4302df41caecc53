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
    /// The model's score, or the popularity.
    pub score: f64,
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
    /// `purchased` is what the person has bought, where that is to be left out.
    pub fn new(rules: &'a Rules, purchased: &'a [String], now: i64) -> Self {
        let excluded = rules.exclude_item_ids.iter().chain(purchased).map(String::as_str).collect();
        Self { rules, excluded, only: rules.only_item_ids.iter().map(String::as_str).collect(), now }
    }

    /// Whether all but the items' own times of sale is allowed.
    pub fn is_open(&self) -> bool {
        let Rules { in_stock_only, categories, price_min, price_max, .. } = self.rules;
        self.excluded.is_empty()
            && self.only.is_empty()
            && !in_stock_only
            && categories.is_empty()
            && price_min.is_none()
            && price_max.is_none()
    }

    /// Whether the rules let `item` through.
    pub fn allows(&self, item: &Item) -> bool {
        let rules = self.rules;
        let within = |bound: Option<&proto::common::v1::Money>, ok: fn(i64, i64) -> bool| {
            bound.is_none_or(|bound| {
                item.price.as_ref().is_some_and(|price| {
                    price.currency_code == bound.currency_code && ok(price.minor_units, bound.minor_units)
                })
            })
        };
        !self.excluded.contains(item.item_id.as_str())
            && (self.only.is_empty() || self.only.contains(item.item_id.as_str()))
            && !(rules.in_stock_only && item.stock.is_some_and(|stock| stock <= 0))
            && (rules.categories.is_empty()
                || item.categories.iter().any(|name| rules.categories.contains(name)))
            && within(rules.price_min.as_ref(), |price, least| price >= least)
            && within(rules.price_max.as_ref(), |price, most| price <= most)
            && item.available_from.as_ref().is_none_or(|from| from.seconds <= self.now)
            && item.available_until.as_ref().is_none_or(|until| until.seconds > self.now)
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
    fn each_rule_keeps_out_what_it_names() {
        let usd = |minor_units| Some(Money { currency_code: "USD".into(), minor_units });
        let allows = |rules: Rules, item: &Item| Filter::new(&rules, &["b".to_owned()], 100).allows(item);
        assert!(allows(Rules::default(), &item("a")));
        let open = |rules: Rules| Filter::new(&rules, &[], 100).is_open();
        assert!(open(Rules { max_per_category: 2, diversity: 0.5, ..Rules::default() }));
        assert!(!open(Rules { in_stock_only: true, ..Rules::default() }));
        assert!(!open(Rules { categories: vec!["Soap".into()], ..Rules::default() }));
        assert!(!open(Rules { price_max: usd(499), ..Rules::default() }));
        assert!(!open(Rules { exclude_item_ids: vec!["a".into()], ..Rules::default() }));
        assert!(!allows(Rules::default(), &item("b")), "bought");
        assert!(!allows(Rules { exclude_item_ids: vec!["a".into()], ..Rules::default() }, &item("a")));
        assert!(!allows(Rules { only_item_ids: vec!["c".into()], ..Rules::default() }, &item("a")));
        assert!(!allows(Rules { categories: vec!["Soap".into()], ..Rules::default() }, &item("a")));
        assert!(!allows(Rules { price_max: usd(499), ..Rules::default() }, &item("a")));
        assert!(allows(Rules { price_min: usd(500), price_max: usd(500), ..Rules::default() }, &item("a")));
        let sold_out = Item { stock: Some(0), ..item("a") };
        assert!(!allows(Rules { in_stock_only: true, ..Rules::default() }, &sold_out));
        let over =
            Item { available_until: Some(pbjson_types::Timestamp { seconds: 100, nanos: 0 }), ..item("a") };
        assert!(!allows(Rules::default(), &over));
    }
}
