//! Products as items: a title from type and size, a price from what was charged.

use std::collections::HashMap;

use proto::common::v1::{Item, Money};

use super::raw::{Line, Product, Raw};

/// Departments that sell no goods a shop would recommend.
const NO_GOODS: [&str; 8] = [
    "COUPON",
    "FUEL",
    "GM MERCH EXP",
    "MISCELLANEOUS",
    "PHOTO & VIDEO",
    "POSTAL CENTER",
    "RESTAURANT",
    "TRAVEL & LEISURE",
];

/// Goods that must not be advertised.
const NOT_ADVERTISED: [&str; 3] = ["CIGARETTES", "CIGARS", "TOBACCO OTHER"];

pub(super) fn items(raw: &Raw) -> Vec<Item> {
    let prices = prices(&raw.lines);
    let sold = |product: &&Product| {
        !NO_GOODS.contains(&product.department.as_str())
            && !NOT_ADVERTISED.contains(&product.product_category.as_str())
            && !product.product_type.trim().is_empty()
    };
    raw.products
        .iter()
        .filter(sold)
        .filter_map(|product| Some(item(product, *prices.get(&product.product_id)?)))
        .collect()
}

fn item(product: &Product, cents: i64) -> Item {
    let price = Money { currency_code: "USD".into(), minor_units: cents };
    Item {
        item_id: product.product_id.clone(),
        title: title(product),
        categories: [&product.department, &product.product_category]
            .into_iter()
            .map(|name| words(name))
            .filter(|name| !name.is_empty())
            .collect(),
        brand: format!("{} {}", words(&product.brand), product.manufacturer_id),
        price: Some(price),
        attributes: [("size", &product.package_size)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_lowercase()))
            .collect(),
        ..Item::default()
    }
}

fn title(product: &Product) -> String {
    let kind = words(&product.product_type);
    // "Traditional" alone says nothing; "Traditional ice cream" does.
    let kind =
        if kind.contains(' ') { kind } else { format!("{kind} ({})", words(&product.product_category)) };
    if product.package_size.is_empty() {
        kind
    } else {
        format!("{kind}, {}", product.package_size.to_lowercase())
    }
}

/// The till's capitals as a person would write them: "ICE CREAM/MILK" is "Ice cream/milk".
pub(super) fn words(capitals: &str) -> String {
    let lower = capitals.trim().to_lowercase();
    let mut letters = lower.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Median price of one piece in cents, before anything was taken off.
fn prices(lines: &[Line]) -> HashMap<String, i64> {
    let mut seen: HashMap<&str, Vec<f64>> = HashMap::new();
    for line in lines.iter().filter(|line| line.quantity > 0) {
        let shelf = line.sales_value + line.retail_disc + line.coupon_match_disc;
        let each = shelf / f64::from(line.quantity);
        if each > 0.0 {
            seen.entry(&line.product_id).or_default().push(each);
        }
    }
    let cents = |dollars: Vec<f64>| super::offers::median_cents(dollars);
    seen.into_iter()
        .map(|(id, dollars)| (id.to_owned(), cents(dollars)))
        .filter(|(_, cents)| *cents > 0)
        .collect()
}
