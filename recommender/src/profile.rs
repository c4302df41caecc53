//! What is known of a person, from the person's own events.

use std::collections::{BTreeMap, HashSet};

use proto::common::v1::{Channel, Event, EventKind, Money};
use proto::recommender::v1::{Affinity, Profile};

use crate::catalogue::Catalogue;
use crate::signals::Signals;

/// Leanings of one kind that are told.
const AFFINITIES: usize = 10;
/// Items and hours that are told.
const RECENT: usize = 20;
const HOURS: usize = 3;
const DAY: f64 = 86_400.0;

/// The profile of a person with these `events`, the oldest first, at `now` (seconds since 1970).
pub fn of(events: &[Event], catalogue: &Catalogue, signals: &Signals, now: i64) -> Profile {
    let at = |event: &Event| event.occurred_at.as_ref().map_or(0, |at| at.seconds);
    let purchases = || events.iter().filter(|event| event.kind() == EventKind::Purchase);
    let orders: HashSet<&str> =
        purchases().map(|event| event.purchase.as_ref().map_or("", |purchase| &purchase.order_id)).collect();
    let mut channels: BTreeMap<i32, u32> = BTreeMap::new();
    let mut hours: BTreeMap<u32, u32> = BTreeMap::new();
    for event in events {
        *channels.entry(event.channel).or_default() += 1;
        *hours.entry((at(event).rem_euclid(86_400) / 3600) as u32).or_default() += 1;
    }
    channels.remove(&(Channel::Unspecified as i32));
    let most =
        channels.iter().max_by_key(|(channel, count)| (**count, -**channel)).map(|(channel, _)| *channel);
    let mut hours: Vec<(u32, u32)> = hours.into_iter().collect();
    hours.sort_by_key(|(hour, count)| (std::cmp::Reverse(*count), *hour));
    let mut recent = Vec::new();
    for event in events.iter().rev().filter(|event| !event.item_id.is_empty()) {
        if recent.len() < RECENT && !recent.contains(&event.item_id) {
            recent.push(event.item_id.clone());
        }
    }
    let bands = price_bands(events, catalogue, signals);
    let band = bands.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(band, _)| (*band).to_owned());
    let mut affinities =
        leanings("category", events, signals, |item| catalogue.get(item).map(|item| item.categories.clone()));
    affinities.extend(leanings("brand", events, signals, |item| {
        catalogue.get(item).filter(|item| !item.brand.is_empty()).map(|item| vec![item.brand.clone()])
    }));
    affinities.extend(shares(
        "price_band",
        bands.into_iter().map(|(band, weight)| (band.to_owned(), weight)).collect(),
    ));
    Profile {
        segment: String::new(),
        recency_days: purchases().map(at).max().map(|last| (now - last).max(0) as f64 / DAY),
        frequency: orders.len() as u64,
        monetary: monetary(events),
        affinities,
        price_band: band.unwrap_or_default(),
        preferred_channel: most.unwrap_or_default(),
        active_hours: hours.into_iter().take(HOURS).map(|(hour, _)| hour).collect(),
        recent_item_ids: recent,
    }
}

/// Revenue of all orders by currency, the currency with most order lines first.
fn monetary(events: &[Event]) -> Vec<Money> {
    let mut sums: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    for money in events.iter().filter_map(|event| event.purchase.as_ref()?.revenue.as_ref()) {
        let sum = sums.entry(&money.currency_code).or_default();
        *sum = (sum.0 + 1, sum.1.saturating_add(money.minor_units));
    }
    let mut sums: Vec<(&str, (u64, i64))> = sums.into_iter().collect();
    sums.sort_by_key(|(_, (lines, _))| std::cmp::Reverse(*lines));
    let amount =
        |(currency, (_, minor_units)): (&str, _)| Money { currency_code: currency.to_owned(), minor_units };
    sums.into_iter().map(amount).collect()
}

fn leanings(
    kind: &str,
    events: &[Event],
    signals: &Signals,
    of: impl Fn(&str) -> Option<Vec<String>>,
) -> Vec<Affinity> {
    let mut weights: BTreeMap<String, f64> = BTreeMap::new();
    for event in events {
        for value in of(&event.item_id).unwrap_or_default() {
            *weights.entry(value).or_default() += f64::from(signals.weight(event.kind()));
        }
    }
    shares(kind, weights)
}

fn shares(kind: &str, weights: BTreeMap<String, f64>) -> Vec<Affinity> {
    let total: f64 = weights.values().filter(|weight| **weight > 0.0).sum();
    let mut all: Vec<Affinity> = weights
        .into_iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|(value, weight)| Affinity { kind: kind.to_owned(), value, weight: weight / total })
        .collect();
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    all.truncate(AFFINITIES);
    all
}

/// Weight of the person's events in each third of the catalogue's prices.
fn price_bands(events: &[Event], catalogue: &Catalogue, signals: &Signals) -> BTreeMap<&'static str, f64> {
    let mut prices: Vec<i64> =
        catalogue.iter().filter_map(|item| Some(item.price.as_ref()?.minor_units)).collect();
    prices.sort_unstable();
    let mut bands = BTreeMap::new();
    let (Some(low), Some(middle)) = (prices.get(prices.len() / 3), prices.get(prices.len() * 2 / 3)) else {
        return bands;
    };
    for event in events {
        let price = catalogue.get(&event.item_id).and_then(|item| Some(item.price.as_ref()?.minor_units));
        let Some(price) = price else { continue };
        let band = if price < *low {
            "low"
        } else if price < *middle {
            "middle"
        } else {
            "high"
        };
        *bands.entry(band).or_insert(0.0) += f64::from(signals.weight(event.kind()));
    }
    bands
}
