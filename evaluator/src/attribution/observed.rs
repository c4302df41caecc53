//! Journeys as they are found in events.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proto::common::v1::{Channel, EventKind};

use super::journeys::{Counts, Journeys};
use super::window::Window;
use crate::error::{Error, Result};
use crate::metric::fact::{DAY, Fact, Sale};

/// Which events make journeys, and which of them are asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Conversions from this moment on, microseconds since 1970; `None`: from the start.
    pub from: Option<i64>,
    /// Moment up to which events are known.
    pub until: i64,
    /// Days after a touch in which a conversion counts.
    pub conversion_days: u32,
    /// Whether impressions are touches.
    pub impressions: bool,
}

/// The journeys of a span.
#[derive(Debug)]
pub struct Observed {
    /// The journeys.
    pub journeys: Journeys,
    /// Currency of their value; empty: nothing was bought.
    pub currency: String,
    /// Unconverted journeys left out because they had no time to convert.
    pub censored: u64,
}

impl Span {
    /// The kinds of event to read.
    pub fn kinds(&self) -> &'static [EventKind] {
        use EventKind::{Click, Impression, OfferShown, Purchase, Return};
        if self.impressions {
            &[Click, Purchase, Return, Impression, OfferShown]
        } else {
            &[Click, Purchase, Return]
        }
    }

    /// The first moment whose events are read: touches up to `lookback` days before the span count.
    pub fn read_from(&self, lookback: Option<f64>) -> Option<i64> {
        self.from.map(|from| from.saturating_sub((lookback.unwrap_or(0.0) * DAY as f64) as i64))
    }
}

/// Finds the journeys in `facts`, which are in order of time and begin at [`Span::read_from`]. Where `asked` names a
/// currency, orders paid in another one end a journey but are counted neither as conversions nor as their lack.
///
/// A conversion is an order whose first line was bought in the span; its value is net of returns. Its journey is the
/// unit's touches since the order before, inside the window; it counts where the last of them is at most the conversion
/// window old, and otherwise nothing led to it. Touches that no order followed are journeys that did not convert, each at
/// most as long as the window: converted and unconverted are cut alike. Of those, journeys that end before the span
/// belong to another, and those whose conversion window is not over are censored. Which kinds of event are touches does
/// not depend on what followed them.
pub fn journeys(facts: &[Fact], window: &Window, span: &Span, asked: &str) -> Result<Observed> {
    let mut people: BTreeMap<&str, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        people.entry(&fact.unit).or_default().push(fact);
    }
    let mut currencies: BTreeSet<&str> = BTreeSet::new();
    let mut found = Collector { journeys: Journeys::new(), window: *window, span: *span, censored: 0 };
    for facts in people.values() {
        let sales = || facts.iter().filter_map(|fact| fact.sale.as_ref());
        let mut worth: HashMap<(&str, &str), i64> = HashMap::new();
        for sale in sales().filter(|sale| !sale.order.is_empty()) {
            let value = worth.entry((&sale.order, &sale.currency)).or_default();
            *value = value.saturating_add(sale.revenue);
        }
        let (mut seen, mut touches): (HashSet<&str>, Vec<&Fact>) = (HashSet::new(), Vec::new());
        for fact in facts {
            let Some(sale) = &fact.sale else {
                if fact.channel != Channel::Unspecified && found.is_touch(fact.kind) {
                    touches.push(fact);
                }
                continue;
            };
            let first = sale.order.is_empty() || seen.insert(&sale.order);
            if sale.is_return() || !first {
                continue;
            }
            let is_asked_for = asked.is_empty() || sale.currency == asked;
            if is_asked_for && span.from.is_none_or(|from| fact.at >= from) {
                currencies.insert(&sale.currency);
                let value = worth.get(&key(sale)).copied().unwrap_or(sale.revenue);
                found.converted(&touches, fact.at, value)?;
            } else {
                let stale = touches.partition_point(|touch| !found.sees(touch, fact.at));
                found.unconverted(&touches[..stale])?;
            }
            touches.clear();
        }
        found.unconverted(&touches)?;
    }
    if currencies.len() > 1 {
        let text = format!("conversions were paid in {currencies:?}; set currency_code to one of them");
        return Err(Error::precondition("MIXED_CURRENCIES", text));
    }
    let currency = currencies.first().copied().unwrap_or(asked).to_owned();
    Ok(Observed { journeys: found.journeys, currency, censored: found.censored })
}

fn key(sale: &Sale) -> (&str, &str) {
    (&sale.order, &sale.currency)
}

struct Collector {
    journeys: Journeys,
    window: Window,
    span: Span,
    censored: u64,
}

