//! Decisions joined with what answered them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::common::v1::{Channel, EventKind, Offer};

use super::NONE;
use super::moment::with_moment;
use super::train::Outcome;
use crate::strategy::terms;

/// A decision as it was logged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decided {
    /// Its id.
    pub decision_id: String,
    /// Pseudonym of the person, or of the visitor.
    pub unit: String,
    /// When, microseconds since 1970.
    pub at: i64,
    /// The offer; empty: none.
    pub offer_id: String,
    /// Probability with which it was chosen, above 0.
    pub propensity: f64,
    /// Where.
    pub channel: Channel,
    /// Which side was shown.
    pub angle: String,
    /// What it was chosen by.
    pub features: BTreeMap<String, f64>,
    /// The plan that decided.
    pub plan_id: String,
}

/// An event that answers a decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The decision.
    pub decision_id: String,
    /// What happened.
    pub kind: EventKind,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Of a purchase: revenue, cost and tax, minor units.
    pub sale: Option<(i64, Option<i64>, i64)>,
    /// Its currency.
    pub currency: String,
    /// Of a redemption: the discount given, where it was told.
    pub discount: Option<i64>,
}

/// Discount given on a decision with `offer`: what redemptions say, else what its terms took off the purchases.
pub fn spend(offer: Option<&Offer>, answers: &[&Answer]) -> i64 {
    let redeemed = || answers.iter().filter(|answer| answer.kind == EventKind::OfferRedeemed);
    let told: Vec<i64> = redeemed().filter_map(|answer| answer.discount).collect();
    if !told.is_empty() {
        return told.iter().sum();
    }
    let paid: i64 = answers
        .iter()
        .filter(|answer| answer.kind == EventKind::Purchase)
        .filter_map(|answer| answer.sale.map(|(revenue, ..)| revenue))
        .sum();
    offer.filter(|_| paid > 0).map_or(0, |offer| terms::discount_within(offer, paid))
}

/// The joined log in order of time, and the currencies of its sales. `target` is the kind of event that is a hit.
pub fn join(
    decided: Vec<Decided>,
    answers: &[Answer],
    target: EventKind,
    offers: &BTreeMap<String, Offer>,
) -> (Vec<Outcome>, BTreeSet<String>) {
    let mut by_decision: HashMap<&str, Vec<&Answer>> = HashMap::new();
    let mut currencies = BTreeSet::new();
    for answer in answers {
        by_decision.entry(&answer.decision_id).or_default().push(answer);
        if answer.sale.is_some() {
            currencies.insert(answer.currency.clone());
        }
    }
    let flag = |answers: &[&Answer], kind: EventKind| {
        f64::from(u8::from(answers.iter().any(|answer| answer.kind == kind)))
    };
    let outcome = |decided: Decided| {
        let mine = by_decision.get(decided.decision_id.as_str()).map_or(&[][..], Vec::as_slice);
        let sales = || mine.iter().filter_map(|answer| answer.sale);
        let spend = spend(offers.get(&decided.offer_id), mine);
        Outcome {
            hit: flag(mine, target),
            bought: flag(mine, EventKind::Purchase),
            revenue: sales().map(|(revenue, ..)| revenue as f64).sum(),
            profit: sales()
                .filter_map(|(revenue, cost, tax)| cost.map(|cost| (revenue - tax - cost) as f64))
                .sum(),
            spend: if decided.offer_id.is_empty() { 0.0 } else { spend as f64 },
            action: if decided.offer_id.is_empty() { NONE.to_owned() } else { decided.offer_id },
            propensity: decided.propensity,
            features: with_moment(decided.features, decided.channel, decided.at),
            unit: decided.unit,
            at: decided.at,
            channel: decided.channel,
            angle: decided.angle,
            plan_id: decided.plan_id,
        }
    };
    (decided.into_iter().map(outcome).collect(), currencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discount_costs_what_the_redemption_says_and_nothing_without_one() {
        let offer = Offer { percent_off: Some(20.0), ..Offer::default() };
        let bought = Answer { kind: EventKind::Purchase, sale: Some((4_000, None, 0)), ..Answer::default() };
        let redeemed = Answer { kind: EventKind::OfferRedeemed, discount: Some(900), ..Answer::default() };
        assert_eq!(spend(Some(&offer), &[]), 0);
        assert_eq!(spend(Some(&offer), &[&bought]), 1_000);
        assert_eq!(spend(Some(&offer), &[&bought, &redeemed]), 900);
    }
}
