//! From comparisons to what to do: ship, roll back, wait, or trust nothing.

use super::analyse::Comparison;
use super::health::Health;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A variant is better.
    Ship,
    /// Every variant is worse, or a guardrail fell.
    RollBack,
    /// Not enough is known.
    Wait,
    /// The data cannot be trusted.
    Invalid,
}

/// What to do and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// The variant to ship.
    pub variant_id: Option<String>,
    /// Why.
    pub reasons: Vec<String>,
}

/// What one comparison says, at the level asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    Better,
    Worse,
    Open,
}

/// One variant's comparison on one metric.
pub struct Judged<'a> {
    /// The variant.
    pub variant_id: &'a str,
    /// The metric's name; empty for arms given with a request.
    pub metric: &'a str,
    /// Whether the metric must merely not fall (where lower is better: not rise).
    pub guardrail: bool,
    /// Whether a fall is the better direction.
    pub lower_is_better: bool,
    /// The comparison.
    pub comparison: &'a Comparison,
    /// Its p-value adjusted over the family.
    pub p_adjusted: Option<f64>,
}

/// Decides. A variant is shipped when a goal metric is better at `alpha` after adjustment (BAYESIAN: its chance to
/// win is above 1 − alpha/2), none is worse, and no guardrail fell; of several, the one with the greatest effect.
pub fn decide(judged: &[Judged<'_>], health: &Health, alpha: f64) -> Decision {
    if health.is_fatal() {
        let reasons = health.warnings.iter().map(|w| format!("{w}: the arms are not comparable")).collect();
        return Decision { verdict: Verdict::Invalid, variant_id: None, reasons };
    }
    let mut variants: Vec<&str> = judged.iter().map(|j| j.variant_id).collect();
    variants.dedup();
    let mut reasons = Vec::new();
    let mut best: Option<(&str, f64)> = None;
    let mut losers = 0;
    for variant in &variants {
        let of_variant: Vec<_> = judged.iter().filter(|j| j.variant_id == *variant).collect();
        let evidence: Vec<_> = of_variant.iter().map(|j| (j, evidence(j, alpha))).collect();
        for (judged, found) in &evidence {
            reasons.push(explain(judged, *found));
        }
        if evidence.iter().any(|(_, found)| *found == Evidence::Worse) {
            losers += 1;
            continue;
        }
        let gain = evidence
            .iter()
            .filter(|(j, found)| !j.guardrail && *found == Evidence::Better)
            .filter_map(|(j, _)| j.comparison.effect.map(|e| e.estimate.abs()))
            .reduce(f64::max);
        if let Some(gain) = gain
            && best.is_none_or(|(_, other)| gain > other)
        {
            best = Some((variant, gain));
        }
    }
    let verdict = match best {
        Some(_) => Verdict::Ship,
        None if losers == variants.len() && losers > 0 => Verdict::RollBack,
        None => Verdict::Wait,
    };
    Decision { verdict, variant_id: best.map(|(variant, _)| variant.to_owned()), reasons }
}

fn evidence(judged: &Judged<'_>, alpha: f64) -> Evidence {
    let Some(effect) = judged.comparison.effect else { return Evidence::Open };
    let found = match (judged.p_adjusted, judged.comparison.chance_to_win) {
        (Some(p), _) => p < alpha,
        (None, Some(chance)) => chance > 1.0 - alpha / 2.0 || chance < alpha / 2.0,
        (None, None) => false,
    };
    match (found, (effect.estimate > 0.0) != judged.lower_is_better) {
        (false, _) => Evidence::Open,
        (true, true) => Evidence::Better,
        (true, false) => Evidence::Worse,
    }
}

fn explain(judged: &Judged<'_>, found: Evidence) -> String {
    let metric = if judged.metric.is_empty() { "the metric" } else { judged.metric };
    let what = match (found, judged.guardrail) {
        (Evidence::Better, _) => "is better",
        (Evidence::Worse, true) if judged.lower_is_better => "rose, and is a guardrail",
        (Evidence::Worse, true) => "fell, and is a guardrail",
        (Evidence::Worse, false) => "is worse",
        (Evidence::Open, true) => "did not get worse as far as can be told",
        (Evidence::Open, false) => "is not yet told apart from the control",
    };
    let size = judged.comparison.effect.map_or_else(
        || "no effect can be told".to_owned(),
        |e| format!("{:+.4} [{:+.4}, {:+.4}]", e.estimate, e.lower, e.upper),
    );
    format!("{}: {metric} {what} ({size})", judged.variant_id)
}
