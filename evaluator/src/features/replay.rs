//! Features of past moments, rebuilt from the log by the same rules that serve.
//!
//! An event counts from when it happened, but never before the decision it answers: clocks of devices run late, and what a
//! decision brought must not be among what it was made by.

use std::collections::HashMap;

use super::{Activity, History};

/// A past decision about a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PastDecision {
    /// Its id.
    pub decision_id: String,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Whether an offer was made.
    pub offered: bool,
}

/// Plays one person's log back and shows the history as of ascending moments.
#[derive(Debug, Default)]
pub struct Replay {
    history: History,
    /// What is still to come, the latest first.
    events: Vec<(i64, Activity)>,
    /// Offers still to come, the latest first.
    offers: Vec<i64>,
}

impl Replay {
    /// Prepares one person's `events` and `decisions`, in any order.
    pub fn new(events: Vec<Activity>, decisions: &[PastDecision]) -> Self {
        let made: HashMap<&str, i64> =
            decisions.iter().map(|decision| (decision.decision_id.as_str(), decision.at)).collect();
        let known_at =
            |event: &Activity| made.get(event.decision_id.as_str()).map_or(event.at, |at| event.at.max(*at));
        let mut events: Vec<(i64, Activity)> =
            events.into_iter().map(|event| (known_at(&event), event)).collect();
        events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let mut offers: Vec<i64> =
            decisions.iter().filter(|decision| decision.offered).map(|decision| decision.at).collect();
        offers.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
        Self { history: History::default(), events, offers }
    }

    /// The history of all that came before `at`, which is not earlier than that of the call before.
    pub fn before(&mut self, at: i64) -> &History {
        while let Some((_, event)) = self.events.pop_if(|(known_at, _)| *known_at < at) {
            self.history.add(&event);
        }
        while let Some(made) = self.offers.pop_if(|made| *made < at) {
            self.history.add_offer(made);
        }
        &self.history
    }
}

#[cfg(test)]
mod tests {
    use proto::common::v1::EventKind;

    use super::*;

    #[test]
    fn a_decision_is_rebuilt_from_what_came_before_it_and_never_from_its_own_outcome() {
        let purchase = |at: i64, decision: &str| Activity {
            event_id: format!("e{at}"),
            kind: EventKind::Purchase,
            at,
            decision_id: decision.into(),
            ..Activity::default()
        };
        let decision = |id: &str, at: i64, offered| PastDecision { decision_id: id.into(), at, offered };
        // The second purchase answers the decision of 100 by a device whose clock is 5 behind.
        let events = vec![purchase(95, "d"), purchase(50, ""), purchase(300, "")];
        let mut replay = Replay::new(events, &[decision("d", 100, true), decision("c", 40, true)]);
        let mut seen = |at: i64| {
            let history = replay.before(at);
            (history.orders() as u32, history.offers_since(0))
        };
        assert_eq!(
            [seen(40), seen(51), seen(100), seen(101), seen(301)],
            [(0, 0), (1, 1), (1, 1), (2, 2), (3, 2)]
        );
    }
}
