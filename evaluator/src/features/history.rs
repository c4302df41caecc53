//! What is known of a person from all events so far, kept small.
//!
//! Every part is a count, a sum, a smallest or a largest value or a set, in whole numbers: events may come in any order,
//! late ones included, and histories of a visitor and a user merge, with the same result as from the whole log.

use std::collections::BTreeMap;

use proto::common::v1::EventKind;
use serde::{Deserialize, Serialize};

use super::distinct::Distinct;

/// Offers remembered, the newest.
const MAX_OFFERS: usize = 64;
/// Categories counted for a person, those met most.
const MAX_CATEGORIES: usize = 32;

/// One event as it counts for features.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Activity {
    /// The event's id.
    pub event_id: String,
    /// What happened.
    pub kind: EventKind,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Number of the channel.
    pub channel: i16,
    /// The decision it answers; may be empty.
    pub decision_id: String,
    /// The offer redeemed with a purchase; may be empty.
    pub offer_id: String,
    /// Order of a purchase or return; may be empty.
    pub order_id: String,
    /// Pieces bought, or below 0 returned.
    pub quantity: i64,
    /// Currency of the amount.
    pub currency: String,
    /// Amount paid, or below 0 paid back, minor units.
    pub revenue: Option<i64>,
    /// Category of the item, where the event states it.
    pub category: String,
}

/// Orders in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Spend {
    orders: Distinct,
    /// Paid before returns, minor units.
    paid: i64,
    /// Paid back, minor units, above 0.
    returned: i64,
}

/// A person's history.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// First event of any kind.
    first_at: Option<i64>,
    /// Latest action of the person's own.
    last_action_at: Option<i64>,
    /// Latest purchase.
    last_order_at: Option<i64>,
    /// Latest of all that is counted here, offers included.
    latest_at: Option<i64>,
    /// Actions by channel number.
    channels: BTreeMap<i16, u64>,
    /// Actions by category of the item.
    categories: BTreeMap<String, u64>,
    /// Orders by currency.
    spend: BTreeMap<String, Spend>,
    /// Orders that redeemed an offer.
    with_offer: Distinct,
    /// Redemptions that were reported by themselves.
    redemptions: u64,
    /// Pieces bought.
    bought: u64,
    /// Pieces returned.
    returned: u64,
    /// When offers were made, ascending.
    offers: Vec<i64>,
}

/// What a person does, in contrast to what is shown to, said about or given to them.
fn is_action(kind: EventKind) -> bool {
    use EventKind::{Cart, Click, Dislike, Favourite, Purchase, Rating, Share, Survey, View};
    matches!(kind, View | Click | Favourite | Cart | Purchase | Rating | Dislike | Share | Survey)
}

fn raise(latest: &mut Option<i64>, at: i64) {
    *latest = Some(latest.map_or(at, |known| known.max(at)));
}

fn lower(first: &mut Option<i64>, at: i64) {
    *first = Some(first.map_or(at, |known| known.min(at)));
}

impl History {
    /// Adds one event, which must not have been added before.
    pub fn add(&mut self, event: &Activity) {
        if event.kind == EventKind::Link || event.kind == EventKind::Unspecified {
            return;
        }
        lower(&mut self.first_at, event.at);
        raise(&mut self.latest_at, event.at);
        if is_action(event.kind) {
            raise(&mut self.last_action_at, event.at);
            *self.channels.entry(event.channel).or_default() += 1;
            if !event.category.is_empty() {
                *self.categories.entry(event.category.clone()).or_default() += 1;
                self.forget_rare_categories();
            }
        }
        match event.kind {
            EventKind::Purchase => self.add_purchase(event),
            EventKind::Return => {
                let back = event.revenue.unwrap_or(0).min(0).unsigned_abs();
                let of_currency = self.spend.entry(event.currency.clone()).or_default();
                of_currency.returned = of_currency.returned.saturating_add_unsigned(back);
                self.returned = self.returned.saturating_add(event.quantity.min(0).unsigned_abs());
            }
            EventKind::OfferRedeemed => self.redemptions += 1,
            _ => {}
        }
    }

