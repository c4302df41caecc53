//! How people go on from step to step.

use std::collections::{BTreeMap, HashMap};

use proto::common::v1::EventKind;

use super::fact::Fact;
use crate::stats::{Interval, interval};

/// One step of a funnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub kind: EventKind,
    /// People who came here through all steps before.
    pub units: u64,
    /// Share of the step before's people; `None` at the first, or where nobody was there.
    pub conversion: Option<Interval>,
    /// People of the step before who did not come here.
    pub drop_off: u64,
}

/// The funnel of `steps`, each after the one before and all within `window` microseconds of the first where one is
/// given; `facts` are in order of time. A person may begin again: the furthest way counts.
pub fn funnel(facts: &[Fact], steps: &[EventKind], window: Option<i64>) -> Vec<Step> {
    // Of each person and step: when the latest way that has come so far began.
    let mut people: HashMap<&str, Vec<Option<i64>>> = HashMap::new();
    for fact in facts {
        let began = people.entry(&fact.unit).or_insert_with(|| vec![None; steps.len()]);
        // From the last step down: one event is one step, also where steps repeat.
        for place in (0..steps.len()).rev().filter(|&place| steps[place] == fact.kind) {
            let from = if place == 0 { Some(fact.at) } else { began[place - 1] };
            if let Some(from) = from.filter(|from| window.is_none_or(|window| fact.at - from <= window)) {
                began[place] = Some(from);
            }
        }
    }
    let mut before: Option<u64> = None;
    steps
        .iter()
        .enumerate()
        .map(|(place, &kind)| {
            let units = people.values().filter(|began| began[place].is_some()).count() as u64;
            let conversion =
                before.and_then(|before| interval::wilson(units as f64, before as f64, super::report::LEVEL));
            let drop_off = before.map_or(0, |before| before - units);
            before = Some(units);
            Step { kind, units, conversion, drop_off }
        })
        .collect()
}

/// How often one thing follows another at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Position of the first, from 0.
    pub step: u32,
    /// The first.
    pub source: EventKind,
    /// What follows; `None` where nothing does: they left.
    pub target: Option<EventKind>,
    /// How often.
    pub count: u64,
    /// Share of all that stood at `source` at this step.
    pub share: Option<Interval>,
}

/// Transitions within each person's first `depth` events, the most frequent first within a step.
pub fn transitions(facts: &[Fact], depth: usize) -> Vec<Transition> {
    let mut people: HashMap<&str, Vec<EventKind>> = HashMap::new();
    for fact in facts {
        let way = people.entry(&fact.unit).or_default();
        if way.len() < depth {
            way.push(fact.kind);
        }
    }
    let mut counts: BTreeMap<(u32, i32, Option<i32>), u64> = BTreeMap::new();
    let mut stood: HashMap<(u32, i32), u64> = HashMap::new();
    for way in people.values() {
        for (step, &source) in (0_u32..).zip(way).take(depth.saturating_sub(1)) {
            let target = way.get(step as usize + 1).map(|kind| *kind as i32);
            *counts.entry((step, source as i32, target)).or_default() += 1;
            *stood.entry((step, source as i32)).or_default() += 1;
        }
    }
    let kind = |number: i32| EventKind::try_from(number).unwrap_or_default();
    let mut found: Vec<Transition> = counts
        .into_iter()
        .map(|((step, source, target), count)| {
            let of = stood.get(&(step, source)).copied().unwrap_or(count);
            let share = interval::wilson(count as f64, of as f64, super::report::LEVEL);
            Transition { step, source: kind(source), target: target.map(kind), count, share }
        })
        .collect();
    found.sort_by(|a, b| a.step.cmp(&b.step).then(b.count.cmp(&a.count)));
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metric::fact::DAY;
    use proto::common::v1::Channel;

    /// An event on a day since 1970.
    pub(in crate::metric) fn fact(unit: &str, kind: EventKind, day: i64) -> Fact {
        let none = String::new;
        let (unit, at, channel) = (unit.to_owned(), day * DAY, Channel::Web);
        let day = day as i32;
        Fact {
            unit,
            kind,
            at,
            day,
            channel,
            campaign: none(),
            decision: none(),
            offer: none(),
            sale: None,
            rating: None,
        }
    }

    fn units(steps: &[Step]) -> Vec<(u64, u64)> {
        steps.iter().map(|step| (step.units, step.drop_off)).collect()
    }

    #[test]
    fn a_funnel_is_passed_in_order_and_in_time() {
        use EventKind::{Click, Impression, Purchase};
        let facts = [
            fact("slow", Impression, 0),
            fact("back", Purchase, 0),
            fact("quick", Impression, 0),
            fact("quick", Click, 1),
            fact("slow", Click, 2),
            fact("quick", Purchase, 2),
            fact("back", Impression, 3),
            fact("again", Impression, 3),
            fact("slow", Purchase, 20),
            fact("again", Impression, 40),
            fact("again", Click, 41),
        ];
        let steps = [Impression, Click, Purchase];
        assert_eq!(units(&funnel(&facts, &steps, None)), [(4, 0), (3, 1), (2, 1)]);
        assert_eq!(
            units(&funnel(&facts, &steps, Some(7 * DAY))),
            [(4, 0), (3, 1), (1, 2)],
            "begun again counts"
        );
        assert_eq!(units(&funnel(&facts, &[Impression, Impression], None)), [(4, 0), (1, 3)]);
    }

    #[test]
    fn ways_end_at_a_drop_off() {
        use EventKind::{Click, View};
        let facts = [
            fact("a", View, 0),
            fact("a", Click, 1),
            fact("b", View, 0),
            fact("c", View, 0),
            fact("c", View, 1),
        ];
        let found = transitions(&facts, 3);
        let first: Vec<_> =
            found.iter().filter(|way| way.step == 0).map(|way| (way.target, way.count)).collect();
        assert_eq!(first.len(), 3);
        assert!(
            first.contains(&(None, 1))
                && first.contains(&(Some(Click), 1))
                && first.contains(&(Some(View), 1))
        );
        let leaving: u64 = found.iter().filter(|way| way.target.is_none()).map(|way| way.count).sum();
        assert_eq!(leaving, 3, "everybody leaves once");
        assert!(found.iter().all(|way| way.share.is_some_and(|share| share.lower < share.upper)));
    }
}
