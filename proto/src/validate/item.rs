use super::money::same_currency;
use super::{MAX_ATTRIBUTES, MAX_CATEGORIES, Violation, Violations};
use crate::common::v1::Item;

/// An item to store: an id, a title, amounts in one currency, a window that is not empty.
pub fn item(item: &Item) -> Vec<Violation> {
    let mut violations = Violations::new();
    violations.required_id("item_id", &item.item_id);
    if item.title.trim().is_empty() {
        violations.add("title", "EMPTY", "must not be empty");
    }
    for (field, text) in [
        ("title", &item.title),
        ("description", &item.description),
        ("brand", &item.brand),
        ("image_uri", &item.image_uri),
    ] {
        violations.text(field, text);
    }
    violations.at_most("categories", item.categories.len(), MAX_CATEGORIES);
    violations.at_most("attributes", item.attributes.len(), MAX_ATTRIBUTES);
    for (index, category) in item.categories.iter().enumerate() {
        violations.required_id(&format!("categories[{index}]"), category);
    }
    for (name, value) in &item.attributes {
        violations.required_id("attributes", name);
        violations.text(&format!("attributes[{name}]"), value);
    }
    same_currency(&mut violations, &[("price", item.price.as_ref()), ("unit_cost", item.unit_cost.as_ref())]);
    if let Some(stock) = item.stock.filter(|stock| *stock < 0) {
        violations.add("stock", "NEGATIVE", format!("must be at least 0, is {stock}"));
    }
    if let (Some(from), Some(until)) = (&item.available_from, &item.available_until)
        && (from.seconds, from.nanos) >= (until.seconds, until.nanos)
    {
        violations.add("available_until", "EMPTY_WINDOW", "must be after available_from");
    }
    violations.into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::v1::Money;

    fn sound() -> Item {
        let price = Money { currency_code: "CNY".into(), minor_units: 1990 };
        Item { item_id: "a".into(), title: "Tea".into(), price: Some(price), ..Item::default() }
    }

    fn reasons(item_: &Item) -> Vec<(String, &'static str)> {
        item(item_).into_iter().map(|v| (v.field, v.reason)).collect()
    }

    #[test]
    fn a_sound_item_passes() {
        assert_eq!(reasons(&sound()), []);
    }

    #[test]
    fn a_control_character_in_a_text_is_refused_and_a_line_break_is_not() {
        assert_eq!(
            reasons(&Item { title: "Tea\0".into(), ..sound() }),
            [("title".into(), "CONTROL_CHARACTER")]
        );
        assert_eq!(reasons(&Item { description: "Green.\n\tFresh.".into(), ..sound() }), []);
    }

    #[test]
    fn more_categories_or_attributes_than_allowed_are_refused() {
        let categories = (0..33).map(|n| format!("c{n}")).collect();
        assert_eq!(reasons(&Item { categories, ..sound() }), [("categories".into(), "TOO_MANY")]);
        let attributes = (0..65).map(|n| (format!("a{n}"), String::new())).collect();
        assert_eq!(reasons(&Item { attributes, ..sound() }), [("attributes".into(), "TOO_MANY")]);
    }

    #[test]
    fn each_fault_is_named() {
        let cost = Money { currency_code: "USD".into(), minor_units: -1 };
        let bad = Item {
            item_id: "x".repeat(257),
            title: " ".into(),
            stock: Some(-1),
            unit_cost: Some(cost),
            ..sound()
        };
        assert_eq!(
            reasons(&bad),
            [
                ("item_id".into(), "TOO_LONG"),
                ("title".into(), "EMPTY"),
                ("unit_cost.minor_units".into(), "NEGATIVE"),
                ("unit_cost.currency_code".into(), "MIXED_CURRENCIES"),
                ("stock".into(), "NEGATIVE"),
            ]
        );
    }
}
