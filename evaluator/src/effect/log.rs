//! Decisions joined with what answered them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::common::v1::{Channel, EventKind, Offer};

use super::NONE;
use super::outcomes::{Horizon, assign};
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
    /// Version of the evaluator's own among these features; 0: they are not among them.
    pub feature_version: u32,
    /// The plan that decided.
    pub plan_id: String,
}

/// An event that answers a decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The decision.
    pub decision_id: String,
    /// Unit, order and item of an order line; empty where there is none.
    pub line: (String, String, String),
    /// What happened.
    pub kind: EventKind,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Of a purchase: revenue, cost and tax, minor units; of a return the same below 0.
    pub sale: Option<(i64, Option<i64>, i64)>,
    /// Its currency.
    pub currency: String,
    /// Of a redemption: the discount given, where it was told.
    pub discount: Option<i64>,
    /// The offer it names; empty: none.
    pub offer_id: String,
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

/// Gives returns without a decision the decision whose purchase they take back; others are dropped.
pub fn join_returns(answers: &mut Vec<Answer>) {
    let mut bought: HashMap<(String, String, String), String> = HashMap::new();
    for answer in answers.iter().filter(|answer| answer.kind == EventKind::Purchase) {
        if !answer.line.1.is_empty() && !answer.decision_id.is_empty() {
            bought.insert(answer.line.clone(), answer.decision_id.clone());
        }
    }
    answers.retain_mut(|answer| {
        if let (EventKind::Return, Some(decision)) = (answer.kind, bought.get(&answer.line)) {
            answer.decision_id.clone_from(decision);
        }
        !answer.decision_id.is_empty()
    });
}

/// Profit of a decision's order lines. A return that does not state the cost recovered recovers none where the costs of
/// what was bought are known, and is left out with it where they are not.
fn profit(answers: &[&Answer]) -> f64 {
    let costed = answers
        .iter()
        .any(|a| a.kind == EventKind::Purchase && a.sale.is_some_and(|(_, cost, _)| cost.is_some()));
    let part = |answer: &&Answer| {
        let (revenue, cost, tax) = answer.sale?;
        let cost = cost.or((answer.kind == EventKind::Return && costed).then_some(0))?;
        Some((revenue - tax - cost) as f64)
    };
    answers.iter().filter_map(part).sum()
}

/// Whether the profit of a decision's order lines is not known, since the cost of something bought is not.
fn cost_unknown(answers: &[&Answer]) -> bool {
    let bought = answers.iter().filter(|answer| answer.kind == EventKind::Purchase);
    bought.filter_map(|answer| answer.sale).any(|(_, cost, _)| cost.is_none())
}

/// The joined log in order of time, and the currencies of its sales. `target` is the kind of event that is a hit.
pub fn join(
    decided: Vec<Decided>,
    answers: Vec<Answer>,
    horizon: Horizon,
    target: EventKind,
    offers: &BTreeMap<String, Offer>,
) -> (Vec<Outcome>, BTreeSet<String>) {
    let mut by_decision: HashMap<&str, Vec<&Answer>> = HashMap::new();
    let mut currencies = BTreeSet::new();
    let answers = assign(&decided, answers, horizon.window);
    for answer in &answers {
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
            profit: profit(mine),
            cost_unknown: cost_unknown(mine),
            open: horizon.is_open(decided.at),
            spend: if decided.offer_id.is_empty() { 0.0 } else { spend as f64 },
            action: if decided.offer_id.is_empty() { NONE.to_owned() } else { decided.offer_id },
            propensity: decided.propensity,
            features: decided.features,
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
    fn a_return_takes_back_what_the_decision_brought_whichever_comes_first() {
        let line = |order: &str| ("u".to_owned(), order.to_owned(), "i".to_owned());
        let decided = Decided { decision_id: "d".into(), propensity: 1.0, ..Decided::default() };
        let bought = Answer {
            decision_id: "d".into(),
            line: line("o"),
            kind: EventKind::Purchase,
            sale: Some((1_000, Some(600), 100)),
            ..Answer::default()
        };
        let back = |order: &str, sale| Answer {
            kind: EventKind::Return,
            line: line(order),
            sale,
            ..Answer::default()
        };
        let answers = vec![
            back("o", Some((-300, Some(-200), -30))),
            back("elsewhere", Some((-300, None, 0))),
            bought,
            back("o", Some((-100, None, -10))),
        ];
        let horizon = Horizon { window: 100, at: 100 };
        let (log, _) = join(vec![decided], answers, horizon, EventKind::Purchase, &BTreeMap::new());
        // 1000 − 300 − 100; 300 − 70 − 90.
        assert_eq!((log[0].revenue, log[0].profit, log[0].hit), (600.0, 140.0, 1.0));
        assert!(!log[0].open && !log[0].cost_unknown, "what a return recovers may be unknown");
    }

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
