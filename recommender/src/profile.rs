//! What is known of a person, from the person's own events.

use std::collections::{BTreeMap, HashMap};

use proto::common::v1::{Channel, Event, EventKind, Money};
use proto::recommender::v1::{Affinity, Profile};

use crate::catalogue::Catalogue;
use crate::price_band::PriceThirds;
use crate::signals::Signals;
use crate::store::Deed;

/// Affinities of one kind that are reported.
const MAX_AFFINITIES: usize = 10;
/// Recent items that are reported.
const MAX_RECENT_ITEMS: usize = 20;
/// Active hours that are reported.
const MAX_ACTIVE_HOURS: usize = 3;
const DAY: f64 = 86_400.0;

/// One line of an order.
#[derive(Debug, Default)]
struct OrderLine {
    bought: i64,
    returned: i64,
    last_bought_at: i64,
}

/// A profile in the making: takes a person's events one after the other, the oldest first.
pub struct ProfileBuilder<'a> {
    catalogue: &'a Catalogue,
    signals: &'a Signals,
    thirds: &'a PriceThirds,
    /// By order and item. A purchase that names no order is an order of its own.
    lines: HashMap<(String, String), OrderLine>,
    /// Order lines and sum by currency.
    monetary: BTreeMap<String, (u64, i64)>,
    channels: BTreeMap<i32, u32>,
    hours: BTreeMap<u32, u32>,
    /// Weight by item, of all events but purchases, which may be returned later.
    weights: BTreeMap<String, f64>,
    /// Items by their last event, the newest last; holds no more than are reported.
    recent: Vec<String>,
}

impl<'a> ProfileBuilder<'a> {
    /// A profile of a person without events.
    pub fn new(catalogue: &'a Catalogue, thirds: &'a PriceThirds, signals: &'a Signals) -> Self {
        Self {
            catalogue,
            signals,
            thirds,
            lines: HashMap::new(),
            monetary: BTreeMap::new(),
            channels: BTreeMap::new(),
            hours: BTreeMap::new(),
            weights: BTreeMap::new(),
            recent: Vec::new(),
        }
    }

    /// Adds an event; it must not be older than the last. `hour` is that of its time in the shop's time zone.
    pub fn add(&mut self, event: &Event, hour: u32) {
        if event.channel() != Channel::Unspecified {
            *self.channels.entry(event.channel).or_default() += 1;
        }
        *self.hours.entry(hour).or_default() += 1;
        let at = event.occurred_at.as_ref().map_or(0, |at| at.seconds);
        match (event.kind(), &event.purchase, &event.product_return) {
            (EventKind::Purchase, Some(purchase), _) => {
                let order = if purchase.order_id.is_empty() { &event.event_id } else { &purchase.order_id };
                let line = self.line(order, &event.item_id);
                line.bought += i64::from(purchase.quantity);
                line.last_bought_at = line.last_bought_at.max(at);
                self.money(purchase.revenue.as_ref(), 1);
            }
            (EventKind::Return, _, Some(returned)) => {
                self.line(&returned.order_id, &event.item_id).returned += i64::from(returned.quantity);
                self.money(returned.amount.as_ref(), -1);
            }
            (kind, _, _) if !event.item_id.is_empty() => {
                let deed = Deed { rating: event.rating, ..Deed::new("", kind, &event.item_id, at) };
                let weight = f64::from(self.signals.weight_of(&deed));
                *self.weights.entry(event.item_id.clone()).or_default() += weight;
            }
            _ => {}
        }
        if !event.item_id.is_empty() {
            self.recent.retain(|item| *item != event.item_id);
            self.recent.push(event.item_id.clone());
            if self.recent.len() > MAX_RECENT_ITEMS {
                self.recent.remove(0);
            }
        }
    }

    fn line(&mut self, order: &str, item: &str) -> &mut OrderLine {
        self.lines.entry((order.to_owned(), item.to_owned())).or_default()
    }

