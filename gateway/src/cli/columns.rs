//! From a row's cells to a message of the contract.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use pbjson_types::Timestamp;
use proto::common::v1::{Channel, Event, EventKind, Item, Money, Offer, OfferKind, ProductReturn, Purchase};
use sha2::{Digest as _, Sha256};

use super::rows::Row;
use super::show::digits;

/// What is wrong with a row: the field and why.
pub(super) type Wrong = (&'static str, String);

/// The fields of each kind of row, as `--column` takes them.
pub(super) const ITEM: &[&str] = &[
    "item_id",
    "title",
    "description",
    "categories",
    "brand",
    "price",
    "unit_cost",
    "currency",
    "stock",
    "available_from",
    "available_until",
    "image_uri",
    "not_recommendable",
];
pub(super) const EVENT: &[&str] = &[
    "event_id",
    "user_id",
    "visitor_id",
    "session_id",
    "kind",
    "item_id",
    "occurred_at",
    "channel",
    "campaign_id",
    "decision_token",
    "position",
    "rating",
    "order_id",
    "quantity",
    "revenue",
    "cost",
    "tax",
    "discount",
    "amount",
    "currency",
    "offer_id",
];
pub(super) const OFFER: &[&str] = &[
    "offer_id",
    "kind",
    "percent_off",
    "amount_off",
    "min_spend",
    "currency",
    "starts_at",
    "ends_at",
    "title",
    "item_ids",
    "categories",
];

/// The columns for `--help`.
pub(super) fn help() -> String {
    let list = |name: &str, fields: &[&str]| format!("  {name:<7} {}", fields.join(", "));
    [
        "Columns; all others become attributes of the item or event:".to_owned(),
        list("items", ITEM),
        list("events", EVENT),
        list("offers", OFFER),
        "Several categories or item ids in one cell are separated by |. Times are RFC 3339, a date, or seconds since 1970. \
         Amounts need a currency: a column, or --constant currency=USD. A RETURN needs order_id, quantity and amount."
            .to_owned(),
    ]
    .join("\n")
}

/// A row whose known fields are taken one by one; what is left over are attributes.
struct Cells {
    row: Row,
    currency: String,
}

impl Cells {
    fn new(mut row: Row) -> Self {
        let currency = row.remove("currency").unwrap_or_default().to_uppercase();
        Self { row, currency }
    }

    fn text(&mut self, field: &str) -> String {
        self.row.remove(field).unwrap_or_default()
    }

    /// Several values in one cell, separated by `|`.
    fn list(&mut self, field: &str) -> Vec<String> {
        self.text(field)
            .split('|')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn number<T: std::str::FromStr>(&mut self, field: &'static str) -> Result<Option<T>, Wrong> {
        let Some(cell) = self.row.remove(field) else { return Ok(None) };
        cell.parse().map(Some).map_err(|_| (field, format!("{cell:?} is not a number that fits")))
    }

    /// A yes or no: true, yes or 1; false, no, 0 or an empty cell.
    fn flag(&mut self, field: &'static str) -> Result<bool, Wrong> {
        match self.text(field).to_lowercase().as_str() {
            "" | "0" | "false" | "no" => Ok(false),
            "1" | "true" | "yes" => Ok(true),
            other => Err((field, format!("{other:?} is neither true nor false"))),
        }
    }

    fn money(&mut self, field: &'static str) -> Result<Option<Money>, Wrong> {
        let Some(cell) = self.row.remove(field) else { return Ok(None) };
        if self.currency.is_empty() {
            return Err((
                "currency",
                "must be given with an amount: a column, or --constant currency=USD".into(),
            ));
        }
        let minor_units = minor_units(&cell, digits(&self.currency)).map_err(|why| (field, why))?;
        Ok(Some(Money { currency_code: self.currency.clone(), minor_units }))
    }

    fn time(&mut self, field: &'static str) -> Result<Option<Timestamp>, Wrong> {
        let Some(cell) = self.row.remove(field) else { return Ok(None) };
        time(&cell)
            .map(Some)
            .ok_or_else(|| (field, format!("{cell:?} is neither RFC 3339, a date nor seconds since 1970")))
    }

    /// An enum by its name with or without the prefix, in any case.
    fn named<E: Into<i32>>(
        &mut self,
        field: &'static str,
        prefix: &str,
        by_name: fn(&str) -> Option<E>,
    ) -> Result<i32, Wrong> {
        let Some(cell) = self.row.remove(field) else { return Ok(0) };
        let name = cell.to_uppercase().replace([' ', '-'], "_");
        let full = if name.starts_with(prefix) { name } else { format!("{prefix}{name}") };
        by_name(&full)
            .map(Into::into)
            .ok_or_else(|| (field, format!("{cell:?} is not one of the contract's names")))
    }

    fn attributes(self) -> BTreeMap<String, String> {
        self.row
    }
}

pub(super) fn item(row: Row) -> Result<Item, Wrong> {
    let mut cells = Cells::new(row);
    Ok(Item {
        item_id: cells.text("item_id"),
        title: cells.text("title"),
        description: cells.text("description"),
        categories: cells.list("categories"),
        brand: cells.text("brand"),
        price: cells.money("price")?,
        unit_cost: cells.money("unit_cost")?,
        stock: cells.number("stock")?,
        available_from: cells.time("available_from")?,
        available_until: cells.time("available_until")?,
        image_uri: cells.text("image_uri"),
        not_recommendable: cells.flag("not_recommendable")?,
        attributes: cells.attributes(),
    })
}

/// An event without an id of its own gets one made of all its cells, so that a second import adds nothing.
pub(super) fn event(row: Row) -> Result<Event, Wrong> {
    let made = (!row.contains_key("event_id")).then(|| digest(&row));
    let mut cells = Cells::new(row);
    let (order_id, quantity) = (cells.text("order_id"), cells.number("quantity")?);
    let (revenue, amount) = (cells.money("revenue")?, cells.money("amount")?);
    let (cost, tax, discount) = (cells.money("cost")?, cells.money("tax")?, cells.money("discount")?);
    let kind = cells.named("kind", "EVENT_KIND_", EventKind::from_str_name)?;
    let quantity = quantity.unwrap_or(1);
    let purchase = (kind == EventKind::Purchase as i32).then(|| Purchase {
        order_id: order_id.clone(),
        quantity,
        revenue,
        cost: cost.clone(),
        tax: tax.clone(),
        discount,
    });
    let product_return =
        (kind == EventKind::Return as i32).then_some(ProductReturn { order_id, quantity, amount, cost, tax });
    Ok(Event {
        event_id: made.unwrap_or_else(|| cells.text("event_id")),
        user_id: cells.text("user_id"),
        visitor_id: cells.text("visitor_id"),
        session_id: cells.text("session_id"),
        kind,
        item_id: cells.text("item_id"),
        occurred_at: cells.time("occurred_at")?,
        channel: cells.named("channel", "CHANNEL_", Channel::from_str_name)?,
        campaign_id: cells.text("campaign_id"),
        decision_token: cells.text("decision_token"),
        position: cells.number("position")?,
        rating: cells.number("rating")?,
        purchase,
        product_return,
        offer_id: cells.text("offer_id"),
        attributes: cells.attributes(),
        ..Event::default()
    })
}

pub(super) fn offer(row: Row) -> Result<Offer, Wrong> {
    let mut cells = Cells::new(row);
    Ok(Offer {
        offer_id: cells.text("offer_id"),
        kind: cells.named("kind", "OFFER_KIND_", OfferKind::from_str_name)?,
        percent_off: cells.number("percent_off")?,
        amount_off: cells.money("amount_off")?,
        min_spend: cells.money("min_spend")?,
        starts_at: cells.time("starts_at")?,
        ends_at: cells.time("ends_at")?,
        title: cells.text("title"),
        item_ids: cells.list("item_ids"),
        categories: cells.list("categories"),
    })
}

fn digest(row: &Row) -> String {
    let mut hash = Sha256::new();
    for (name, cell) in row {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(cell.as_bytes());
        hash.update([0]);
    }
    let half: [u8; 16] = hash.finalize()[..16].try_into().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(half))
}

fn time(cell: &str) -> Option<Timestamp> {
    let at = if let Ok(at) = DateTime::parse_from_rfc3339(cell) {
        at.to_utc()
    } else if let Ok(seconds) = cell.parse::<i64>() {
        DateTime::from_timestamp(seconds, 0)?
    } else if let Ok(at) = NaiveDateTime::parse_from_str(cell, "%Y-%m-%d %H:%M:%S") {
        at.and_utc()
    } else {
        NaiveDate::parse_from_str(cell, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc()
    };
    Some(Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos().cast_signed() })
}

/// A decimal amount in whole minor units, exactly: no binary fraction comes in between.
fn minor_units(cell: &str, digits: u32) -> Result<i64, String> {
    let wrong = || format!("{cell:?} is not an amount with at most {digits} decimals, such as 12.5");
    let (sign, amount) = cell.strip_prefix('-').map_or((1, cell), |rest| (-1, rest));
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let part = part.trim_end_matches('0');
    let digits = digits as usize;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > digits || !all_digits(whole) || !all_digits(part) {
        return Err(wrong());
    }
    let units: i64 = format!("{whole}{part:0<digits$}").parse().map_err(|_| wrong())?;
    Ok(sign * units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, &str)]) -> Row {
        cells.iter().map(|(name, cell)| ((*name).to_owned(), (*cell).to_owned())).collect()
    }

    #[test]
    fn help_names_every_column() {
        let help = help();
        assert!([ITEM, EVENT, OFFER].concat().iter().all(|field| help.contains(field)), "{help}");
    }

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(minor_units("0.29", 2), Ok(29));
        assert_eq!(minor_units("-1.5", 2), Ok(-150));
        assert_eq!(minor_units("12.500", 2), Ok(1250));
        assert_eq!(minor_units("980", 0), Ok(980));
        for wrong in ["1.999", "", ".5", "1e3", "1,50", "９", "99999999999999999999"] {
            assert!(minor_units(wrong, 2).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_purchase_is_read_with_its_particulars() {
        let cells = [
            ("user_id", "7"),
            ("kind", "purchase"),
            ("item_id", "tea"),
            ("occurred_at", "2026-01-02"),
            ("revenue", "3.10"),
            ("currency", "usd"),
            ("shop", "north"),
        ];
        let event = event(row(&cells)).expect("read");
        let purchase = event.purchase.expect("purchase");
        assert_eq!(purchase.revenue, Some(Money { currency_code: "USD".into(), minor_units: 310 }));
        assert_eq!((event.kind, purchase.quantity), (EventKind::Purchase as i32, 1));
        assert_eq!(event.attributes["shop"], "north");
        assert_eq!(event.event_id.len(), 32, "made of the cells");
    }

    #[test]
    fn a_return_is_read_with_its_order_and_amount() {
        let cells = [
            ("user_id", "7"),
            ("kind", "return"),
            ("item_id", "tea"),
            ("order_id", "o-1"),
            ("quantity", "2"),
            ("amount", "3.10"),
            ("currency", "usd"),
            ("occurred_at", "2026-01-02"),
            ("offer_id", "five-off"),
        ];
        let event = event(row(&cells)).expect("read");
        let returned = event.product_return.expect("a return");
        assert_eq!((returned.order_id.as_str(), returned.quantity), ("o-1", 2));
        assert_eq!(returned.amount, Some(Money { currency_code: "USD".into(), minor_units: 310 }));
        assert_eq!((event.offer_id.as_str(), event.purchase), ("five-off", None));
    }

    #[test]
    fn a_flag_of_an_item_is_read_and_a_wrong_one_is_named() {
        let postage = row(&[("item_id", "p"), ("title", "Postage"), ("not_recommendable", "yes")]);
        assert!(item(postage).expect("read").not_recommendable);
        assert_eq!(item(row(&[("not_recommendable", "maybe")])).expect_err("refused").0, "not_recommendable");
    }

    #[test]
    fn a_wrong_cell_is_named() {
        assert_eq!(event(row(&[("kind", "stare")])).expect_err("refused").0, "kind");
        assert_eq!(item(row(&[("price", "3")])).expect_err("refused").0, "currency");
        assert_eq!(event(row(&[("occurred_at", "soon")])).expect_err("refused").0, "occurred_at");
    }
}
