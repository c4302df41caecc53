//! A visit and what comes of it: impressions, clicks, orders, ratings, dislikes, returns and redemptions, some of them
//! late, sent twice, or with a damaged token.

use pbjson_types::Timestamp;
use proto::common::v1::{Channel, Event, EventKind, Item, Money, Offer, ProductReturn, Purchase};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::DAY;
use super::people::Ids;

/// Channels of the shop.
pub const CHANNELS: [Channel; 3] = [Channel::Web, Channel::App, Channel::Email];
/// Tokens as broken callers send them.
const DAMAGED: [&str; 5] = ["null", " ", "undefined", "AAAA", "not a token of this shop"];

/// One visit.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Number, unique in the whole run.
    pub number: usize,
    /// Index of the person.
    pub person: usize,
    /// Ids the visit is made under.
    pub ids: Ids,
    /// When, seconds since 1970.
    pub at: i64,
    /// Where.
    pub channel: Channel,
    /// Whole days of the run that follow this one.
    pub days_left: u32,
}

/// A recorded decision: what its events are attributed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The signed token.
    pub token: String,
    /// Variant of the running experiment; empty: none.
    pub variant: String,
}

/// An answer as far as a visit goes on from it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The items, in order.
    pub items: Vec<Item>,
    /// The offer, where a placement shows one.
    pub offer: Option<Offer>,
    /// The decision; absent where none was recorded.
    pub decided: Option<Decided>,
}

/// An event to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The event with its token.
    pub event: Event,
    /// The decision it is attributed to; absent where it carries no token or a damaged one.
    pub decided: Option<Decided>,
    /// Whether it carries a damaged token.
    pub damaged: bool,
    /// Days after the visit on which it is sent.
    pub delay: u32,
    /// Whether it is sent a second time.
    pub twice: bool,
}

/// The events of a visit in the making.
struct Reaction<'a> {
    visit: &'a Visit,
    decided: Option<Decided>,
    random: &'a mut StdRng,
    sent: Vec<Outgoing>,
}

/// What a person of `taste` does when `shown` is shown, and while browsing, where no decision stands behind an item.
pub fn react(
    visit: &Visit,
    taste: &str,
    shown: &Shown,
    browsed: &[Item],
    random: &mut StdRng,
) -> Vec<Outgoing> {
    let mut reaction = Reaction { visit, decided: shown.decided.clone(), random, sent: Vec::new() };
    for (position, item) in shown.items.iter().enumerate() {
        reaction.look_at(item, taste, position);
    }
    reaction.decided = None;
    for (position, item) in browsed.iter().filter(|item| !shown.items.contains(item)).enumerate() {
        reaction.look_at(item, taste, position);
    }
    reaction.decided.clone_from(&shown.decided);
    if let Some(offer) = &shown.offer {
        let is_good_for = |item: &&Item| {
            offer.categories.is_empty() || item.categories.iter().any(|name| offer.categories.contains(name))
        };
        if let Some(item) = browsed.iter().find(is_good_for) {
            reaction.redeem(offer, item);
        }
    }
    if reaction.random.random_bool(0.05) {
        let score = f64::from(reaction.random.random_range(1..=5));
        let survey = reaction.add(EventKind::Survey, &Item::default(), 600, 0);
        survey.event.rating = Some(score);
    }
    reaction.sent
}

