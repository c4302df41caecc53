//! Journeys as they are found in events.

use std::collections::{BTreeMap, BTreeSet};

use proto::common::v1::{Channel, EventKind};

use super::journeys::Journeys;
use crate::error::{Error, Result};
use crate::metric::fact::{DAY, Fact};

/// The kinds journeys are made of.
pub const KINDS: [EventKind; 4] =
    [EventKind::Impression, EventKind::Click, EventKind::OfferShown, EventKind::Purchase];

/// The journeys in `facts`, which are in order of time, and the currency of their value.
///
/// A conversion is an order. Its journey is the person's clicks on any channel since the order before, at most
/// `lookback_days` old; where there is no click, what was shown in that time. Touches after the last order, or of a
/// person who never ordered, are a journey that did not convert.
pub fn journeys(facts: &[Fact], lookback_days: u32) -> Result<(Journeys, String)> {
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
    let lookback = i64::from(lookback_days) * DAY;
    let mut found = Journeys::new();
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
            add(&mut found, &touches, Some((fact.at, lookback)), value)?;
            touches.clear();
        }
        if !touches.is_empty() {
            add(&mut found, &touches, None, 0.0)?;
        }
    }
    Ok((found, currencies.first().copied().unwrap_or_default().to_owned()))
}

/// Adds one journey: converted at a moment with a lookback, or not at all.
fn add(found: &mut Journeys, touches: &[&Fact], converted: Option<(i64, i64)>, value: f64) -> Result<()> {
    let recent: Vec<&&Fact> = touches
        .iter()
        .filter(|touch| converted.is_none_or(|(at, lookback)| touch.at >= at - lookback))
        .collect();
    let clicked = recent.iter().any(|touch| touch.kind == EventKind::Click);
    let end = converted.map_or_else(|| recent.last().map_or(0, |touch| touch.at), |(at, _)| at);
    let mut path = Vec::new();
    for touch in recent.iter().filter(|touch| !clicked || touch.kind == EventKind::Click) {
        path.push((found.channel(touch.channel.as_str_name())?, (end - touch.at) as f64 / DAY as f64));
    }
    let (conversions, nulls) = if converted.is_some() { (1.0, 0.0) } else { (0.0, 1.0) };
    found.push_timed(&path, conversions, value, nulls);
    Ok(())
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
        let (found, currency) = journeys(&facts, 30).expect("sound");
        assert_eq!((found.totals(), currency.as_str()), ((2.0, 570.0), "USD"));
        let credits = attribute(&found, Model::Linear).credits;
        let of = |name: &str| credits.iter().find(|c| c.channel == name).map(|c| (c.conversions, c.value));
        assert_eq!(of("CHANNEL_PUSH"), Some((1.0, 500.0)));
        assert_eq!(of("unmatched"), Some((1.0, 70.0)));
        assert_eq!(of("CHANNEL_EMAIL"), None);
    }
}
