use super::money::{MAX_MINOR_UNITS, same_currency};
use super::{MAX_AHEAD_SECONDS, MAX_ATTRIBUTES, Violation, Violations};

use crate::common::v1::{Channel, Event, EventKind};

/// The largest rating of any scale; a shop's own scale is the recommender's setting.
const MAX_RATING: f64 = 1_000.0;
/// The attribute that tells the discount given, minor units.
const DISCOUNT: &str = "discount_minor";

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
        ("offer_id", &event.offer_id),
    ] {
        violations.optional_id(field, id);
    }
    violations.known_enum::<EventKind>("kind", event.kind, true);
    violations.known_enum::<Channel>("channel", event.channel, false);
    let kind = event.kind();
    if event.item_id.is_empty() && is_about_an_item(kind) {
        violations.add("item_id", "EMPTY", format!("must be given for {}", kind.as_str_name()));
    }
    if event.offer_id.is_empty() && is_about_an_offer(kind) {
        violations.add("offer_id", "EMPTY", format!("must be given for {}", kind.as_str_name()));
    }
    if kind == EventKind::Link {
        link(&mut violations, event);
    }
    occurred_at(&mut violations, event, now);
    if let Some(rating) = event.rating {
        violations.finite("rating", rating);
        if rating > MAX_RATING {
            violations.add("rating", "OUT_OF_RANGE", format!("must be at most {MAX_RATING}, is {rating}"));
        }
        if rating < 0.0 {
            violations.add("rating", "NEGATIVE", format!("must be at least 0, is {rating}"));
        }
    } else if kind == EventKind::Rating {
        violations.add("rating", "EMPTY", "must be given for EVENT_KIND_RATING");
    }
    purchase(&mut violations, event);
    product_return(&mut violations, event);
    if matches!(kind, EventKind::OfferRedeemed | EventKind::Purchase)
        && let Some(amount) = event.attributes.get(DISCOUNT)
        && !amount.parse::<i64>().is_ok_and(|amount| (0..=MAX_MINOR_UNITS).contains(&amount))
    {
        let text = format!("must be whole minor units from 0 to {MAX_MINOR_UNITS}, is {amount:?}");
        violations.add(format!("attributes[{DISCOUNT}]"), "NOT_AN_AMOUNT", text);
    }
    violations.at_most("attributes", event.attributes.len(), MAX_ATTRIBUTES);
    for (name, value) in &event.attributes {
        violations.required_id("attributes", name);
        violations.text(&format!("attributes[{name}]"), value);
    }
    violations.into_vec()
}

fn is_about_an_item(kind: EventKind) -> bool {
    use EventKind::{Link, Survey, Unspecified, Unsubscribe};
    !matches!(kind, Link | Survey | Unspecified | Unsubscribe) && !is_about_an_offer(kind)
}

fn is_about_an_offer(kind: EventKind) -> bool {
    matches!(kind, EventKind::OfferRedeemed | EventKind::OfferShown | EventKind::OfferWithheld)
}

/// A LINK names both ids; the one that is missing is reported.
fn link(violations: &mut Violations, event: &Event) {
    for (field, id, other) in
        [("user_id", &event.user_id, &event.visitor_id), ("visitor_id", &event.visitor_id, &event.user_id)]
    {
        if id.is_empty() && !other.is_empty() {
            violations.add(
                field,
                "EMPTY",
                "must be given for EVENT_KIND_LINK, which joins a visitor to a user",
            );
        }
    }
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
        ("purchase.discount", purchase.discount.as_ref()),
    ];
    same_currency(violations, &amounts);
    if purchase.discount.is_some() && event.offer_id.is_empty() {
        violations.add(
            "offer_id",
            "EMPTY",
            "must be given with purchase.discount: the offer that took it off",
        );
    }
}

fn product_return(violations: &mut Violations, event: &Event) {
    let is_return = event.kind() == EventKind::Return;
    let Some(returned) = &event.product_return else {
        if is_return {
            violations.add("product_return", "EMPTY", "must be given for EVENT_KIND_RETURN");
        }
        return;
    };
    if !is_return {
        violations.add("product_return", "NOT_A_RETURN", "must be absent unless kind is EVENT_KIND_RETURN");
    }
    violations.required_id("product_return.order_id", &returned.order_id);
    if returned.quantity == 0 {
        violations.add("product_return.quantity", "OUT_OF_RANGE", "must be at least 1");
    }
    if returned.amount.is_none() {
        violations.add("product_return.amount", "EMPTY", "must be given: the amount paid back, at least 0");
    }
    let amounts = [
        ("product_return.amount", returned.amount.as_ref()),
        ("product_return.cost", returned.cost.as_ref()),
        ("product_return.tax", returned.tax.as_ref()),
    ];
    same_currency(violations, &amounts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::v1::{Money, ProductReturn, Purchase};
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
        fault(&Event { rating: Some(1e300), ..click() }, "rating", "OUT_OF_RANGE");
        fault(&Event { item_id: String::new(), ..click() }, "item_id", "EMPTY");
        fault(&buy(None), "purchase.revenue", "EMPTY");
        let debt = Money { currency_code: "USD".into(), minor_units: -5 };
        fault(&buy(Some(debt)), "purchase.revenue.minor_units", "NEGATIVE");
    }

    #[test]
    fn a_return_names_its_order_and_the_amount_paid_back() {
        let returned = |order_id: &str, quantity, amount| Event {
            kind: EventKind::Return.into(),
            product_return: Some(ProductReturn {
                order_id: order_id.into(),
                quantity,
                amount,
                ..ProductReturn::default()
            }),
            ..click()
        };
        let paid = |minor_units| Some(Money { currency_code: "EUR".into(), minor_units });
        assert_eq!(faults(&returned("o", 1, paid(500))), []);
        fault(&returned("", 1, paid(500)), "product_return.order_id", "EMPTY");
        fault(&returned("o", 0, paid(500)), "product_return.quantity", "OUT_OF_RANGE");
        fault(&returned("o", 1, None), "product_return.amount", "EMPTY");
        fault(&returned("o", 1, paid(-500)), "product_return.amount.minor_units", "NEGATIVE");
        fault(&Event { kind: EventKind::Return.into(), ..click() }, "product_return", "EMPTY");
        let stray = Event { kind: EventKind::Click.into(), ..returned("o", 1, paid(500)) };
        fault(&stray, "product_return", "NOT_A_RETURN");
    }

    #[test]
    fn a_link_names_both_ids_and_no_item() {
        let link =
            Event { kind: EventKind::Link.into(), visitor_id: "v".into(), item_id: String::new(), ..click() };
        assert_eq!(faults(&link), []);
        fault(&Event { visitor_id: String::new(), ..link.clone() }, "visitor_id", "EMPTY");
        fault(&Event { user_id: String::new(), ..link }, "user_id", "EMPTY");
    }

    #[test]
    fn an_offer_event_names_its_offer() {
        let redeemed = Event { kind: EventKind::OfferRedeemed.into(), item_id: String::new(), ..click() };
        fault(&redeemed, "offer_id", "EMPTY");
        assert_eq!(faults(&Event { offer_id: "o".into(), ..redeemed }), []);
    }

    #[test]
    fn the_far_future_is_refused_and_tomorrow_is_not() {
        let at = |seconds| Event { occurred_at: Some(Timestamp { seconds, nanos: 0 }), ..click() };
        fault(&at(NOW + 25 * 3600), "occurred_at", "IN_THE_FUTURE");
        assert_eq!(faults(&at(NOW + 23 * 3600)), []);
    }
}
