//! Units of one experiment by variant, as its decisions exposed them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proto::common::v1::{Channel, EventKind};

use super::fact::{Assigned, Fact};
use super::report::NONE;

/// Which variant each unit and decision of one experiment was in.
pub struct Variants {
    /// Unit and variant of each decision.
    decisions: HashMap<String, (String, String)>,
    /// Variant and first exposure of each unit seen in one variant.
    units: HashMap<String, (String, i64)>,
    /// Units seen in several variants, with their first exposure.
    several: HashMap<String, i64>,
    exposures: Vec<Fact>,
}

/// Units of an experiment that were first exposed in a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exposed {
    /// Units by variant.
    pub units: BTreeMap<String, u64>,
    /// Units exposed to more than one variant.
    pub several: u64,
}

impl Variants {
    /// From all decisions of an experiment.
    pub fn new(assigned: Vec<Assigned>) -> Self {
        let mut units: HashMap<String, (String, i64)> = HashMap::new();
        let mut seen_in: HashMap<String, BTreeSet<String>> = HashMap::new();
        for row in &assigned {
            seen_in.entry(row.unit.clone()).or_default().insert(row.variant.clone());
            let first = units.entry(row.unit.clone()).or_insert_with(|| (row.variant.clone(), row.at));
            first.1 = first.1.min(row.at);
        }
        let several: HashSet<String> =
            seen_in.into_iter().filter(|(_, variants)| variants.len() > 1).map(|(unit, _)| unit).collect();
        let (several, units) =
            units.into_iter().partition::<HashMap<_, _>, _>(|(unit, _)| several.contains(unit));
        let several = several.into_iter().map(|(unit, (_, first))| (unit, first)).collect();
        let exposures = assigned.iter().map(exposure).collect();
        let decisions = assigned.into_iter().map(|row| (row.decision, (row.unit, row.variant))).collect();
        Self { decisions, units, several, exposures }
    }

    /// Returns the variant of a fact: of the decision it answers, else of its unit from the first exposure on, else
    /// [`NONE`]. `None`: the unit was seen in several variants.
    pub fn variant(&self, fact: &Fact) -> Option<&str> {
        let answered = self.decisions.get(&fact.decision);
        let unit = answered.map_or(fact.unit.as_str(), |(unit, _)| unit);
        if self.several.contains_key(unit) {
            return None;
        }
        let exposed =
            || self.units.get(unit).filter(|(_, first)| *first <= fact.at).map(|(variant, _)| variant);
        Some(answered.map(|(_, variant)| variant).or_else(exposed).map_or(NONE, String::as_str))
    }

    /// Counts the units first exposed from `from` on and before `until`.
    pub fn exposed(&self, from: Option<i64>, until: i64) -> Exposed {
        let within = |first: i64| from.is_none_or(|from| first >= from) && first < until;
        let mut found = Exposed::default();
        for (variant, _) in self.units.values().filter(|(_, first)| within(*first)) {
            *found.units.entry(variant.clone()).or_default() += 1;
        }
        found.several = self.several.values().filter(|first| within(**first)).count() as u64;
        found
    }

    /// Takes out the exposures within a span, each as a fact of no kind.
    pub(super) fn take_exposures(&mut self, from: Option<i64>, until: i64) -> Vec<Fact> {
        let mut exposures = std::mem::take(&mut self.exposures);
        exposures.retain(|fact| from.is_none_or(|from| fact.at >= from) && fact.at < until);
        exposures
    }
}

fn exposure(assigned: &Assigned) -> Fact {
    Fact {
        unit: assigned.unit.clone(),
        kind: EventKind::Unspecified,
        at: assigned.at,
        day: 0,
        channel: Channel::try_from(i32::from(assigned.channel)).unwrap_or_default(),
        campaign: String::new(),
        decision: assigned.decision.clone(),
        offer: String::new(),
        sale: None,
        rating: None,
    }
}
