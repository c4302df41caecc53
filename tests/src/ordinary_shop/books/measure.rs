//! Metrics and attribution as the books have them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use chrono::{Days, NaiveDate};
use proto::common::v1::{Event, EventKind};

use super::{Books, Line, channel, day, line, second};

/// Metric, day of the shop and currency (empty but for money).
pub type Key = (String, NaiveDate, String);

/// Pieces of each line, by order and item.
type Pieces = BTreeMap<(String, String), i64>;

/// Numerator and denominator of one ratio.
#[derive(Debug, Clone, Copy, Default)]
struct Ratio {
    above: f64,
    below: f64,
}

/// Conversions of one currency, as the last touch has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LastTouch {
    /// Orders by the channel of the click before them; "unmatched" where there was none.
    pub conversions: BTreeMap<String, f64>,
    /// Sum of the orders' value, minor units.
    pub value: f64,
}

impl Books {
    /// The metrics of each day that have a value.
    pub fn metrics(&self) -> BTreeMap<Key, f64> {
        let mut sums: BTreeMap<Key, Ratio> = BTreeMap::new();
        let mut add = |metric: &str, day: NaiveDate, currency: &str, above: f64, below: f64| {
            let ratio = sums.entry((metric.to_owned(), day, currency.to_owned())).or_default();
            ratio.above += above;
            ratio.below += below;
        };
        let uncosted: BTreeSet<(String, String)> = self
            .all()
            .filter_map(|(_, entry)| Some((line(&entry.event)?, entry.event.item_id.clone())))
            .filter(|(line, _)| line.pieces > 0 && line.profit.is_none())
            .map(|(line, item)| (line.order, item))
            .collect();
        // Of each person and day: whether anything was seen, and whether anything was bought.
        let mut visits: BTreeMap<(NaiveDate, String), (bool, bool)> = BTreeMap::new();
        // Of each person and day, by currency: pieces of each line bought, less those returned on the same day.
        let mut pieces: BTreeMap<(NaiveDate, String, String), Pieces> = BTreeMap::new();
        for (person, entry) in self.all() {
            let (event, day) = (&entry.event, day(&entry.event));
            let visit = visits.entry((day, person.to_owned())).or_default();
            match event.kind() {
                EventKind::Impression => add("CTR", day, "", 0.0, 1.0),
                EventKind::Click => add("CTR", day, "", 1.0, 0.0),
                EventKind::Rating => add("PRODUCT_RATING", day, "", event.rating.unwrap_or_default(), 1.0),
                EventKind::Survey => add("SATISFACTION", day, "", event.rating.unwrap_or_default(), 1.0),
                EventKind::Purchase => visit.1 = true,
                _ => {}
            }
            visit.0 |= matches!(event.kind(), EventKind::Impression | EventKind::View | EventKind::Click);
            if let Some(line) = line(event) {
                add("REVENUE", day, &line.currency, line.revenue as f64, 1.0);
                // A return recovers no cost it does not state; a line of unknown cost counts neither bought nor returned.
                let is_left_out =
                    line.pieces > 0 || uncosted.contains(&(line.order.clone(), event.item_id.clone()));
                let profit = line.profit.unwrap_or(if is_left_out { 0 } else { line.net });
                add("PROFIT", day, &line.currency, profit as f64, 1.0);
                add("AOV", day, &line.currency, line.revenue as f64, 0.0);
                let lines = pieces.entry((day, person.to_owned(), line.currency)).or_default();
                *lines.entry((line.order, event.item_id.clone())).or_default() += line.pieces;
            }
        }
        for ((day, _), (seen, bought)) in visits {
            if seen {
                add("CR", day, "", f64::from(u8::from(bought)), 1.0);
            }
        }
        for ((day, _, currency), lines) in pieces {
            let kept = lines.into_iter().filter(|(_, pieces)| *pieces > 0);
            let orders: BTreeSet<String> = kept.map(|((order, _), _)| order).collect();
            add("AOV", day, &currency, 0.0, orders.len() as f64);
        }
        let value = |((metric, day, currency), Ratio { above, below }): (Key, Ratio)| {
            let total = metric == "REVENUE" || metric == "PROFIT";
            let value = if total { above } else { above / below };
            ((metric, day, currency), value)
        };
        sums.into_iter().filter(|(_, ratio)| ratio.below > 0.0).map(value).collect()
    }

    /// Share of the people first seen in `span` who were seen again `days` days after that day, of those for whom that
    /// day was over at the span's end; and their number.
    pub fn retention(&self, span: Range<i64>, days: u32) -> (f64, u64) {
        let (mut units, mut returned) = (0_u64, 0_u64);
        for events in self.by_person().values() {
            // A return is booked by the shop; it is no sign that the person was there.
            let own = events
                .iter()
                .filter(|event| event.kind() != EventKind::Return && span.contains(&second(event)));
            let seen: BTreeSet<NaiveDate> = own.map(|event| day(event)).collect();
            let Some(first) = seen.first() else { continue };
            let Some(again) = first.checked_add_days(Days::new(days.into())) else { continue };
            if again < super::local_day(span.end) {
                units += 1;
                returned += u64::from(seen.contains(&again));
            }
        }
        (returned as f64 / units as f64, units)
    }

    /// Orders paid in each currency and the channel of the last click before each since the person's order before.
    pub fn last_touch(&self) -> BTreeMap<String, LastTouch> {
        let mut found: BTreeMap<String, LastTouch> = BTreeMap::new();
        let mut returned: HashMap<(String, String), i64> = HashMap::new();
        let mut people: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for (person, entry) in self.all() {
            people.entry(person).or_default().push(&entry.event);
            if let Some(line) = line(&entry.event).filter(|line| line.pieces < 0) {
                *returned.entry((person.to_owned(), line.order)).or_default() += line.revenue;
            }
        }
        for (person, mut events) in people {
            events.sort_by_key(|event| (second(event), event.event_id.clone()));
            let mut clicked: Option<String> = None;
            let mut orders: BTreeSet<String> = BTreeSet::new();
            for event in events {
                if event.kind() == EventKind::Click {
                    clicked = Some(channel(event).as_str_name().to_owned());
                }
                let Some(Line { order, currency, revenue, .. }) = line(event).filter(|line| line.pieces > 0)
                else {
                    continue;
                };
                let totals = found.entry(currency).or_default();
                totals.value += revenue as f64;
                if orders.insert(order.clone()) {
                    let name = clicked.take().unwrap_or_else(|| "unmatched".to_owned());
                    *totals.conversions.entry(name).or_default() += 1.0;
                    let back = returned.get(&(person.to_owned(), order)).copied().unwrap_or(0);
                    totals.value += back as f64;
                }
            }
        }
        found
    }
}
