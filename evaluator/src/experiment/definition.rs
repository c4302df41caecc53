//! What an experiment is, when it is sound, and whom it puts where.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::bucket::{self, HashVersion};
use crate::error::Violation;

/// Where an experiment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Made, not assigning.
    Draft,
    /// Assigning.
    Running,
    /// No longer assigning.
    Stopped,
}

/// One arm. The first is the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Id within the experiment.
    pub variant_id: String,
    /// Share of the units covered.
    pub weight: f64,
    /// What it sets.
    pub parameters: BTreeMap<String, String>,
}

/// A part of the units that several experiments share without overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Start of this experiment's range.
    pub start: f64,
    /// End of this experiment's range.
    pub end: f64,
}

/// A metric that must not get worse than a margin. Designs stored before there were margins hold the bare name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredGuardrail")]
pub struct Guardrail {
    /// Name of the metric.
    pub metric: String,
    /// Non-inferiority margin: how much worse than the control it may be, as a share of the control's value, 0 to 1.
    pub margin: f64,
}

/// The forms in which a guardrail may be stored.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredGuardrail {
    Name(String),
    WithMargin { metric: String, margin: f64 },
}

impl From<StoredGuardrail> for Guardrail {
    fn from(stored: StoredGuardrail) -> Self {
        match stored {
            StoredGuardrail::Name(metric) => Self { metric, margin: 0.0 },
            StoredGuardrail::WithMargin { metric, margin } => Self { metric, margin },
        }
    }
}

/// An experiment's design.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Its id.
    pub experiment_id: String,
    /// The arms, the control first.
    pub variants: Vec<Variant>,
    /// 1 or 2.
    pub hash_version: u32,
    /// Seed of the bucketing.
    pub seed: String,
    /// Share of units taken in.
    pub coverage: f64,
    /// The part of the units it shares with others.
    pub namespace: Option<Namespace>,
    /// Names of the goal metrics; the first is the primary metric.
    pub metrics: Vec<String>,
    /// The metrics that must not get worse.
    pub guardrails: Vec<Guardrail>,
    /// Share of units that see no treatment at all.
    pub holdout: f64,
    /// Planned units of each arm; 0: not planned.
    #[serde(default)]
    pub planned_units_per_variant: u64,
}

/// An experiment with where it stands. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Its design.
    pub design: Experiment,
    /// Where it stands.
    pub state: State,
    /// When it was made.
    pub created_at: i64,
    /// When it was started.
    pub started_at: Option<i64>,
    /// When it was stopped.
    pub stopped_at: Option<i64>,
}

/// Where a unit is.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Index of the variant; `None` where the unit is not taken in.
    pub variant: Option<usize>,
    /// Probability of this outcome by design.
    pub propensity: f64,
    /// Whether it is held out of every treatment.
    pub in_holdout: bool,
    /// Where its hash lies, in [0, 1).
    pub bucket: f64,
}