    fn add_purchase(&mut self, event: &Activity) {
        raise(&mut self.last_order_at, event.at);
        // A line that names no order is an order of its own.
        let order = if event.order_id.is_empty() { &event.event_id } else { &event.order_id };
        let of_currency = self.spend.entry(event.currency.clone()).or_default();
        of_currency.orders.insert(order);
        of_currency.paid = of_currency.paid.saturating_add(event.revenue.unwrap_or(0));
        if !event.offer_id.is_empty() {
            self.with_offer.insert(order);
        }
        self.bought = self.bought.saturating_add(event.quantity.max(0).unsigned_abs());
    }

    /// Adds an offer that was made at a moment.
    pub fn add_offer(&mut self, at: i64) {
        raise(&mut self.latest_at, at);
        let place = self.offers.partition_point(|made| *made <= at);
        self.offers.insert(place, at);
        self.forget_old_offers();
    }

    /// Adds what another history of the same person holds.
    pub fn merge(&mut self, other: Self) {
        if let Some(at) = other.first_at {
            lower(&mut self.first_at, at);
        }
        for (mine, theirs) in [
            (&mut self.last_action_at, other.last_action_at),
            (&mut self.last_order_at, other.last_order_at),
            (&mut self.latest_at, other.latest_at),
        ] {
            if let Some(at) = theirs {
                raise(mine, at);
            }
        }
        for (channel, count) in other.channels {
            *self.channels.entry(channel).or_default() += count;
        }
        for (category, count) in other.categories {
            *self.categories.entry(category).or_default() += count;
        }
        self.forget_rare_categories();
        for (currency, theirs) in other.spend {
            let mine = self.spend.entry(currency).or_default();
            mine.orders.merge(theirs.orders);
            mine.paid = mine.paid.saturating_add(theirs.paid);
            mine.returned = mine.returned.saturating_add(theirs.returned);
        }
        self.with_offer.merge(other.with_offer);
        self.redemptions += other.redemptions;
        self.bought = self.bought.saturating_add(other.bought);
        self.returned = self.returned.saturating_add(other.returned);
        self.offers.extend(other.offers);
        self.offers.sort_unstable();
        self.forget_old_offers();
    }

    /// Whether anything in it happened at `at` or later: it is then no history as of `at`.
    pub fn reaches(&self, at: i64) -> bool {
        self.latest_at.is_some_and(|latest| latest >= at)
    }

    /// First event of any kind.
    pub fn first_at(&self) -> Option<i64> {
        self.first_at
    }

    /// Latest action.
    pub fn last_action_at(&self) -> Option<i64> {
        self.last_action_at
    }

    /// Latest purchase.
    pub fn last_order_at(&self) -> Option<i64> {
        self.last_order_at
    }

    /// Latest offer.
    pub fn last_offer_at(&self) -> Option<i64> {
        self.offers.last().copied()
    }

    /// Offers made from a moment on.
    pub fn offers_since(&self, from: i64) -> usize {
        self.offers.len() - self.offers.partition_point(|made| *made < from)
    }

    /// Distinct orders.
    pub fn orders(&self) -> f64 {
        self.spend.values().map(|spend| spend.orders.count()).sum()
    }

    /// By currency with orders: what was paid less what was paid back, and the average amount paid for an order; minor
    /// units.
    pub fn spend(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.spend.iter().filter(|(_, spend)| !spend.orders.is_empty()).map(|(currency, spend)| {
            let paid = spend.paid as f64;
            (currency.as_str(), paid - spend.returned as f64, paid / spend.orders.count())
        })
    }

    /// Share of orders that redeemed an offer, 0 to 1. A redemption may be told with the purchase, by itself or both.
    pub fn discount_share(&self) -> Option<f64> {
        let orders = self.orders();
        (orders > 0.0).then(|| (self.with_offer.count().max(self.redemptions as f64) / orders).min(1.0))
    }

    /// Share of the pieces bought that were returned, 0 to 1.
    pub fn return_share(&self) -> Option<f64> {
        (self.bought > 0).then(|| (self.returned as f64 / self.bought as f64).min(1.0))
    }

