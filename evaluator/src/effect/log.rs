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
    /// The offers it chose among; empty: there were none, or they are not told.
    pub available: Vec<String>,
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
    /// Of a redemption or a purchase: the discount given, where it was told.
    pub discount: Option<i64>,
    /// The offer it names; empty: none.
    pub offer_id: String,
}

/// What was redeemed of an offer that a decision made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Redeemed {
    /// When, microseconds since 1970.
    pub at: i64,
    /// Discount given, minor units; `None` where no report tells it and it does not follow from the offer's terms.
    pub discount: Option<i64>,
    /// Whether it was inferred from the terms of the offer, and no report says that it was redeemed.
    pub inferred: bool,
}

/// What `answers` say of the redemption of a decision's `offer` with the id `offer_id`: OFFER_REDEEMED events and purchases
/// that name the offer. Their amounts are summed; where a redemption was reported without an amount, it
/// follows from the terms. With `infer`, purchases that name no offer count too where they reach its threshold.
pub fn redeemed(offer: Option<&Offer>, offer_id: &str, answers: &[&Answer], infer: bool) -> Option<Redeemed> {
    let names = |answer: &&&Answer| answer.offer_id == offer_id;
    let redemptions =
        || answers.iter().filter(|answer| answer.kind == EventKind::OfferRedeemed).filter(names);
    let purchases = || answers.iter().filter(|answer| answer.kind == EventKind::Purchase);
    let naming = || purchases().filter(names);
    let told = |all: Vec<i64>| {
        (!all.is_empty()).then(|| all.iter().fold(0_i64, |sum, one| sum.saturating_add(*one)))
    };
    let discount = told(redemptions().filter_map(|answer| answer.discount).collect())
        .or_else(|| told(naming().filter_map(|bought| bought.discount).collect()));
    let paid: i64 = purchases().filter_map(|bought| bought.sale.map(|(revenue, ..)| revenue)).sum();
    let by_terms = |offer: &Offer| match (paid > 0, &offer.amount_off) {
        (true, _) => Some(terms::discount_within(offer, paid)),
        (false, Some(amount)) => Some(amount.minor_units),
        (false, None) => None,
    };
    if let Some(at) = redemptions().chain(naming()).map(|answer| answer.at).min() {
        let discount = discount.or_else(|| offer.and_then(by_terms));
        return Some(Redeemed { at, discount, inferred: false });
    }
    let discount = offer.filter(|_| infer && paid > 0).and_then(by_terms).filter(|discount| *discount > 0)?;
    let at = purchases().map(|bought| bought.at).min()?;
    Some(Redeemed { at, discount: Some(discount), inferred: true })
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

/// The joined log in order of time, and the currencies of its sales. `target` is the kind of event that is a hit. With
/// `infer`, discounts that nobody reported are inferred from the offers' terms.
pub fn join(
    decided: Vec<Decided>,
    answers: Vec<Answer>,
    horizon: Horizon,
    target: EventKind,
    offers: &BTreeMap<String, Offer>,
    infer: bool,
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
        let redeemed = redeemed(offers.get(&decided.offer_id), &decided.offer_id, mine, infer);
        let spend = redeemed.and_then(|redeemed| redeemed.discount).unwrap_or(0);
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
            available: decided.available,
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
        let (log, _) = join(vec![decided], answers, horizon, EventKind::Purchase, &BTreeMap::new(), false);
        // 1000 − 300 − 100; 300 − 70 − 90.
        assert_eq!((log[0].revenue, log[0].profit, log[0].hit), (600.0, 140.0, 1.0));
        assert!(!log[0].open && !log[0].cost_unknown, "what a return recovers may be unknown");
    }

    /// A full-price purchase under "$15 off $80" costs nothing; only reports say that the offer was redeemed.
    #[test]
    fn a_discount_is_what_is_reported_and_not_what_the_terms_allow() {
        let offer = Offer { offer_id: "o".into(), percent_off: Some(20.0), ..Offer::default() };
        let bought =
            Answer { kind: EventKind::Purchase, sale: Some((4_000, None, 0)), at: 5, ..Answer::default() };
        let with = Answer { offer_id: "o".into(), ..bought.clone() };
        let line = |discount| Answer { discount: Some(discount), ..with.clone() };
        let report = |discount| Answer { kind: EventKind::OfferRedeemed, discount, ..with.clone() };
        let found = |answers: &[&Answer], infer| {
            redeemed(Some(&offer), "o", answers, infer).map(|found| (found.discount, found.inferred))
        };
        assert_eq!(found(&[], true), None);
        assert_eq!(found(&[&bought], false), None, "nobody says that it was redeemed");
        assert_eq!(found(&[&bought], true), Some((Some(1_000), true)));
        assert_eq!(
            found(&[&with], false),
            Some((Some(1_000), false)),
            "redeemed, and worth what its terms say"
        );
        assert_eq!(found(&[&line(300), &line(200)], false), Some((Some(500), false)));
        assert_eq!(found(&[&line(300), &report(Some(900))], false), Some((Some(900), false)), "counted once");
        let other = Answer { offer_id: "other".into(), ..report(Some(900)) };
        assert_eq!(found(&[&other], false), None, "of another offer");
        assert_eq!(found(&[&report(None), &bought], false), Some((Some(1_000), false)));
        assert_eq!(found(&[&report(None)], false), Some((None, false)), "a fifth of something nobody told");
    }
}