impl Experiment {
    /// What is wrong with the design; empty when it may be stored.
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut fault = |field: String, reason, text: String| found.push(Violation::new(field, reason, text));
        if self.variants.len() < 2 {
            fault("variants".into(), "TOO_FEW", format!("must be at least 2, are {}", self.variants.len()));
        }
        if self.variants.len() > MAX_VARIANTS {
            let text = format!("must be at most {MAX_VARIANTS}, are {}", self.variants.len());
            fault("variants".into(), "TOO_MANY", text);
        }
        for (field, count) in [("metrics", self.metrics.len()), ("guardrails", self.guardrails.len())] {
            if count > MAX_METRICS {
                fault(field.into(), "TOO_MANY", format!("must be at most {MAX_METRICS}, are {count}"));
                return found;
            }
        }
        let mut seen = HashSet::new();
        for (index, variant) in self.variants.iter().enumerate() {
            let path = format!("variants[{index}]");
            if variant.variant_id.is_empty() {
                fault(format!("{path}.variant_id"), "EMPTY", "must not be empty".into());
            } else if !seen.insert(variant.variant_id.as_str()) {
                fault(
                    format!("{path}.variant_id"),
                    "DUPLICATE",
                    "must differ from the other variants' ids".into(),
                );
            }
            if !(0.0..=1.0).contains(&variant.weight) {
                fault(
                    format!("{path}.weight"),
                    "OUT_OF_RANGE",
                    format!("must be 0 to 1, is {}", variant.weight),
                );
            }
        }
        let sum: f64 = self.variants.iter().map(|variant| variant.weight).sum();
        if self.variants.len() >= 2 && (sum.is_nan() || (sum - 1.0).abs() > WEIGHT_SLACK) {
            fault("variants".into(), "WEIGHTS_NOT_ONE", format!("weights must sum to 1, sum to {sum}"));
        }
        if HashVersion::from_number(self.hash_version.try_into().unwrap_or(0)).is_none() {
            fault("hash_version".into(), "OUT_OF_RANGE", format!("must be 1 or 2, is {}", self.hash_version));
        }
        if !(self.coverage > 0.0 && self.coverage <= 1.0) {
            fault(
                "coverage".into(),
                "OUT_OF_RANGE",
                format!("must be above 0 and at most 1, is {}", self.coverage),
            );
        }
        if !(0.0..1.0).contains(&self.holdout) {
            fault("holdout".into(), "OUT_OF_RANGE", format!("must be 0 to below 1, is {}", self.holdout));
        }
        for (index, guardrail) in self.guardrails.iter().enumerate() {
            let path = format!("guardrails[{index}]");
            if !(0.0..=1.0).contains(&guardrail.margin) {
                let text = format!("must be 0 to 1, a share of the control's value, is {}", guardrail.margin);
                fault(format!("{path}.margin"), "OUT_OF_RANGE", text);
            }
            if self.guardrails[..index].iter().any(|other| other.metric == guardrail.metric) {
                fault(format!("{path}.metric"), "DUPLICATE", "must differ from the other guardrails".into());
            }
            if self.metrics.contains(&guardrail.metric) {
                fault(format!("{path}.metric"), "ALSO_A_GOAL", "must not be among metrics, the goals".into());
            }
        }
        if let Some(namespace) = &self.namespace {
            if namespace.name.is_empty() {
                fault("namespace.name".into(), "EMPTY", "must not be empty".into());
            }
            if !(0.0..1.0).contains(&namespace.start) {
                fault(
                    "namespace.start".into(),
                    "OUT_OF_RANGE",
                    format!("must be 0 to below 1, is {}", namespace.start),
                );
            }
            if !(namespace.end > namespace.start && namespace.end <= 1.0) {
                let text = format!("must be above start and at most 1, is {}", namespace.end);
                fault("namespace.end".into(), "OUT_OF_RANGE", text);
            }
        }
        found
    }

    /// Whether both lie in one namespace with ranges that overlap: its members were to exclude each other.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (&self.namespace, &other.namespace) {
            (Some(a), Some(b)) => a.name == b.name && a.start < b.end && b.start < a.end,
            _ => false,
        }
    }

    /// Where `unit` is: the same for ever under the same design.
    ///
    /// The hold-out is drawn first, by a hash of its own, so that it is independent of the variants; then the
    /// namespace, then coverage and weights. The propensity is that of the outcome by design: a variant's is
    /// (1 − holdout) × namespace's share × coverage × weight; of those not taken in, what remains.
    pub fn place(&self, unit: &str) -> Placement {
        let version =
            HashVersion::from_number(self.hash_version.try_into().unwrap_or(2)).unwrap_or(HashVersion::V2);
        let bucket = bucket::bucket(version, &self.seed, unit);
        let held = bucket::bucket(HashVersion::V2, &format!("{}__holdout", self.seed), unit) < self.holdout;
        if held {
            return Placement { variant: None, propensity: self.holdout, in_holdout: true, bucket };
        }
        let weights: Vec<f64> = self.variants.iter().map(|variant| variant.weight).collect();
        let share = self.namespace.as_ref().map_or(1.0, |namespace| namespace.end - namespace.start);
        let inside = self
            .namespace
            .as_ref()
            .is_none_or(|space| bucket::in_namespace(unit, &space.name, (space.start, space.end)));
        let ranges = bucket::ranges(weights.len(), self.coverage, Some(&weights));
        let variant = if inside { bucket::choose(bucket, &ranges) } else { None };
        let taken = (1.0 - self.holdout) * share * self.coverage;
        let propensity = match variant {
            Some(index) => taken * weights[index],
            None => 1.0 - self.holdout - taken,
        };
        Placement { variant, propensity, in_holdout: false, bucket }
    }
}

/// Maximum variants of an experiment.
pub const MAX_VARIANTS: usize = 1_000;
/// Maximum goals, and guardrails, of an experiment; maximum metrics of one analysis.
pub const MAX_METRICS: usize = 100;

