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

/// The funnel of `steps`, each after the one before; `facts` are in order of time.
pub fn funnel(facts: &[Fact], steps: &[EventKind]) -> Vec<Step> {
    let mut reached: HashMap<&str, usize> = HashMap::new();
    for fact in facts {
        let place = reached.entry(&fact.unit).or_default();
        if steps.get(*place) == Some(&fact.kind) {
            *place += 1;
        }
    }
    let mut before: Option<u64> = None;
    steps
        .iter()
        .enumerate()
        .map(|(index, &kind)| {
            let units = reached.values().filter(|place| **place > index).count() as u64;
            let conversion =
                before.and_then(|before| interval::wilson(units as f64, before as f64, super::report::LEVEL));
            let drop_off = before.map_or(0, |before| before - units);
            before = Some(units);
            Step { kind, units, conversion, drop_off }
        })
        .collect()
}

/// How often one thing follows another at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Position of the first, from 0.
    pub step: u32,
    /// The first.
    pub source: EventKind,
    /// What follows; `None` where nothing does.
    pub target: Option<EventKind>,
    /// How often.
    pub count: u64,
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
    let mut counts: BTreeMap<(u32, i32, Option<i32>), Transition> = BTreeMap::new();
    for way in people.values() {
        for (step, &source) in (0_u32..).zip(way).take(depth - 1) {
            let target = way.get(step as usize + 1).copied();
            let key = (step, source as i32, target.map(|kind| kind as i32));
            counts.entry(key).or_insert(Transition { step, source, target, count: 0 }).count += 1;
        }
    }
    let mut found: Vec<Transition> = counts.into_values().collect();
    found.sort_by(|a, b| a.step.cmp(&b.step).then(b.count.cmp(&a.count)));
    found
}
