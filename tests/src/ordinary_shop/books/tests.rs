//! The books on a handful of events whose figures are plain to see.

use pbjson_types::Timestamp;
use proto::common::v1::{ProductReturn, Purchase};

use super::*;
use crate::ordinary_shop::first_midnight;

const MIDNIGHT: i64 = 1_795_977_000;

fn event(id: &str, owner: &str, kind: EventKind, hours: i64) -> Event {
    Event {
        event_id: id.into(),
        visitor_id: owner.into(),
        kind: kind.into(),
        item_id: "i".into(),
        occurred_at: Some(Timestamp { seconds: MIDNIGHT + hours * 3_600, nanos: 0 }),
        channel: Channel::App.into(),
        ..Event::default()
    }
}

fn euros(minor_units: i64) -> Money {
    Money { currency_code: "EUR".into(), minor_units }
}

fn bought(id: &str, owner: &str, order: &str, hours: i64) -> Event {
    let purchase = Purchase {
        order_id: order.into(),
        quantity: 2,
        revenue: Some(euros(1_000)),
        cost: Some(euros(400)),
        tax: Some(euros(100)),
        discount: None,
    };
    Event { purchase: Some(purchase), ..event(id, owner, EventKind::Purchase, hours) }
}

fn returned(id: &str, owner: &str, order: &str, pieces: u32, hours: i64) -> Event {
    let part = |whole: i64| Some(euros(whole * i64::from(pieces) / 2));
    let product_return = ProductReturn {
        order_id: order.into(),
        quantity: pieces,
        amount: part(1_000),
        cost: part(400),
        tax: part(100),
    };
    Event { product_return: Some(product_return), ..event(id, owner, EventKind::Return, hours) }
}

fn books(events: Vec<Event>) -> Books {
    let mut books = Books::default();
    for event in events {
        books.enter(event, None);
    }
    books
}

#[test]
fn a_return_counts_on_its_own_day_and_with_its_sign() {
    let books = books(vec![
        event("1", "a", EventKind::Impression, 1),
        event("2", "b", EventKind::Impression, 1),
        event("3", "a", EventKind::Click, 2),
        bought("4", "a", "o", 3),
        bought("4", "a", "o", 3),
        returned("5", "a", "o", 1, 25),
    ]);
    let day = |hours: i64| local_day(MIDNIGHT + hours * 3_600);
    assert_eq!(first_midnight(MIDNIGHT + 30 * 3_600, 1), MIDNIGHT);
    let metrics = books.metrics();
    let value = |metric: &str, hours: i64, currency: &str| {
        metrics.get(&(metric.to_owned(), day(hours), currency.to_owned())).copied()
    };
    assert_eq!(value("REVENUE", 3, "EUR"), Some(1_000.0));
    assert_eq!(value("PROFIT", 3, "EUR"), Some(500.0));
    assert_eq!(value("REVENUE", 25, "EUR"), Some(-500.0));
    assert_eq!(value("PROFIT", 25, "EUR"), Some(-250.0));
    assert_eq!(value("AOV", 3, "EUR"), Some(1_000.0));
    assert_eq!(value("AOV", 25, "EUR"), None, "nothing was ordered on that day");
    assert_eq!(value("CR", 3, ""), Some(0.5));
    assert_eq!(value("CTR", 3, ""), Some(0.5));
    assert_eq!(value("CR", 25, ""), None, "nobody was shown anything on that day");
}

#[test]
fn an_order_counts_until_its_last_piece_is_returned() {
    let custom = |events: &[Event]| Custom::new(&events.iter().collect::<Vec<_>>());
    let part = [bought("1", "a", "o", 1), returned("2", "a", "o", 1, 2)];
    assert_eq!((custom(&part).orders, custom(&part).amounts["EUR"]), (1, 500));
    let whole = [part[0].clone(), part[1].clone(), returned("3", "a", "o", 1, 3)];
    assert_eq!((custom(&whole).orders, custom(&whole).amounts["EUR"]), (0, 0));
    assert!(custom(&part[1..]).incomplete && !custom(&whole).incomplete);
}

#[test]
fn a_link_joins_what_was_before_and_a_unit_in_two_variants_is_in_no_arm() {
    let mut books = books(vec![event("1", "v", EventKind::Dislike, 1), event("2", "u", EventKind::Click, 2)]);
    for (owner, variant) in [("v", "a"), ("u", "b"), ("w", "a"), ("w", "a")] {
        books.expose(owner, variant);
    }
    assert_eq!(books.exposures().units.values().sum::<u64>(), 3);
    books.link("v", "u");
    assert_eq!(books.exposures(), Exposures { units: [("a".to_owned(), 1)].into(), multiple: 1 });
    assert_eq!(books.by_person()["u"].len(), 2);
    assert!(books.disliked()["u"].contains("i"));
    books.erase("u");
    assert_eq!((books.by_person().len(), books.exposures().multiple), (0, 0));
}

#[test]
fn people_are_retained_when_they_come_on_that_very_day() {
    let books = books(vec![
        event("1", "a", EventKind::View, 1),
        event("2", "a", EventKind::View, 50),
        event("3", "b", EventKind::View, 1),
        event("4", "b", EventKind::View, 25),
        event("5", "c", EventKind::View, 49),
    ]);
    let days = |count: i64| MIDNIGHT..MIDNIGHT + count * 86_400;
    assert_eq!(books.retention(days(3), 2), (0.5, 2), "c's second day is not over");
}

#[test]
fn the_last_click_since_the_order_before_is_credited() {
    let books = books(vec![
        event("1", "a", EventKind::Click, 1),
        bought("2", "a", "o", 2),
        returned("3", "a", "o", 1, 30),
        bought("4", "a", "p", 40),
    ]);
    let found = books.last_touch().remove("EUR").expect("euros");
    assert!((found.value - 1_500.0).abs() < 1e-9);
    let channels: Vec<_> = found.conversions.into_iter().collect();
    assert_eq!(channels, [("CHANNEL_APP".to_owned(), 1.0), ("unmatched".to_owned(), 1.0)]);
}