    /// Number of actions.
    pub fn actions(&self) -> u64 {
        self.channels.values().sum()
    }

    /// Number of actions by channel number.
    pub fn channels(&self) -> &BTreeMap<i16, u64> {
        &self.channels
    }

    /// Number of actions by category.
    pub fn categories(&self) -> &BTreeMap<String, u64> {
        &self.categories
    }

    fn forget_old_offers(&mut self) {
        let surplus = self.offers.len().saturating_sub(MAX_OFFERS);
        self.offers.drain(..surplus);
    }

    fn forget_rare_categories(&mut self) {
        while self.categories.len() > MAX_CATEGORIES {
            let rarest =
                self.categories.iter().min_by_key(|(_, count)| **count).map(|(name, _)| name.clone());
            if let Some(name) = rarest {
                self.categories.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purchase(id: u32, order: &str, revenue: i64) -> Activity {
        Activity {
            event_id: format!("p{id}"),
            kind: EventKind::Purchase,
            at: i64::from(id) * 1_000,
            channel: 1,
            order_id: order.into(),
            quantity: 2,
            currency: "EUR".into(),
            revenue: Some(revenue),
            category: "Cheese".into(),
            ..Activity::default()
        }
    }

    fn events() -> Vec<Activity> {
        let back = Activity {
            event_id: "r".into(),
            kind: EventKind::Return,
            quantity: -1,
            revenue: Some(-400),
            at: 9_000,
            ..purchase(9, "o1", 0)
        };
        let redeemed = Activity { kind: EventKind::OfferRedeemed, ..purchase(3, "", 0) };
        let shown = Activity { kind: EventKind::Impression, at: 1, ..purchase(4, "", 0) };
        let dollars = Activity { currency: "USD".into(), offer_id: "ten".into(), ..purchase(5, "", 700) };
        vec![
            purchase(1, "o1", 1_000),
            purchase(2, "o1", 500),
            purchase(6, "o2", 300),
            back,
            redeemed,
            shown,
            dollars,
        ]
    }

    fn whole(events: &[Activity]) -> History {
        let mut history = History::default();
        for event in events {
            history.add(event);
        }
        history
    }

    #[test]
    fn order_lines_are_orders_returns_are_taken_off_and_currencies_stay_apart() {
        let history = whole(&events());
        assert!((history.orders() - 3.0).abs() < 1e-12);
        let spend: Vec<_> = history.spend().map(|(name, net, order)| (name.to_owned(), net, order)).collect();
        assert_eq!(spend, [("EUR".to_owned(), 1_400.0, 900.0), ("USD".to_owned(), 700.0, 700.0)]);
        assert_eq!(history.return_share(), Some(0.125));
        assert!((history.discount_share().expect("orders") - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            (history.actions(), history.first_at(), history.last_order_at()),
            (4, Some(1), Some(6_000))
        );
    }

    #[test]
    fn any_order_and_any_split_of_the_events_gives_the_same_history() {
        let events = events();
        let mut expected = whole(&events);
        expected.add_offer(5);
        expected.add_offer(3);
        let backwards: Vec<Activity> = events.iter().rev().cloned().collect();
        let (visitor, user) = backwards.split_at(3);
        let (mut merged, mut visitor) = (whole(user), whole(visitor));
        visitor.add_offer(3);
        merged.add_offer(5);
        merged.merge(visitor);
        assert_eq!(merged, expected);
        let text = serde_json::to_string(&merged).expect("JSON");
        assert_eq!(serde_json::from_str::<History>(&text).expect("the same"), expected);
    }

    #[test]
    fn many_categories_and_offers_keep_the_row_small() {
        let mut history = History::default();
        for id in 0..500 {
            history.add(&Activity { category: format!("c{id}"), ..purchase(id, "o", 1) });
            history.add_offer(i64::from(id));
        }
        assert!(history.categories().len() <= MAX_CATEGORIES);
        assert_eq!((history.offers_since(0), history.last_offer_at()), (MAX_OFFERS, Some(499)));
    }
}
