use super::money::same_currency;
use super::{MAX_AHEAD_SECONDS, Violation, Violations};
use crate::common::v1::{Channel, Event, EventKind};

/// An event to store. `now` is the server's clock in seconds since 1970.
pub fn event(event: &Event, now: i64) -> Vec<Violation> {
    let mut violations = Violations::new();
    violations.required_id("event_id", &event.event_id);
    if event.user_id.is_empty() && event.visitor_id.is_empty() {
        violations.add("user_id", "EMPTY", "user_id or visitor_id must be given");
    }
    for (field, id) in [
        ("user_id", &event.user_id),
        ("visitor_id", &event.visitor_id),
        ("session_id", &event.session_id),
        ("campaign_id", &event.campaign_id),
        ("item_id", &event.item_id),
    ] {
        violations.optional_id(field, id);
    }
    violations.known_enum::<EventKind>("kind", event.kind, true);
    violations.known_enum::<Channel>("channel", event.channel, false);
    let kind = event.kind();
    if event.item_id.is_empty() && is_about_an_item(kind) {
        violations.add("item_id", "EMPTY", format!("must be given for {}", kind.as_str_name()));
    }
    occurred_at(&mut violations, event, now);
    if let Some(rating) = event.rating {
        violations.finite("rating", rating);
        if rating < 0.0 {
            violations.add("rating", "NEGATIVE", format!("must be at least 0, is {rating}"));
        }
    } else if kind == EventKind::Rating {
        violations.add("rating", "EMPTY", "must be given for EVENT_KIND_RATING");
    }
    purchase(&mut violations, event);
    for (name, value) in &event.attributes {
        violations.required_id("attributes", name);
        violations.text(&format!("attributes[{name}]"), value);
    }
    violations.into_vec()
}

fn is_about_an_item(kind: EventKind) -> bool {
    use EventKind::{OfferRedeemed, OfferShown, OfferWithheld, Survey, Unspecified, Unsubscribe};
    !matches!(kind, OfferRedeemed | OfferShown | OfferWithheld | Survey | Unspecified | Unsubscribe)
}

fn occurred_at(violations: &mut Violations, event: &Event, now: i64) {
    match &event.occurred_at {
        None => violations.add("occurred_at", "EMPTY", "must be given"),
        Some(at) if at.seconds > now + MAX_AHEAD_SECONDS => {
            violations.add(
                "occurred_at",
                "IN_THE_FUTURE",
                "must be at most 24 hours ahead of the server's clock",
            );
        }
        Some(at) if at.seconds < 0 || !(0..1_000_000_000).contains(&at.nanos) => {
            violations.add(
                "occurred_at",
                "OUT_OF_RANGE",
                "must be a time after 1970 with nanos of 0 to 999999999",
            );
        }
        Some(_) => {}
    }
}

fn purchase(violations: &mut Violations, event: &Event) {
    let Some(purchase) = &event.purchase else {
        if event.kind() == EventKind::Purchase {
            violations.add("purchase.revenue", "EMPTY", "must be given for EVENT_KIND_PURCHASE");
        }
        return;
    };
    if event.kind() != EventKind::Purchase {
        violations.add("purchase", "NOT_A_PURCHASE", "must be absent unless kind is EVENT_KIND_PURCHASE");
    }
    violations.optional_id("purchase.order_id", &purchase.order_id);
    if purchase.quantity == 0 {
        violations.add("purchase.quantity", "OUT_OF_RANGE", "must be at least 1");
    }
    if purchase.revenue.is_none() {
        violations.add("purchase.revenue", "EMPTY", "must be given: what the person paid for the line");
    }
    let amounts = [
        ("purchase.revenue", purchase.revenue.as_ref()),
        ("purchase.cost", purchase.cost.as_ref()),
        ("purchase.tax", purchase.tax.as_ref()),
    ];
    same_currency(violations, &amounts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::v1::{Money, Purchase};
    use pbjson_types::Timestamp;

    const NOW: i64 = 1_790_000_000;

    fn click() -> Event {
        Event {
            event_id: "e".into(),
            user_id: "u".into(),
            item_id: "i".into(),
            kind: EventKind::Click.into(),
            occurred_at: Some(Timestamp { seconds: NOW, nanos: 0 }),
            ..Event::default()
        }
    }

    fn buy(revenue: Option<Money>) -> Event {
        let purchase = Purchase { order_id: "o".into(), quantity: 1, revenue, ..Purchase::default() };
        Event { kind: EventKind::Purchase.into(), purchase: Some(purchase), ..click() }
    }

    fn faults(event_: &Event) -> Vec<(String, &'static str)> {
        event(event_, NOW).into_iter().map(|v| (v.field, v.reason)).collect()
    }

    fn fault(event_: &Event, field: &str, reason: &'static str) {
        assert_eq!(faults(event_), [(field.to_owned(), reason)]);
    }

    #[test]
    fn sound_events_pass() {
        assert_eq!(faults(&click()), []);
        let paid = Money { currency_code: "USD".into(), minor_units: 199 };
        assert_eq!(faults(&buy(Some(paid))), []);
    }

    #[test]
    fn each_fault_is_named() {
        fault(&Event { event_id: String::new(), ..click() }, "event_id", "EMPTY");
        fault(&Event { user_id: String::new(), ..click() }, "user_id", "EMPTY");
        fault(&Event { kind: 99, ..click() }, "kind", "UNKNOWN_ENUM_VALUE");
        fault(&Event { kind: 0, ..click() }, "kind", "UNSPECIFIED");
        fault(&Event { rating: Some(f64::NAN), ..click() }, "rating", "NOT_FINITE");
        fault(&Event { item_id: String::new(), ..click() }, "item_id", "EMPTY");
        fault(&buy(None), "purchase.revenue", "EMPTY");
        let debt = Money { currency_code: "USD".into(), minor_units: -5 };
        fault(&buy(Some(debt)), "purchase.revenue.minor_units", "NEGATIVE");
    }

    #[test]
    fn the_far_future_is_refused_and_tomorrow_is_not() {
        let at = |seconds| Event { occurred_at: Some(Timestamp { seconds, nanos: 0 }), ..click() };
        fault(&at(NOW + 25 * 3600), "occurred_at", "IN_THE_FUTURE");
        assert_eq!(faults(&at(NOW + 23 * 3600)), []);
    }
}
