//! The sample as a shop's own exports would look: three CSV files with headers.

use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat};
use pbjson_types::Timestamp;
use proto::common::v1::{Event, Item, Money, Offer};

use crate::complete_journey::CompleteJourney;

pub(super) fn write(shop: &CompleteJourney, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    let mut items = csv::Writer::from_path(folder.join("items.csv"))?;
    items.write_record(["item_id", "title", "categories", "brand", "price", "size"])?;
    for item in &shop.items {
        items.write_record(self::item(item))?;
    }
    items.flush()?;
    let mut events = csv::Writer::from_path(folder.join("events.csv"))?;
    events.write_record([
        "event_id",
        "user_id",
        "session_id",
        "kind",
        "item_id",
        "occurred_at",
        "channel",
        "campaign_id",
        "order_id",
        "quantity",
        "revenue",
    ])?;
    for event in &shop.events {
        events.write_record(self::event(event))?;
    }
    events.flush()?;
    let mut offers = csv::Writer::from_path(folder.join("offers.csv"))?;
    offers.write_record([
        "offer_id",
        "kind",
        "amount_off",
        "starts_at",
        "ends_at",
        "title",
        "item_ids",
        "categories",
    ])?;
    for offer in &shop.offers {
        offers.write_record(self::offer(offer))?;
    }
    offers.flush()?;
    Ok(())
}

fn item(item: &Item) -> [String; 6] {
    [
        item.item_id.clone(),
        item.title.clone(),
        item.categories.join("|"),
        item.brand.clone(),
        decimal(item.price.as_ref()),
        item.attributes.get("size").cloned().unwrap_or_default(),
    ]
}

fn event(event: &Event) -> [String; 11] {
    let purchase = event.purchase.clone().unwrap_or_default();
    [
        event.event_id.clone(),
        event.user_id.clone(),
        event.session_id.clone(),
        event.kind().as_str_name().to_owned(),
        event.item_id.clone(),
        time(event.occurred_at.as_ref()),
        event.channel().as_str_name().to_owned(),
        event.campaign_id.clone(),
        purchase.order_id,
        purchase.quantity.to_string(),
        decimal(purchase.revenue.as_ref()),
    ]
}

fn offer(offer: &Offer) -> [String; 8] {
    [
        offer.offer_id.clone(),
        offer.kind().as_str_name().to_owned(),
        decimal(offer.amount_off.as_ref()),
        time(offer.starts_at.as_ref()),
        time(offer.ends_at.as_ref()),
        offer.title.clone(),
        offer.item_ids.join("|"),
        offer.categories.join("|"),
    ]
}

/// Dollars and cents; the sample knows no other currency.
fn decimal(money: Option<&Money>) -> String {
    money.map_or_else(String::new, |money| {
        format!("{}.{:02}", money.minor_units / 100, money.minor_units % 100)
    })
}

fn time(at: Option<&Timestamp>) -> String {
    let at = at.and_then(|at| DateTime::from_timestamp(at.seconds, at.nanos.cast_unsigned()));
    at.map_or_else(String::new, |at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}