    /// Adds the amount of an order line, or with `sign` -1 takes it off.
    fn money(&mut self, amount: Option<&Money>, sign: i64) {
        let Some(Money { currency_code, minor_units }) = amount else { return };
        let (lines, sum) = self.monetary.entry(currency_code.clone()).or_default();
        *lines += u64::from(sign > 0);
        *sum = sum.saturating_add(sign.saturating_mul(*minor_units));
    }

    /// The profile at `now`, in seconds since 1970. An order that was wholly returned does not count as one.
    pub fn build(mut self, now: i64) -> Profile {
        let mut orders: HashMap<&str, i64> = HashMap::new();
        for ((order, item), line) in &self.lines {
            if line.bought == 0 {
                continue;
            }
            let kept = (1.0 - line.returned as f32 / line.bought as f32).max(0.0);
            let deed = Deed { kept, ..Deed::new("", EventKind::Purchase, item, line.last_bought_at) };
            *self.weights.entry(item.clone()).or_default() += f64::from(self.signals.weight_of(&deed));
            if kept > 0.0 {
                let last = orders.entry(order).or_insert(line.last_bought_at);
                *last = (*last).max(line.last_bought_at);
            }
        }
        let recency = orders.values().max().map(|last| (now - last).max(0) as f64 / DAY);
        let frequency = orders.len() as u64;
        let bands =
            self.weigh(|item| self.thirds.band(item.price.as_ref()).into_iter().map(str::to_owned).collect());
        let price_band = bands.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(band, _)| band.clone());
        let mut affinities = shares("category", self.weigh(|item| item.categories.clone()));
        let brands = self
            .weigh(|item| Some(item.brand.clone()).filter(|brand| !brand.is_empty()).into_iter().collect());
        affinities.extend(shares("brand", brands));
        affinities.extend(shares("price_band", bands));
        let channel = self.channels.iter().max_by_key(|(channel, count)| (**count, -**channel));
        let mut hours: Vec<(u32, u32)> = self.hours.into_iter().collect();
        hours.sort_by_key(|(hour, count)| (std::cmp::Reverse(*count), *hour));
        let mut monetary: Vec<(String, (u64, i64))> = self.monetary.into_iter().collect();
        monetary.sort_by_key(|(_, (lines, _))| std::cmp::Reverse(*lines));
        let amount = |(currency_code, (_, minor_units))| Money { currency_code, minor_units };
        Profile {
            segment: String::new(),
            recency_days: recency,
            frequency,
            monetary: monetary.into_iter().map(amount).collect(),
            affinities,
            price_band: price_band.unwrap_or_default(),
            preferred_channel: channel.map(|(channel, _)| *channel).unwrap_or_default(),
            active_hours: hours.into_iter().take(MAX_ACTIVE_HOURS).map(|(hour, _)| hour).collect(),
            recent_item_ids: self.recent.into_iter().rev().collect(),
        }
    }

    /// Weight of the person's events by what `values` names of their items.
    fn weigh(&self, values: impl Fn(&proto::common::v1::Item) -> Vec<String>) -> BTreeMap<String, f64> {
        let mut weights = BTreeMap::new();
        for (item_id, weight) in &self.weights {
            for value in self.catalogue.get(item_id).map(|item| values(item)).unwrap_or_default() {
                *weights.entry(value).or_default() += weight;
            }
        }
        weights
    }
}

/// The positive weights as shares of their sum, the largest first.
fn shares(kind: &str, weights: BTreeMap<String, f64>) -> Vec<Affinity> {
    let positive: Vec<(String, f64)> = weights.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
    let total: f64 = positive.iter().map(|(_, weight)| weight).sum();
    let share = |(value, weight)| Affinity { kind: kind.to_owned(), value, weight: weight / total };
    let mut all: Vec<Affinity> = positive.into_iter().map(share).collect();
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    all.truncate(MAX_AFFINITIES);
    all
}