impl Reaction<'_> {
    /// Adds an event `seconds` after the visit's start, sent `delay` days later.
    fn add(&mut self, kind: EventKind, item: &Item, seconds: i64, delay: u32) -> &mut Outgoing {
        let number = self.sent.len();
        let mut event = Event {
            event_id: format!("e-{}-{number}", self.visit.number),
            user_id: self.visit.ids.user_id.clone(),
            visitor_id: self.visit.ids.visitor_id.clone(),
            session_id: format!("session-{}", self.visit.number),
            kind: kind.into(),
            item_id: item.item_id.clone(),
            // No two events of one visit happen in the same second, so that their order is plain.
            occurred_at: Some(Timestamp { seconds: self.visit.at + seconds + number as i64, nanos: 0 }),
            channel: self.visit.channel.into(),
            ..Event::default()
        };
        let answers =
            matches!(kind, EventKind::Impression | EventKind::Click | EventKind::Cart | EventKind::Purchase);
        let mut decided = self.decided.clone().filter(|_| answers);
        let damaged = decided.is_some() && self.random.random_bool(0.04);
        if damaged {
            let text = DAMAGED.choose(self.random).copied().unwrap_or_default();
            text.clone_into(&mut event.decision_token);
            decided = None;
        } else if let Some(decided) = &decided {
            event.decision_token.clone_from(&decided.token);
        }
        // Some events of an app without a network come a day late.
        let late = u32::from(delay == 0 && self.visit.days_left > 0 && self.random.random_bool(0.03));
        let twice = self.random.random_bool(0.02);
        self.sent.push(Outgoing { event, decided, damaged, delay: delay + late, twice });
        &mut self.sent[number]
    }

    fn look_at(&mut self, item: &Item, taste: &str, position: usize) {
        self.add(EventKind::Impression, item, 0, 0).event.position = Some(position as u32);
        let liked = item.categories.iter().any(|category| category == taste);
        if self.random.random_bool(if liked { 0.08 } else { 0.006 }) {
            self.add(EventKind::Click, item, 20, 0);
            self.after_click(item);
        } else if self.random.random_bool(0.008) {
            self.add(EventKind::Dislike, item, 30, 0);
        }
    }

    fn after_click(&mut self, item: &Item) {
        for (kind, probability) in [
            (EventKind::View, 0.5),
            (EventKind::Cart, 0.4),
            (EventKind::Favourite, 0.1),
            (EventKind::Share, 0.05),
        ] {
            if self.random.random_bool(probability) {
                self.add(kind, item, 60, 0);
            }
        }
        if self.random.random_bool(0.4) {
            self.order(item);
        }
    }

    /// Buys one to three pieces; the line is part of the visit's order in the item's currency. Perhaps rates them, perhaps returns some.
    fn order(&mut self, item: &Item) {
        let pieces = self.random.random_range(1..=3);
        let early_return = self.visit.days_left > 0 && self.random.random_bool(0.03);
        let purchase = self.purchase(item, pieces, 0);
        let line = self.add(EventKind::Purchase, item, 120, u32::from(early_return));
        line.event.purchase = Some(purchase.clone());
        if early_return {
            // The shop's till reports the purchase a day late; the return of the same evening is there before it.
            self.give_back(item, &purchase, 1, (3_600, 0));
            return;
        }
        if self.random.random_bool(0.4) {
            let stars = f64::from(self.random.random_range(1..=5));
            self.add(EventKind::Rating, item, 900, 0).event.rating = Some(stars);
        }
        if self.visit.days_left > 0 && self.random.random_bool(0.2) {
            let days = self.random.random_range(1..=self.visit.days_left.min(2));
            let after = |pieces: i64| (i64::from(days) * DAY + pieces, days);
            match self.random.random_range(0..3) {
                0 => self.give_back(item, &purchase, 1, after(0)),
                1 => self.give_back(item, &purchase, pieces, after(0)),
                _ => {
                    for piece in 0..pieces {
                        self.give_back(item, &purchase, 1, after(i64::from(piece)));
                    }
                }
            }
        }
    }

    fn purchase(&mut self, item: &Item, pieces: u32, discount: i64) -> Purchase {
        let price = item.price.clone().unwrap_or_default();
        let money = |minor_units| Some(Money { currency_code: price.currency_code.clone(), minor_units });
        let revenue = (price.minor_units * i64::from(pieces) - discount).max(0);
        let unit_cost = item.unit_cost.as_ref().map_or(0, |cost| cost.minor_units);
        Purchase {
            order_id: format!("order-{}-{}", self.visit.number, price.currency_code),
            quantity: pieces,
            revenue: money(revenue),
            cost: self.random.random_bool(0.8).then(|| money(unit_cost * i64::from(pieces))).flatten(),
            tax: self.random.random_bool(0.5).then(|| money(revenue / 10)).flatten(),
            discount: None,
        }
    }

    /// Returns some pieces of a line; its cost is recovered where it is known.
    fn give_back(&mut self, item: &Item, line: &Purchase, pieces: u32, (seconds, delay): (i64, u32)) {
        let share = |money: &Option<Money>| {
            money.as_ref().map(|money| Money {
                minor_units: money.minor_units * i64::from(pieces) / i64::from(line.quantity),
                ..money.clone()
            })
        };
        let product_return = ProductReturn {
            order_id: line.order_id.clone(),
            quantity: pieces,
            amount: share(&line.revenue),
            cost: share(&line.cost),
            tax: share(&line.tax),
        };
        let sent = self.add(EventKind::Return, item, 130 + seconds, delay);
        sent.delay = delay;
        sent.event.product_return = Some(product_return);
    }

    /// Redeems the offer days later, or today where the run ends; a fifth of the redemptions lost their token.
    fn redeem(&mut self, offer: &Offer, item: &Item) {
        if !self.random.random_bool(0.25) {
            return;
        }
        let days = self.random.random_range(0..=self.visit.days_left.min(2));
        let lost = self.random.random_bool(0.2);
        let decided = if lost { self.decided.take() } else { None };
        let price = item.price.as_ref().map_or(0, |price| price.minor_units);
        let discount = (price as f64 * offer.percent_off.unwrap_or_default() / 100.0) as i64;
        let mut purchase = self.purchase(item, 1, discount);
        purchase.order_id.push_str("-redeemed");
        let later = 200 + i64::from(days) * DAY;
        let line = self.add(EventKind::Purchase, item, later, days);
        line.delay = days;
        line.event.purchase = Some(purchase);
        line.event.offer_id.clone_from(&offer.offer_id);
        let redeemed = self.add(EventKind::OfferRedeemed, &Item::default(), later, days);
        redeemed.delay = days;
        redeemed.event.offer_id.clone_from(&offer.offer_id);
        redeemed.event.attributes = [("discount_minor".to_owned(), discount.to_string())].into();
        if lost {
            self.decided = decided;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    fn visit(number: usize) -> Visit {
        let ids = Ids { user_id: "u".into(), visitor_id: String::new() };
        Visit { number, person: 0, ids, at: 1_000_000, channel: Channel::Web, days_left: 3 }
    }

    #[test]
    fn there_are_about_twenty_impressions_to_a_click_and_every_return_is_of_a_line_bought() {
        let mut random = StdRng::seed_from_u64(1);
        let price = || Some(Money { currency_code: "EUR".into(), minor_units: 1_000 });
        let items: Vec<Item> = (0..6)
            .map(|n| Item {
                item_id: format!("i{n}"),
                categories: vec![format!("c{n}")],
                price: price(),
                ..Item::default()
            })
            .collect();
        let decided = Decided { token: "t".into(), variant: "a".into() };
        let browsed = [0, 1, 2, 3, 4, 5].map(|n| Item {
            item_id: format!("b{n}"),
            categories: vec!["c3".into()],
            price: price(),
            ..Item::default()
        });
        let shown = Shown { items, offer: None, decided: Some(decided) };
        let sent: Vec<Outgoing> = (0..2_000)
            .flat_map(|number| react(&visit(number), "c3", &shown, &browsed, &mut random))
            .collect();
        let count = |kind: EventKind| sent.iter().filter(|sent| sent.event.kind() == kind).count() as f64;
        let ratio = count(EventKind::Impression) / count(EventKind::Click);
        assert!((15.0..28.0).contains(&ratio), "{ratio}");
        let bought = |order: &str, item: &str| {
            let lines = sent.iter().filter(|sent| sent.event.item_id == item);
            lines.filter_map(|sent| sent.event.purchase.as_ref()).find(|line| line.order_id == order).cloned()
        };
        let mut returns = 0;
        for sent in &sent {
            let Some(returned) = &sent.event.product_return else { continue };
            let line = bought(&returned.order_id, &sent.event.item_id).expect("a line that was bought");
            assert!(returned.quantity <= line.quantity);
            returns += 1;
        }
        assert!(returns > 50, "{returns}");
        assert!(
            sent.iter()
                .all(|sent| sent.damaged != sent.decided.is_some() || sent.event.decision_token.is_empty())
        );
    }
}