/// Weights given with a few decimals, such as three of 0.333, are meant to sum to one.
const WEIGHT_SLACK: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(holdout: f64, coverage: f64) -> Experiment {
        let variant = |id: &str| Variant { variant_id: id.into(), weight: 0.5, parameters: BTreeMap::new() };
        Experiment {
            experiment_id: "e".into(),
            variants: vec![variant("control"), variant("treatment")],
            hash_version: 2,
            seed: "seed".into(),
            coverage,
            namespace: None,
            metrics: Vec::new(),
            guardrails: Vec::new(),
            holdout,
            planned_units_per_variant: 0,
        }
    }

    #[test]
    fn shares_are_as_designed_and_propensities_tell_them() {
        let experiment = halves(0.1, 0.8);
        let placements: Vec<_> = (0..50_000).map(|i| experiment.place(&format!("u{i}"))).collect();
        let share =
            |want: &dyn Fn(&&Placement) -> bool| placements.iter().filter(want).count() as f64 / 50_000.0;
        for (found, designed) in [
            (share(&|p| p.in_holdout), 0.1),
            (share(&|p| p.variant == Some(0)), 0.36),
            (share(&|p| p.variant == Some(1)), 0.36),
            (share(&|p| p.variant.is_none() && !p.in_holdout), 0.18),
        ] {
            assert!((found - designed).abs() < 0.01, "{found} is not {designed}");
        }
        assert!(
            placements.iter().filter(|p| p.variant.is_some()).all(|p| (p.propensity - 0.36).abs() < 1e-12)
        );
    }

    #[test]
    fn unsound_designs_are_named() {
        let fields = |e: Experiment| e.check().into_iter().map(|v| v.field).collect::<Vec<_>>();
        assert!(fields(halves(0.0, 1.0)).is_empty());
        assert_eq!(fields(halves(1.0, 0.0)), ["coverage", "holdout"]);
        assert_eq!(fields(halves(f64::NAN, 1.0)), ["holdout"]);
        let mut twice = halves(0.0, 1.0);
        twice.variants[1].variant_id = "control".into();
        twice.variants[1].weight = 0.1;
        assert_eq!(fields(twice), ["variants[1].variant_id", "variants"]);
        assert_eq!(fields(Experiment { hash_version: 3, ..halves(0.0, 1.0) }), ["hash_version"]);
    }

    /// Designs stored before guardrails had margins hold their names alone, and no planned size.
    #[test]
    fn guardrails_stored_as_names_are_read_with_a_margin_of_0() {
        let mut stored = serde_json::to_value(halves(0.0, 1.0)).expect("JSON");
        stored["guardrails"] = serde_json::json!(["CR", {"metric": "REVENUE", "margin": 0.02}]);
        stored.as_object_mut().expect("an object").remove("planned_units_per_variant");
        let design: Experiment = serde_json::from_value(stored).expect("read");
        let guardrail = |metric: &str, margin| Guardrail { metric: metric.into(), margin };
        assert_eq!(design.guardrails, [guardrail("CR", 0.0), guardrail("REVENUE", 0.02)]);
        assert_eq!(design.planned_units_per_variant, 0);
        let again = serde_json::to_value(&design).expect("JSON");
        assert_eq!(serde_json::from_value::<Experiment>(again).expect("read"), design);
    }

    #[test]
    fn unsound_guardrails_are_named() {
        let guardrail = |metric: &str, margin| Guardrail { metric: metric.into(), margin };
        let guarded = |guardrails| Experiment { guardrails, metrics: vec!["CTR".into()], ..halves(0.0, 1.0) };
        for (guardrails, field) in [
            (vec![guardrail("CR", 1.5)], "guardrails[0].margin"),
            (vec![guardrail("CR", f64::NAN)], "guardrails[0].margin"),
            (vec![guardrail("CR", 0.1), guardrail("CR", 0.2)], "guardrails[1].metric"),
            (vec![guardrail("CTR", 0.1)], "guardrails[0].metric"),
        ] {
            let found = guarded(guardrails).check();
            assert_eq!(found.iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), [field]);
        }
    }

    #[test]
    fn only_overlapping_ranges_of_one_namespace_are_rivals() {
        let within = |name: &str, start: f64, end: f64| {
            let namespace = Some(Namespace { name: name.into(), start, end });
            Experiment { namespace, ..halves(0.0, 1.0) }
        };
        let first = within("home", 0.0, 0.5);
        assert!(first.overlaps(&within("home", 0.4, 0.6)));
        assert!(!first.overlaps(&within("home", 0.5, 1.0)) && !first.overlaps(&within("cart", 0.0, 0.5)));
        assert!(!first.overlaps(&halves(0.0, 1.0)), "who is in no namespace excludes nobody");
        let second = within("home", 0.5, 1.0);
        let both = (0..5_000)
            .map(|i| format!("u{i}"))
            .filter(|unit| first.place(unit).variant.is_some() && second.place(unit).variant.is_some())
            .count();
        assert_eq!(both, 0, "disjoint ranges exclude each other");
    }
}
