//! A real shop to work on: a grocer's year from *The Complete Journey*, as items, events and offers.
//!
//! The year is moved so that its last purchase happened an hour before `now`; nothing else is invented.
//! `tests/data/completejourney/NOTICE.md` says where the data is from and how prices and coupon values are found.

mod events;
mod items;
mod offers;
mod raw;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use proto::common::v1::{Event, Item, Offer};

/// The sample in the contract's own messages.
#[derive(Debug, Clone)]
pub struct CompleteJourney {
    /// Goods that were bought at least once, with a price; no fuel, fees or till entries.
    pub items: Vec<Item>,
    /// Every purchase line, oldest first, with its basket as order and session.
    pub events: Vec<Event>,
    /// Coupons whose value was seen at the till, each in the window of its campaign.
    pub offers: Vec<Offer>,
}

impl CompleteJourney {
    /// Reads the sample below `folder` and moves its year to end an hour before `now`.
    pub fn load(folder: &Path, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let raw = raw::Raw::read(folder)?;
        let last = raw.lines.iter().map(|line| line.at).max().context("the sample has no purchases")?;
        let shift = (now - TimeDelta::hours(1)) - last;
        let items = items::items(&raw);
        let known: BTreeMap<&str, &Item> = items.iter().map(|item| (item.item_id.as_str(), item)).collect();
        let events = events::events(&raw, &known, shift);
        let offers = offers::offers(&raw, &known, shift)?;
        Ok(Self { items, events, offers })
    }

    /// The sample kept in this repository.
    pub fn bundled(now: DateTime<Utc>) -> anyhow::Result<Self> {
        Self::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/completejourney")), now)
    }

    /// Households by number of purchases, most first; equal ones by id.
    pub fn busiest(&self) -> Vec<(&str, usize)> {
        let mut counts = BTreeMap::new();
        for event in &self.events {
            *counts.entry(event.user_id.as_str()).or_insert(0) += 1;
        }
        let mut households: Vec<_> = counts.into_iter().collect();
        households.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
        households
    }
}

/// A time of the contract.
pub(crate) fn timestamp(at: DateTime<Utc>) -> pbjson_types::Timestamp {
    pbjson_types::Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos().cast_signed() }
}
