//! Journeys as they are found in events.

use std::collections::{BTreeMap, BTreeSet};

use proto::common::v1::{Channel, EventKind};

use super::journeys::{Counts, Journeys};
use super::window::Window;
use crate::error::{Error, Result};
use crate::metric::fact::{DAY, Fact};

/// The kinds journeys are made of.
pub const KINDS: [EventKind; 4] =
    [EventKind::Impression, EventKind::Click, EventKind::OfferShown, EventKind::Purchase];

/// The journeys in `facts`, which are in order of time, seen through `window`, and the currency of their value.
///
/// A conversion is an order. Its journey is the person's clicks on any channel since the order before, inside the
/// window; where there is no click, what was shown in that time. Touches that no order followed inside the window are
/// journeys that did not convert, each at most as long as the window: converted and unconverted are cut alike.
pub fn journeys(facts: &[Fact], window: &Window) -> Result<(Journeys, String)> {
    let mut people: BTreeMap<&str, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        people.entry(&fact.unit).or_default().push(fact);
    }
    let currencies: BTreeSet<&str> =
        facts.iter().filter_map(|fact| fact.sale.as_ref()).map(|sale| sale.currency.as_str()).collect();
    if currencies.len() > 1 {
        let text = format!("conversions were paid in {currencies:?}; choose a span with one currency");
        return Err(Error::precondition("MIXED_CURRENCIES", text));
    }
    let mut found = Collector { journeys: Journeys::new(), window: *window };
    for facts in people.values() {
        let mut touches: Vec<&Fact> = Vec::new();
        let mut index = 0;
        while let Some(fact) = facts.get(index) {
            index += 1;
            let Some(sale) = &fact.sale else {
                if fact.channel != Channel::Unspecified && fact.kind != EventKind::Purchase {
                    touches.push(fact);
                }
                continue;
            };
            let mut value = sale.revenue as f64;
            while let Some(next) = facts.get(index).and_then(|fact| fact.sale.as_ref()) {
                if sale.order.is_empty() || next.order != sale.order {
                    break;
                }
                value += next.revenue as f64;
                index += 1;
            }
            let (stale, recent) =
                touches.split_at(touches.partition_point(|touch| !found.sees(touch, fact.at)));
            found.unconverted(stale)?;
            found.add(recent, fact.at, Counts { conversions: 1.0, value, nulls: 0.0 })?;
            touches.clear();
        }
        found.unconverted(&touches)?;
    }
    Ok((found.journeys, currencies.first().copied().unwrap_or_default().to_owned()))
}

struct Collector {
    journeys: Journeys,
    window: Window,
}

impl Collector {
    /// Whether `touch` lies inside the window that ends at `end`.
    fn sees(&self, touch: &Fact, end: i64) -> bool {
        self.window.days.is_none_or(|days| (end - touch.at) as f64 <= days * DAY as f64)
    }

    /// Touches in order of time that no order followed: a journey for each window they fill.
    fn unconverted(&mut self, mut touches: &[&Fact]) -> Result<()> {
        while let Some(first) = touches.first() {
            let (journey, later) =
                touches.split_at(touches.partition_point(|touch| self.sees(first, touch.at)));
            let end = journey.last().map_or(0, |touch| touch.at);
            self.add(journey, end, Counts { nulls: 1.0, ..Counts::default() })?;
            touches = later;
        }
        Ok(())
    }

    fn add(&mut self, touches: &[&Fact], end: i64, counts: Counts) -> Result<()> {
        let clicked = touches.iter().any(|touch| touch.kind == EventKind::Click);
        let (mut path, mut ages) = (Vec::new(), Vec::new());
        for touch in touches.iter().filter(|touch| !clicked || touch.kind == EventKind::Click) {
            path.push(self.journeys.channel(touch.channel.as_str_name())?);
            ages.push((end - touch.at) as f64 / DAY as f64);
        }
        let kept = self.window.kept(&path, &ages);
        let path: Vec<_> = kept.iter().map(|&place| path[place]).collect();
        let ages: Vec<_> = kept.iter().map(|&place| ages[place]).collect();
        self.journeys.push_known(&path, &ages, counts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{attribute, credit::Model};
    use crate::metric::fact::Sale;

    fn fact(unit: &str, kind: EventKind, day: i64, channel: Channel, revenue: Option<i64>) -> Fact {
        let sale = revenue.map(|revenue| Sale {
            order: "o".into(),
            currency: "USD".into(),
            revenue,
            cost: None,
            tax: None,
        });
        let (unit, at) = (unit.to_owned(), day * DAY);
        let none = String::new;
        Fact {
            unit,
            kind,
            at,
            channel,
            campaign: none(),
            decision: none(),
            offer: none(),
            sale,
            rating: None,
        }
    }

    #[test]
    fn lines_of_one_order_convert_once_and_old_touches_do_not_count() {
        use EventKind::{Click, Impression, Purchase};
        let facts = [
            fact("a", Click, 1, Channel::Email, None),
            fact("a", Click, 50, Channel::Push, None),
            fact("a", Impression, 51, Channel::Advert, None),
            fact("a", Purchase, 52, Channel::Web, Some(300)),
            fact("a", Purchase, 52, Channel::Web, Some(200)),
            fact("b", Impression, 3, Channel::Advert, None),
            fact("c", Purchase, 9, Channel::Web, Some(70)),
        ];
        let month = Window { days: Some(30.0), ..Window::default() };
        let (found, currency) = journeys(&facts, &month).expect("sound");
        assert_eq!((found.totals(), currency.as_str()), ((2.0, 570.0), "USD"));
        let credits = attribute(&found, Model::Linear).expect("shared").credits;
        let of = |name: &str| credits.iter().find(|c| c.channel == name).map(|c| (c.conversions, c.value));
        assert_eq!(of("CHANNEL_PUSH"), Some((1.0, 500.0)));
        assert_eq!(of("unmatched"), Some((1.0, 70.0)));
        assert_eq!(of("CHANNEL_EMAIL"), Some((0.0, 0.0)), "it is a journey of its own that did not convert");
        let nulls: Vec<f64> = found.rows().map(|row| row.counts.nulls).collect();
        assert_eq!(nulls, [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_year_of_touches_without_an_order_is_cut_as_a_converted_one_would_be() {
        let facts: Vec<Fact> =
            (0..12).map(|month| fact("a", EventKind::Click, 30 * month, Channel::Email, None)).collect();
        let quarter = Window { days: Some(89.0), ..Window::default() };
        let (found, _) = journeys(&facts, &quarter).expect("sound");
        let lengths: Vec<usize> = found.rows().map(|row| row.touches.len()).collect();
        assert_eq!(lengths, [3, 3, 3, 3]);
        let last = Window { steps: Some(2), ..quarter };
        let (found, _) = journeys(&facts, &last).expect("sound");
        assert!(found.rows().all(|row| row.touches.len() == 2));
    }
}
