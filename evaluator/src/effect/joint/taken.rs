//! What an offer takes of a purchase.
//!
//! Nearly all of it follows from the terms once it is known what people spend. What does not is little: that a discount
//! is not always redeemed, or that people buy more under it; and that a purchase a little short of a least spend may be
//! filled up to it, the likelier the less is missing. So what was taken is regressed, arm by arm, on what the terms would
//! take of the purchases expected, and on what they would take more were those filled up that lack so much: a line of one
//! to four coefficients with a normal prior around the terms themselves, which a few purchases leave where it is.

use boost::linear::Cholesky;
use proto::common::v1::Offer;
use serde::{Deserialize, Serialize};

use crate::strategy::terms;

/// Standard deviation, around 1, of the share of the terms that is taken.
const REDEEMED: f64 = 0.1;
/// The same, around 0, of the shares of purchases a little short that are filled up.
const FILLED: f64 = 0.5;
/// How far short of a least spend purchases are told apart, of what they are worth; who lacks more does not fill up.
const SHORT: [f64; 3] = [0.1, 0.2, 0.4];
/// Times the line is solved, each time by the noise around the last.
const ROUNDS: usize = 3;

/// The arms but the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Taken {
    arms: Vec<Arm>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Arm {
    terms: Offer,
    /// The share of the terms that is taken, then the shares filled up of what lacks little, by how little.
    shares: Vec<f64>,
}

/// What lies short of a least spend by so much, on average over purchases.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Short {
    /// What would be taken if it were filled up.
    takes: f64,
    /// What would be added to it.
    lacks: f64,
}

impl Taken {
    /// Learns it from purchases, each told by its arm and by what was taken; `spends` tells what one would be worth without
    /// an offer.
    pub(super) fn fit(
        terms: Vec<Offer>,
        purchases: impl Iterator<Item = (usize, f64)>,
        spends: impl Fn(usize) -> Vec<f64>,
    ) -> Self {
        let mut rows: Vec<Vec<(Vec<f64>, f64)>> = vec![Vec::new(); terms.len()];
        for (purchase, (arm, taken)) in purchases.enumerate().filter(|(_, (arm, _))| *arm > 0) {
            rows[arm - 1].push((columns(&terms[arm - 1], &spends(purchase)), taken));
        }
        let arm = |(terms, rows): (Offer, Vec<_>)| {
            let shares = solve(&rows, columns(&terms, &[1.0]).len());
            Arm { terms, shares }
        };
        Self { arms: terms.into_iter().zip(rows).map(arm).collect() }
    }

    /// How many there are, the control among them.
    pub(super) fn arms(&self) -> usize {
        self.arms.len() + 1
    }

    /// What is taken on average of a purchase that is equally likely one of `spends`. No offer takes nothing, and none adds
    /// to an amount.
    pub(super) fn mean(&self, spends: &[f64], arm: usize) -> f64 {
        let Some(Arm { terms, shares }) = arm.checked_sub(1).map(|arm| &self.arms[arm]) else { return 0.0 };
        dot(shares, &columns(terms, spends)).clamp(0.0, self.most(terms, spends, arm).max(0.0))
    }

    /// The most the terms can take of that purchase.
    fn most(&self, offer: &Offer, spends: &[f64], arm: usize) -> f64 {
        let amount = offer.amount_off.as_ref().map_or(0.0, |amount| amount.minor_units as f64);
        offer.percent_off.unwrap_or(0.0) / 100.0 * self.worth(spends, arm) + amount
    }

    /// What that purchase is worth before the discount.
    pub(super) fn worth(&self, spends: &[f64], arm: usize) -> f64 {
        let mean = spends.iter().sum::<f64>() / spends.len() as f64;
        let Some(Arm { terms, shares }) = arm.checked_sub(1).map(|arm| &self.arms[arm]) else { return mean };
        let filled = shares.iter().skip(1).zip(short(terms, spends));
        mean + filled.map(|(share, short)| share.clamp(0.0, 1.0) * short.lacks).sum::<f64>()
    }
}

/// What the terms take of a purchase worth so much.
pub(super) fn takes(offer: &Offer, worth: f64) -> f64 {
    terms::discount(offer, worth.round() as i64) as f64
}

/// What the terms would take, and what they would take more by what lacks little.
fn columns(offer: &Offer, spends: &[f64]) -> Vec<f64> {
    let taken = spends.iter().map(|spend| takes(offer, *spend)).sum::<f64>() / spends.len() as f64;
    std::iter::once(taken).chain(short(offer, spends).into_iter().map(|short| short.takes)).collect()
}

/// What lies short of an offer's least spend, by how far; nothing where it asks for none.
fn short(offer: &Offer, spends: &[f64]) -> Vec<Short> {
    let (least, count) = (terms::least_spend(offer) as f64, spends.len() as f64);
    if least <= 0.0 {
        return Vec::new();
    }
    let mut found = vec![Short::default(); SHORT.len()];
    for spend in spends.iter().filter(|spend| spend.round() < least) {
        let lacks = least - spend;
        if let Some(at) = SHORT.iter().position(|most| lacks <= most * spend) {
            found[at].takes += takes(offer, least) / count;
            found[at].lacks += lacks / count;
        }
    }
    found
}

/// The posterior mode.
fn solve(rows: &[(Vec<f64>, f64)], width: usize) -> Vec<f64> {
    let prior = |column: usize| if column == 0 { (1.0, REDEEMED) } else { (0.0, FILLED) };
    let mut shares: Vec<f64> = (0..width).map(|column| prior(column).0).collect();
    for _ in 0..ROUNDS {
        let missed = rows.iter().map(|(x, taken)| (taken - dot(x, &shares)).powi(2)).sum::<f64>();
        // Amounts are whole minor units.
        let noise = (missed / rows.len().max(1) as f64).max(1.0);
        let (mut products, mut goal) = (vec![0.0; width * width], vec![0.0; width]);
        for i in 0..width {
            let (mean, deviation) = prior(i);
            products[i * width + i] = noise / (deviation * deviation);
            goal[i] = mean * products[i * width + i];
        }
        for (x, taken) in rows {
            for i in 0..width {
                goal[i] += x[i] * taken;
                (0..width).for_each(|j| products[i * width + j] += x[i] * x[j]);
            }
        }
        let Some(root) = Cholesky::new(&products, width) else { break };
        shares = root.solve(&goal);
    }
    shares
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
