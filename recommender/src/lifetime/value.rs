//! From orders to customers' summaries, and from the models to money.

use std::collections::BTreeMap;

use super::{BgNbd, GammaGamma, Order, Summary};

const DAY: i64 = 86_400;
/// Days a month has on average.
const MONTH: f64 = 365.0 / 12.0;

/// Each customer's summary at `until` (seconds since 1970), times in units of `unit` days.
///
/// As is usual for these models, days are whole, all of a day is one purchase, and later orders are left out.
pub fn summaries(orders: &[Order], until: i64, unit: f64) -> Vec<Summary> {
    let mut days: BTreeMap<&str, BTreeMap<i64, f64>> = BTreeMap::new();
    let last = until.div_euclid(DAY);
    for order in orders.iter().filter(|order| order.at.div_euclid(DAY) <= last) {
        *days.entry(&order.customer).or_default().entry(order.at.div_euclid(DAY)).or_default() += order.value;
    }
    let one = |(id, days): (&str, BTreeMap<i64, f64>)| {
        let (first, newest) = (*days.first_key_value()?.0, *days.last_key_value()?.0);
        let repeats = days.len() as f64 - 1.0;
        let value: f64 = days.values().skip(1).sum();
        Some(Summary {
            id: id.to_owned(),
            frequency: repeats,
            recency: (newest - first) as f64 / unit,
            age: (last - first) as f64 / unit,
            monetary: if repeats > 0.0 { value / repeats } else { 0.0 },
        })
    };
    days.into_iter().filter_map(one).collect()
}

/// What the customer brings within `months`, each month's share discounted by `discount` a month.
///
/// `unit` is how many days a unit of the model's time has.
pub fn lifetime_value(
    (model, values): (&BgNbd, &GammaGamma),
    one: &Summary,
    months: u32,
    discount: f64,
    unit: f64,
) -> f64 {
    let until = |month: u32| model.expected_purchases(one, f64::from(month) * MONTH / unit);
    let (mut sum, mut before) = (0.0, 0.0);
    for month in 1..=months {
        let bought = until(month);
        sum += (bought - before) / (1.0 + discount).powf(f64::from(month));
        before = bought;
    }
    sum * values.expected_value(one)
}
