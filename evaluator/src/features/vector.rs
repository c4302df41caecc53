//! Named features of a person as of a moment.

use std::collections::BTreeMap;

use chassis::calendar::Calendar;
use proto::common::v1::Channel;

use super::{History, PERSON};
use crate::effect::fatigue;
use crate::effect::moment::{channel_name, is_of_time, with_moment};
use crate::metric::fact::DAY;

/// Features by name.
pub type Features = BTreeMap<String, f64>;

/// Orders of the person.
pub const ORDERS: &str = "person:orders";
/// Actions of the person: views, clicks, carts, purchases and the like.
pub const ACTIONS: &str = "person:actions";
/// Days since the first event; absent for a stranger.
pub const TENURE: &str = "person:tenure_days";
/// Days since the latest action; absent where there was none.
pub const SINCE_ACTION: &str = "person:days_since_action";
/// Days since the latest order; absent where there was none.
pub const SINCE_ORDER: &str = "person:days_since_order";
/// Days since the latest offer; absent where there was none.
pub const SINCE_OFFER: &str = "person:days_since_offer";
/// Share of orders that redeemed an offer; absent without orders.
pub const DISCOUNT_SHARE: &str = "person:discount_share";
/// Share of pieces bought that were returned; absent without purchases.
pub const RETURN_SHARE: &str = "person:return_share";
/// With a currency: paid less paid back, minor units.
pub const SPEND: &str = "person:spend:";
/// With a currency: average amount paid for an order, minor units.
pub const ORDER_VALUE: &str = "person:order_value:";
/// With a channel: share of actions there.
pub const CHANNEL_SHARE: &str = "person:channel:";
/// With a category: share of actions on items of it, of all actions whose category is known.
pub const CATEGORY_SHARE: &str = "person:category:";

/// The whole vector of a decision or prediction: the caller's features, to which the person's and the moment's are added.
/// A caller's value stands where the names are the same.
pub fn vector(
    mut given: Features,
    history: &History,
    channel: Channel,
    calendar: Calendar,
    at: i64,
) -> Features {
    for (name, value) in person(history, at) {
        given.entry(name).or_insert(value);
    }
    with_moment(given, channel, calendar, at)
}

/// What `history` says of a person at a moment. `history` holds nothing that came later.
pub fn person(history: &History, at: i64) -> Features {
    let mut found = Features::new();
    let mut add = |name: &str, value: f64| {
        found.insert(name.to_owned(), value);
    };
    let days_since = |then: i64| at.saturating_sub(then).max(0) as f64 / DAY as f64;
    add(ORDERS, history.orders());
    add(ACTIONS, history.actions() as f64);
    for (name, then) in [
        (TENURE, history.first_at()),
        (SINCE_ACTION, history.last_action_at()),
        (SINCE_ORDER, history.last_order_at()),
        (SINCE_OFFER, history.last_offer_at()),
    ] {
        if let Some(then) = then {
            add(name, days_since(then));
        }
    }
    for (name, share) in [(DISCOUNT_SHARE, history.discount_share()), (RETURN_SHARE, history.return_share())]
    {
        if let Some(share) = share {
            add(name, share);
        }
    }
    for (currency, net, order_value) in history.spend() {
        add(&format!("{SPEND}{currency}"), net);
        add(&format!("{ORDER_VALUE}{currency}"), order_value);
    }
    let actions = history.actions() as f64;
    for (channel, count) in history.channels() {
        let channel = Channel::try_from(i32::from(*channel)).unwrap_or_default();
        if channel != Channel::Unspecified {
            add(&format!("{CHANNEL_SHARE}{}", channel_name(channel)), *count as f64 / actions);
        }
    }
    let known = history.categories().values().sum::<u64>() as f64;
    for (category, count) in history.categories() {
        add(&format!("{CATEGORY_SHARE}{category}"), *count as f64 / known);
    }
    let week = history.offers_since(at.saturating_sub(fatigue::REMEMBERED));
    if week > 0 {
        add(fatigue::RECENT, week as f64);
    }
    found
}

/// Whether a feature of that name is computed here and not given by a caller.
pub fn is_own(name: &str) -> bool {
    name.starts_with(PERSON) || name.starts_with("channel:") || name == fatigue::RECENT || is_of_time(name)
}

#[cfg(test)]
mod tests {
    use proto::common::v1::EventKind;

    use super::*;
    use crate::features::Activity;

    fn buyer(orders: u32) -> History {
        let mut history = History::default();
        for order in 0..orders {
            history.add(&Activity {
                event_id: format!("e{order}"),
                kind: EventKind::Purchase,
                at: i64::from(order) * DAY,
                channel: Channel::App as i16,
                quantity: 1,
                currency: "CNY".into(),
                revenue: Some(5_000),
                category: "茶".into(),
                ..Activity::default()
            });
        }
        history
    }

    #[test]
    fn a_frequent_buyer_a_rare_one_and_a_stranger_differ() {
        let at = 20 * DAY + DAY / 2;
        let (often, rarely, stranger) =
            (person(&buyer(20), at), person(&buyer(2), at), person(&buyer(0), at));
        assert_eq!((often[ORDERS], rarely[ORDERS], stranger[ORDERS]), (20.0, 2.0, 0.0));
        assert_eq!((often["person:spend:CNY"], often["person:order_value:CNY"]), (100_000.0, 5_000.0));
        assert!((often[SINCE_ORDER] - 1.5).abs() < 1e-12 && (rarely[SINCE_ORDER] - 19.5).abs() < 1e-12);
        assert_eq!((often["person:channel:app"], often["person:category:茶"]), (1.0, 1.0));
        assert_eq!(stranger.len(), 2, "of a stranger nothing but zeros is known: {stranger:?}");
    }

    #[test]
    fn a_callers_feature_stands_and_the_moment_is_the_shops() {
        let berlin = Calendar::new("Europe/Berlin").expect("known");
        let given = [(ORDERS.to_owned(), 7.0), ("keen".to_owned(), 1.0)].into();
        // 1 January 1970 at 23:30 UTC is Friday half past midnight in Berlin.
        let found = vector(given, &buyer(0), Channel::Web, berlin, DAY - DAY / 48);
        assert_eq!((found[ORDERS], found["keen"], found["channel:web"]), (7.0, 1.0, 1.0));
        assert!(found.contains_key("weekday:fri") && found.contains_key("daypart:night"), "{found:?}");
    }
}