impl Collector {
    fn is_touch(&self, kind: EventKind) -> bool {
        let shown = matches!(kind, EventKind::Impression | EventKind::OfferShown);
        kind == EventKind::Click || (shown && self.span.impressions)
    }

    /// Whether `touch` lies inside the window that ends at `end`.
    fn sees(&self, touch: &Fact, end: i64) -> bool {
        self.window.days.is_none_or(|days| (end - touch.at) as f64 <= days * DAY as f64)
    }

    fn conversion_window(&self) -> i64 {
        i64::from(self.span.conversion_days) * DAY
    }

    /// An order at `at` after `touches`, in order of time.
    fn converted(&mut self, touches: &[&Fact], at: i64, value: i64) -> Result<()> {
        let counts = Counts { conversions: 1.0, value: value as f64, nulls: 0.0 };
        let led = touches.last().is_some_and(|last| at - last.at <= self.conversion_window());
        let (stale, recent) = if led {
            touches.split_at(touches.partition_point(|touch| !self.sees(touch, at)))
        } else {
            (touches, &[][..])
        };
        self.unconverted(stale)?;
        self.add(recent, at, counts)
    }

    /// Touches in order of time that no order followed in time: a journey for each window they fill.
    fn unconverted(&mut self, mut touches: &[&Fact]) -> Result<()> {
        while let Some(first) = touches.first() {
            let (journey, later) =
                touches.split_at(touches.partition_point(|touch| self.sees(first, touch.at)));
            touches = later;
            let end = journey.last().map_or(0, |touch| touch.at);
            if self.span.from.is_some_and(|from| end < from) {
                continue;
            }
            if self.span.until - end < self.conversion_window() {
                self.censored += 1;
                continue;
            }
            self.add(journey, end, Counts { nulls: 1.0, ..Counts::default() })?;
        }
        Ok(())
    }

