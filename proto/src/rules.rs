//! Availability of items and the rules of a recommendation: the one place that decides whether an item may be listed.

use crate::common::v1::{Item, Money};
use crate::recommender::v1::Rules;

impl Item {
    /// Whether the item is on sale at `now`, in seconds since 1970, whatever its stock.
    pub fn is_on_sale(&self, now: i64) -> bool {
        self.available_from.as_ref().is_none_or(|from| from.seconds <= now)
            && self.available_until.as_ref().is_none_or(|until| until.seconds > now)
    }

    /// Whether the item has `value` under `attribute`: "category", "brand", or a name of its attributes.
    pub fn has(&self, attribute: &str, value: &str) -> bool {
        match attribute {
            "category" => self.categories.iter().any(|category| category == value),
            "brand" => self.brand == value,
            name => self.attributes.get(name).is_some_and(|own| own == value),
        }
    }

    /// Whether the stock is tracked and empty.
    pub fn is_sold_out(&self) -> bool {
        self.stock.is_some_and(|stock| stock <= 0)
    }

    /// Whether the item may be listed to shoppers at `now`: on sale, recommendable, and in stock unless
    /// `include_sold_out`. Every list of items, in every service, is filtered by this.
    pub fn may_be_listed(&self, now: i64, include_sold_out: bool) -> bool {
        !self.not_recommendable && (include_sold_out || !self.is_sold_out()) && self.is_on_sale(now)
    }
}

impl Rules {
    /// Whether `item` may be listed and satisfies the rules at `now`, in seconds since 1970: all of them but the lists
    /// of ids.
    pub fn fits(&self, item: &Item, now: i64) -> bool {
        let within = |bound: Option<&Money>, ok: fn(i64, i64) -> bool| {
            bound.is_none_or(|bound| {
                item.price.as_ref().is_some_and(|price| {
                    price.currency_code == bound.currency_code && ok(price.minor_units, bound.minor_units)
                })
            })
        };
        item.may_be_listed(now, self.include_sold_out)
            && (self.categories.is_empty()
                || item.categories.iter().any(|name| self.categories.contains(name)))
            && within(self.price_min.as_ref(), |price, least| price >= least)
            && within(self.price_max.as_ref(), |price, most| price <= most)
    }

    /// `score` of `item` with the boosts it meets.
    pub fn boosted(&self, item: &Item, score: f64) -> f64 {
        let met = self.boosts.iter().filter(|boost| item.has(&boost.attribute, &boost.value));
        let factor: f64 = met.map(|boost| boost.factor).product();
        if score < 0.0 { score / factor } else { score * factor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommender::v1::Boost;

    fn item() -> Item {
        Item {
            item_id: "a".into(),
            brand: "Acme".into(),
            categories: vec!["Tea".into(), "Green tea".into()],
            attributes: [("colour".to_owned(), "red".to_owned())].into(),
            price: Some(Money { currency_code: "USD".into(), minor_units: 500 }),
            ..Item::default()
        }
    }

    #[test]
    fn each_rule_keeps_out_what_it_names() {
        let usd = |minor_units| Some(Money { currency_code: "USD".into(), minor_units });
        let fits = |rules: Rules, item: &Item| rules.fits(item, 100);
        assert!(fits(Rules::default(), &item()));
        assert!(!fits(Rules { categories: vec!["Soap".into()], ..Rules::default() }, &item()));
        assert!(!fits(Rules { price_max: usd(499), ..Rules::default() }, &item()));
        assert!(fits(Rules { price_min: usd(500), price_max: usd(500), ..Rules::default() }, &item()));
        let yen = Some(Money { currency_code: "JPY".into(), minor_units: 1 });
        assert!(!fits(Rules { price_min: yen, ..Rules::default() }, &item()), "dollars are not yen");
        let sold_out = Item { stock: Some(0), ..item() };
        assert!(!fits(Rules::default(), &sold_out), "sold-out items are left out by default");
        assert!(fits(Rules { include_sold_out: true, ..Rules::default() }, &sold_out));
        let postage = Item { not_recommendable: true, ..item() };
        assert!(!fits(Rules { include_sold_out: true, ..Rules::default() }, &postage));
        let at = |seconds| Some(pbjson_types::Timestamp { seconds, nanos: 0 });
        assert!(!fits(Rules::default(), &Item { available_until: at(100), ..item() }));
        assert!(!fits(Rules::default(), &Item { available_from: at(101), ..item() }));
    }

    #[test]
    fn boosts_that_an_item_meets_multiply() {
        let boost = |attribute: &str, value: &str, factor| Boost {
            attribute: attribute.into(),
            value: value.into(),
            factor,
        };
        let rules = Rules {
            boosts: vec![
                boost("category", "Green tea", 2.0),
                boost("colour", "red", 3.0),
                boost("brand", "Other", 10.0),
            ],
            ..Rules::default()
        };
        assert!((rules.boosted(&item(), 0.5) - 3.0).abs() < 1e-12);
        assert!((rules.boosted(&item(), -6.0) + 1.0).abs() < 1e-12, "raised, though below 0");
        assert!((Rules::default().boosted(&item(), 0.5) - 0.5).abs() < 1e-12);
    }
}
