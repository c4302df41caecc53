//! Till lines as purchase events.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use proto::common::v1::{Channel, Event, EventKind, Item, Money, Purchase};

use super::raw::Raw;
use super::timestamp;

pub(super) fn events(raw: &Raw, known: &BTreeMap<&str, &Item>, shift: TimeDelta) -> Vec<Event> {
    let mut lines: Vec<_> = raw
        .lines
        .iter()
        .filter(|line| line.quantity > 0 && known.contains_key(line.product_id.as_str()))
        .collect();
    lines.sort_by_key(|line| line.at);
    let mut repeats: HashMap<(&str, &str), u32> = HashMap::new();
    lines
        .into_iter()
        .map(|line| {
            let repeat = repeats.entry((&line.basket_id, &line.product_id)).or_default();
            *repeat += 1;
            let revenue = Money { currency_code: "USD".into(), minor_units: cents(line.sales_value) };
            Event {
                event_id: format!("{}-{}-{repeat}", line.basket_id, line.product_id),
                user_id: line.household_id.clone(),
                session_id: line.basket_id.clone(),
                kind: EventKind::Purchase.into(),
                item_id: line.product_id.clone(),
                occurred_at: Some(timestamp(line.at + shift)),
                channel: Channel::Web.into(),
                purchase: Some(Purchase {
                    order_id: line.basket_id.clone(),
                    quantity: line.quantity,
                    revenue: Some(revenue),
                    ..Purchase::default()
                }),
                ..Event::default()
            }
        })
        .collect()
}

pub(super) fn cents(dollars: f64) -> i64 {
    (dollars * 100.0).round() as i64
}