    fn add(&mut self, touches: &[&Fact], end: i64, counts: Counts) -> Result<()> {
        let (mut path, mut ages) = (Vec::new(), Vec::new());
        for touch in touches {
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

    fn fact(unit: &str, kind: EventKind, day: i64, channel: Channel, sale: Option<(&str, i64)>) -> Fact {
        let returned = kind == EventKind::Return;
        let sale = sale.map(|(order, revenue)| Sale {
            order: order.into(),
            item: "i".into(),
            quantity: if returned { -1 } else { 1 },
            currency: "USD".into(),
            revenue: if returned { -revenue } else { revenue },
            ..Sale::default()
        });
        let (unit, at) = (unit.to_owned(), day * DAY);
        let none = String::new;
        Fact {
            unit,
            kind,
            at,
            day: day as i32,
            channel,
            campaign: none(),
            decision: none(),
            offer: none(),
            sale,
            rating: None,
        }
    }

    const ALL: Span = Span { from: None, until: 1_000 * DAY, conversion_days: 7, impressions: false };

    fn month() -> Window {
        Window { days: Some(30.0), ..Window::default() }
    }

    fn credit(found: &Observed, channel: &str) -> Option<(f64, f64)> {
        let credits = attribute(&found.journeys, Model::Linear).expect("shared").credits;
        credits.iter().find(|c| c.channel == channel).map(|c| (c.conversions, c.value))
    }

    #[test]
    fn lines_of_one_order_convert_once_and_old_touches_do_not_count() {
        use EventKind::{Click, Impression, Purchase, Return};
        let facts = [
            fact("a", Click, 1, Channel::Email, None),
            fact("a", Click, 50, Channel::Push, None),
            fact("a", Impression, 51, Channel::Advert, None),
            fact("a", Purchase, 52, Channel::Web, Some(("o", 300))),
            fact("a", Purchase, 52, Channel::Web, Some(("o", 200))),
            fact("a", Return, 60, Channel::Unspecified, Some(("o", 70))),
            fact("b", Impression, 3, Channel::Advert, None),
            fact("c", Purchase, 9, Channel::Web, Some(("p", 70))),
        ];
        let found = journeys(&facts, &month(), &ALL, "").expect("sound");
        assert_eq!((found.journeys.totals(), found.currency.as_str()), ((2.0, 500.0), "USD"));
        assert_eq!(credit(&found, "CHANNEL_PUSH"), Some((1.0, 430.0)), "net of the return");
        assert_eq!(credit(&found, "unmatched"), Some((1.0, 70.0)));
        assert_eq!(
            credit(&found, "CHANNEL_EMAIL"),
            Some((0.0, 0.0)),
            "a journey of its own without conversion"
        );
        assert_eq!(credit(&found, "CHANNEL_ADVERT"), None, "impressions are no touches unless asked for");
        let nulls: Vec<f64> = found.journeys.rows().map(|row| row.counts.nulls).collect();
        assert_eq!(nulls, [1.0, 0.0, 0.0]);
    }

    #[test]
    fn impressions_are_touches_of_converted_and_unconverted_journeys_alike() {
        use EventKind::{Click, Impression, Purchase};
        let facts = [
            fact("a", Click, 1, Channel::Email, None),
            fact("a", Impression, 2, Channel::Advert, None),
            fact("a", Purchase, 3, Channel::Web, Some(("o", 300))),
            fact("b", Click, 1, Channel::Email, None),
            fact("b", Impression, 2, Channel::Advert, None),
        ];
        for (impressions, length) in [(false, 1), (true, 2)] {
            let found = journeys(&facts, &month(), &Span { impressions, ..ALL }, "").expect("sound");
            assert!(found.journeys.rows().all(|row| row.touches.len() == length), "{impressions}");
        }
    }

    #[test]
    fn touches_before_the_span_count_and_conversions_before_it_do_not() {
        use EventKind::{Click, Purchase};
        let facts = [
            fact("a", Click, 96, Channel::Email, None),
            fact("a", Purchase, 101, Channel::Web, Some(("o", 300))),
            fact("b", Click, 90, Channel::Push, None),
            fact("b", Purchase, 95, Channel::Web, Some(("p", 500))),
            fact("c", Click, 80, Channel::Push, None),
        ];
        let span = Span { from: Some(100 * DAY), until: 200 * DAY, ..ALL };
        assert_eq!(span.read_from(month().days), Some(70 * DAY));
        let found = journeys(&facts, &month(), &span, "").expect("sound");
        assert_eq!(found.journeys.totals(), (1.0, 300.0));
        assert_eq!(credit(&found, "CHANNEL_EMAIL"), Some((1.0, 300.0)));
        assert_eq!((found.journeys.len(), found.censored), (1, 0), "b and c ended before the span");
    }

    #[test]
    fn a_shop_with_two_currencies_is_attributed_one_currency_at_a_time() {
        use EventKind::{Click, Purchase};
        let mut facts = vec![
            fact("a", Click, 1, Channel::Email, None),
            fact("a", Purchase, 2, Channel::Web, Some(("o", 300))),
            fact("a", Purchase, 3, Channel::Web, Some(("p", 500))),
        ];
        if let Some(sale) = &mut facts[2].sale {
            sale.currency = "EUR".into();
        }
        let refused = journeys(&facts, &month(), &ALL, "").expect_err("two currencies").to_string();
        assert!(refused.contains("currency_code"), "{refused}");
        let found = |currency: &str| {
            let found = journeys(&facts, &month(), &ALL, currency).expect("one currency");
            (found.journeys.totals(), credit(&found, "CHANNEL_EMAIL"), found.currency)
        };
        assert_eq!(found("USD"), ((1.0, 300.0), Some((1.0, 300.0)), "USD".to_owned()));
        assert_eq!(found("EUR"), ((1.0, 500.0), None, "EUR".to_owned()), "the click led to the order before");
    }

    #[test]
    fn journeys_without_time_to_convert_are_censored() {
        use EventKind::{Click, Purchase};
        let facts = [
            fact("old", Click, 92, Channel::Email, None),
            fact("exact", Click, 93, Channel::Email, None),
            fact("young", Click, 94, Channel::Email, None),
            fact("bought", Click, 95, Channel::Email, None),
            fact("bought", Purchase, 96, Channel::Web, Some(("o", 10))),
            fact("late", Click, 50, Channel::Email, None),
            fact("late", Purchase, 58, Channel::Web, Some(("p", 10))),
        ];
        let found = journeys(&facts, &month(), &Span { until: 100 * DAY, ..ALL }, "").expect("sound");
        let nulls: f64 = found.journeys.counts().iter().map(|counts| counts.nulls).sum();
        assert_eq!((found.censored, nulls), (1, 3.0), "old, exact, and late's touch did not convert in time");
        assert_eq!(credit(&found, "CHANNEL_EMAIL"), Some((1.0, 10.0)));
        assert_eq!(credit(&found, "unmatched"), Some((1.0, 10.0)));
    }

    #[test]
    fn a_year_of_touches_without_an_order_is_cut_as_a_converted_one_would_be() {
        let facts: Vec<Fact> =
            (0..12).map(|month| fact("a", EventKind::Click, 30 * month, Channel::Email, None)).collect();
        let quarter = Window { days: Some(89.0), ..Window::default() };
        let lengths = |window: &Window| -> Vec<usize> {
            journeys(&facts, window, &ALL, "")
                .expect("sound")
                .journeys
                .rows()
                .map(|row| row.touches.len())
                .collect()
        };
        assert_eq!(lengths(&quarter), [3, 3, 3, 3]);
        assert!(lengths(&Window { steps: Some(2), ..quarter }).iter().all(|length| *length == 2));
    }
}
