//! Which decision each purchase and redemption counts for.
//!
//! Every purchase of a person within the outcome window counts once, with a token or without: for the decision its token
//! names, else for the latest decision in the window that made the offer it redeems, else for the latest in the window.

use std::collections::HashMap;

use proto::common::v1::EventKind;

use super::log::{Answer, Decided, join_returns};

/// The time after a decision in which what happens counts for it, and the moment it is judged at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Length of the outcome window, microseconds.
    pub window: i64,
    /// The moment it is judged at, microseconds since 1970.
    pub at: i64,
}

impl Horizon {
    /// Whether the window of a decision made at `decided_at` is still open: what it will bring is not known yet.
    pub fn is_open(self, decided_at: i64) -> bool {
        decided_at.saturating_add(self.window) > self.at
    }
}

/// Gives each of `answers` the decision it counts for, and drops those that count for none. `decided` is in order of time.
pub fn assign(decided: &[Decided], mut answers: Vec<Answer>, window: i64) -> Vec<Answer> {
    let by_id: HashMap<&str, &Decided> =
        decided.iter().map(|decided| (decided.decision_id.as_str(), decided)).collect();
    let mut by_unit: HashMap<&str, Vec<&Decided>> = HashMap::new();
    for row in decided {
        by_unit.entry(&row.unit).or_default().push(row);
    }
    let ends = |decided: &Decided| decided.at.saturating_add(window);
    for answer in answers.iter_mut().filter(|answer| answer.kind != EventKind::Return) {
        if !answer.decision_id.is_empty() {
            // No lower bound: a token proves that the decision came first, whatever a device's clock says.
            let within = by_id.get(answer.decision_id.as_str()).is_some_and(|made| answer.at < ends(made));
            if !within {
                answer.decision_id.clear();
            }
            continue;
        }
        let purchase = answer.kind == EventKind::Purchase;
        if !purchase && answer.kind != EventKind::OfferRedeemed {
            continue;
        }
        let mine = by_unit.get(answer.line.0.as_str()).map_or(&[][..], Vec::as_slice);
        let before = mine.partition_point(|made| made.at <= answer.at);
        let mut candidates = mine[..before].iter().rev().take_while(|made| answer.at < ends(made));
        let latest = candidates.clone().next();
        let of_offer =
            candidates.find(|made| !answer.offer_id.is_empty() && made.offer_id == answer.offer_id);
        // A redemption without its offer's decision tells nothing of any other.
        if let Some(made) = of_offer.or(latest.filter(|_| purchase)) {
            answer.decision_id.clone_from(&made.decision_id);
        }
    }
    join_returns(&mut answers);
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(id: &str, unit: &str, at: i64, offer: &str) -> Decided {
        Decided {
            decision_id: id.into(),
            unit: unit.into(),
            at,
            offer_id: offer.into(),
            propensity: 0.5,
            ..Decided::default()
        }
    }

    fn purchase(unit: &str, order: &str, at: i64, decision: &str, offer: &str) -> Answer {
        Answer {
            decision_id: decision.into(),
            line: (unit.into(), order.into(), "i".into()),
            kind: EventKind::Purchase,
            at,
            offer_id: offer.into(),
            sale: Some((100, Some(60), 0)),
            ..Answer::default()
        }
    }

    #[test]
    fn every_purchase_of_the_person_in_the_window_counts_for_one_decision() {
        let log = [
            decided("mail", "u", 1_000, "ten"),
            decided("web", "u", 1_050, ""),
            decided("other", "v", 1_000, ""),
        ];
        let answers = vec![
            purchase("u", "token", 990, "mail", ""),
            purchase("u", "plain", 1_060, "", ""),
            purchase("u", "coupon", 1_070, "", "ten"),
            purchase("u", "before", 999, "", ""),
            purchase("u", "after", 1_151, "", ""),
            purchase("u", "late token", 1_100, "mail", ""),
            purchase("w", "nobody", 1_060, "", ""),
            purchase("v", "held out", 1_010, "unknown", ""),
        ];
        let mut found: Vec<(String, String)> = assign(&log, answers, 100)
            .into_iter()
            .map(|answer| (answer.line.1, answer.decision_id))
            .collect();
        found.sort();
        let expected = [("coupon", "mail"), ("plain", "web"), ("token", "mail")];
        assert_eq!(found, expected.map(|(order, id)| (order.to_owned(), id.to_owned())));
    }

    #[test]
    fn redemptions_follow_their_offer_and_returns_the_purchase_they_take_back() {
        let log = [decided("a", "u", 0, "ten"), decided("b", "u", 10, "five"), decided("c", "u", 20, "")];
        let redeemed =
            |offer: &str| Answer { kind: EventKind::OfferRedeemed, ..purchase("u", "", 30, "", offer) };
        let back = Answer { kind: EventKind::Return, at: 9_000, ..purchase("u", "o", 0, "", "") };
        let answers = vec![redeemed("ten"), redeemed("never made"), back, purchase("u", "o", 25, "", "")];
        let found: Vec<_> = assign(&log, answers, 100).into_iter().map(|a| (a.kind, a.decision_id)).collect();
        let expected =
            [(EventKind::OfferRedeemed, "a"), (EventKind::Return, "c"), (EventKind::Purchase, "c")];
        assert_eq!(found, expected.map(|(kind, id)| (kind, id.to_owned())));
    }

    #[test]
    fn a_window_is_open_until_its_end() {
        let horizon = Horizon { window: 100, at: 1_000 };
        assert!(horizon.is_open(901) && !horizon.is_open(900));
    }
}
