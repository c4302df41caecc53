//! Recency, frequency and monetary value, each scored 1 to 5 by fifths of the customers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Order;

const DAY: i64 = 86_400;
const FIFTHS: usize = 5;

/// A customer's numbers and scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rfm {
    /// The customer.
    pub id: String,
    /// Whole days since the last order.
    pub recency: i64,
    /// Orders.
    pub frequency: usize,
    /// Value of all orders.
    pub monetary: f64,
    /// 5: of the fifth that bought last.
    #[serde(rename = "R")]
    pub r: usize,
    /// 5: of the fifth that buys most often.
    #[serde(rename = "F")]
    pub f: usize,
    /// 5: of the fifth that spends most.
    #[serde(rename = "M")]
    pub m: usize,
}

/// Scores everyone at `snapshot` (seconds since 1970), in order of customer; of equals the first in that order
/// has the lower rank.
pub fn rfm(orders: &[Order], snapshot: i64) -> Vec<Rfm> {
    let mut of: BTreeMap<(u64, &str), (i64, BTreeSet<&str>, f64)> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.at < snapshot) {
        // Numbers in order of number, names after them in order of name.
        let number = order.customer.parse().unwrap_or(u64::MAX);
        let one = of.entry((number, &order.customer)).or_insert((i64::MIN, BTreeSet::new(), 0.0));
        one.0 = one.0.max(order.at);
        one.1.insert(&order.order);
        one.2 += order.value;
    }
    let mut all: Vec<Rfm> = of
        .into_iter()
        .map(|((_, id), (last, orders, monetary))| Rfm {
            id: id.to_owned(),
            recency: (snapshot - last) / DAY,
            frequency: orders.len(),
            monetary,
            r: 0,
            f: 0,
            m: 0,
        })
        .collect();
    let fifths = |key: &dyn Fn(&Rfm) -> f64| {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|a, b| key(&all[*a]).total_cmp(&key(&all[*b])));
        let mut fifth = vec![0; all.len()];
        for (rank, one) in order.into_iter().enumerate() {
            fifth[one] = ((rank + 1) * FIFTHS).div_ceil(all.len());
        }
        fifth
    };
    let r = fifths(&|one| -(one.recency as f64));
    let f = fifths(&|one| one.frequency as f64);
    let m = fifths(&|one| one.monetary);
    for (place, one) in all.iter_mut().enumerate() {
        (one.r, one.f, one.m) = (r[place], f[place], m[place]);
    }
    all
}
