//! Decision rule: from comparisons to ship, roll back, wait, or trust nothing.

use super::analyse::Comparison;
use super::health::Health;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A variant is better.
    Ship,
    /// Every variant is worse, or violates a guardrail.
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

/// What a metric is judged as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// The first goal: it decides which of several better variants is best.
    Primary,
    /// A further goal.
    Goal,
    /// Must not get worse than the margin, a share of the control's value.
    Guardrail {
        /// Non-inferiority margin in [0, 1]; 0: it must not be shown to be worse at all.
        margin: f64,
    },
}

/// One variant's comparison on one metric.
pub struct Judged<'a> {
    /// The variant.
    pub variant_id: &'a str,
    /// The metric's name; empty for arms given with a request.
    pub metric: &'a str,
    /// What the metric is judged as.
    pub role: Role,
    /// Whether a fall is the better direction.
    pub lower_is_better: bool,
    /// Whether the effect is expressed as a share of the control's value.
    pub relative: bool,
    /// The comparison.
    pub comparison: &'a Comparison,
    /// Its p-value adjusted over the goals, or over the guardrails.
    pub p_adjusted: Option<f64>,
}

/// Evidence of one comparison at the level asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    Better,
    Worse,
    Open,
}

/// Whether a guardrail is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Kept,
    Violated,
    Open,
}

/// Decides at the error level `alpha`.
///
/// A variant may be shipped when at least one goal is better (p-value adjusted over the goals below alpha; BAYESIAN: chance
/// to win above 1 − alpha/2), no goal is worse, and every guardrail is kept. Of several, one whose primary metric is better
/// comes first, then the one with the greatest improvement of the primary metric. `incomplete` states what is missing
/// before anything may be shipped; the verdict is then WAIT.
pub fn decide(judged: &[Judged<'_>], health: &Health, alpha: f64, incomplete: Option<&str>) -> Decision {
    if health.is_fatal() {
        let reasons = health.warnings.iter().map(|w| format!("{w}: the arms are not comparable")).collect();
        return Decision { verdict: Verdict::Invalid, variant_id: None, reasons };
    }
    let mut variants: Vec<&str> = Vec::new();
    for judged in judged {
        if !variants.contains(&judged.variant_id) {
            variants.push(judged.variant_id);
        }
    }
    let mut reasons = Vec::new();
    let mut best: Option<(&str, (bool, f64))> = None;
    let mut losers = 0;
    for variant in &variants {
        let found = of_variant(judged.iter().filter(|j| j.variant_id == *variant), alpha, &mut reasons);
        losers += usize::from(found.loses);
        if found.may_ship && best.is_none_or(|(_, other)| found.primary > other) {
            best = Some((variant, found.primary));
        }
    }
    let verdict = match best {
        Some(_) if incomplete.is_none() => Verdict::Ship,
        None if losers == variants.len() && losers > 0 => Verdict::RollBack,
        _ => Verdict::Wait,
    };
    reasons.extend(incomplete.map(str::to_owned));
    let variant_id = best.filter(|_| verdict == Verdict::Ship).map(|(variant, _)| variant.to_owned());
    Decision { verdict, variant_id, reasons }
}

/// One variant over all metrics.
struct Standing {
    may_ship: bool,
    loses: bool,
    /// Whether the primary metric is better, and by how much.
    primary: (bool, f64),
}

fn of_variant<'a>(
    judged: impl Iterator<Item = &'a Judged<'a>>,
    alpha: f64,
    reasons: &mut Vec<String>,
) -> Standing {
    let (mut better, mut worse, mut kept, mut violated) = (false, false, true, false);
    let mut primary = (false, f64::NEG_INFINITY);
    for judged in judged {
        let found = evidence(judged, alpha);
        if let Role::Guardrail { margin } = judged.role {
            let guard = guard(judged, margin, found);
            kept &= guard == Guard::Kept;
            violated |= guard == Guard::Violated;
            reasons.push(explain_guardrail(judged, margin, guard));
            continue;
        }
        better |= found == Evidence::Better;
        worse |= found == Evidence::Worse;
        if judged.role == Role::Primary {
            let improvement = judged.improvement().map_or(f64::NEG_INFINITY, |(_, estimate, _)| estimate);
            primary = (found == Evidence::Better, improvement);
        }
        reasons.push(explain_goal(judged, found));
    }
    Standing { may_ship: better && !worse && kept, loses: worse || violated, primary }
}

impl Judged<'_> {
    /// Returns lower bound, estimate and upper bound of the improvement: the effect, turned round where a fall is the
    /// better direction. A relative effect on a negative control has the opposite sign of the change.
    fn improvement(&self) -> Option<(f64, f64, f64)> {
        let effect = self.comparison.effect?;
        let falls = self.relative && self.comparison.control_value.is_some_and(|value| value < 0.0);
        Some(if falls == self.lower_is_better {
            (effect.lower, effect.estimate, effect.upper)
        } else {
            (-effect.upper, -effect.estimate, -effect.lower)
        })
    }
}

fn evidence(judged: &Judged<'_>, alpha: f64) -> Evidence {
    let Some((_, improvement, _)) = judged.improvement() else { return Evidence::Open };
    let found = match (judged.p_adjusted, judged.comparison.chance_to_win) {
        (Some(p), _) => p < alpha,
        (None, Some(chance)) => chance > 1.0 - alpha / 2.0 || chance < alpha / 2.0,
        (None, None) => false,
    };
    match (found, improvement > 0.0) {
        (false, _) => Evidence::Open,
        (true, true) => Evidence::Better,
        (true, false) => Evidence::Worse,
    }
}

/// Judges a guardrail. With a margin it is kept when the whole interval lies above the margin (non-inferiority) and
/// violated when it lies below; without one it is violated when the variant is shown to be worse, and kept otherwise.
fn guard(judged: &Judged<'_>, margin: f64, found: Evidence) -> Guard {
    if margin <= 0.0 {
        return if found == Evidence::Worse { Guard::Violated } else { Guard::Kept };
    }
    let Some((lower, _, upper)) = judged.improvement() else { return Guard::Open };
    let control = judged.comparison.control_value.unwrap_or(0.0);
    let margin = if judged.relative { margin } else { margin * control.abs() };
    if lower > -margin {
        Guard::Kept
    } else if upper < -margin {
        Guard::Violated
    } else {
        Guard::Open
    }
}

fn explain_goal(judged: &Judged<'_>, found: Evidence) -> String {
    let metric = if judged.metric.is_empty() { "the metric" } else { judged.metric };
    let text = match found {
        Evidence::Better => "is better",
        Evidence::Worse => "is worse",
        Evidence::Open => "is not yet told apart from the control",
    };
    format!("{}: {metric} {text} ({})", judged.variant_id, size(judged.comparison))
}

fn explain_guardrail(judged: &Judged<'_>, margin: f64, guard: Guard) -> String {
    let text = match (guard, margin > 0.0) {
        (Guard::Kept, false) => "is not shown to be worse".to_owned(),
        (Guard::Kept, true) => format!("is not worse than the margin of {margin}"),
        (Guard::Violated, false) if judged.lower_is_better => "rose".to_owned(),
        (Guard::Violated, false) => "fell".to_owned(),
        (Guard::Violated, true) => format!("is worse than the margin of {margin}"),
        (Guard::Open, _) => format!("may still be worse than the margin of {margin}"),
    };
    format!("{}: guardrail {} {text} ({})", judged.variant_id, judged.metric, size(judged.comparison))
}

fn size(comparison: &Comparison) -> String {
    comparison.effect.map_or_else(
        || "no effect can be computed".to_owned(),
        |e| format!("{:+.4} [{:+.4}, {:+.4}]", e.estimate, e.lower, e.upper),
    )
}

/// Units that arms have, beside those planned.
pub struct Sizes<'a> {
    /// Ids of the variants.
    pub variants: &'a [String],
    /// Units each of them has.
    pub units: &'a [u64],
    /// Units planned for each; 0: none were.
    pub planned: u64,
    /// Whether units may still come.
    pub running: bool,
}

/// States what a fixed-horizon analysis lacks before it may say SHIP; `None` where it lacks nothing.
pub fn missing(sizes: &Sizes<'_>) -> Option<String> {
    if sizes.planned == 0 {
        return sizes.running.then(|| {
            "no SHIP yet: a FIXED analysis counts once, at the planned size, and planned_units_per_variant is not set: \
             stop the experiment, or analyse it with ANALYSIS_METHOD_SEQUENTIAL"
                .to_owned()
        });
    }
    let planned = sizes.planned;
    let short: Vec<String> = sizes
        .variants
        .iter()
        .zip(sizes.units)
        .filter(|(_, units)| **units < planned)
        .map(|(variant, units)| format!("{variant} has {units} of {planned} units"))
        .collect();
    let next = if sizes.running { "wait for the rest" } else { "run an experiment of the planned size" };
    (!short.is_empty()).then(|| {
        format!(
            "no SHIP yet: a FIXED analysis counts once, at the planned size: {}: {next}, or analyse with \
             ANALYSIS_METHOD_SEQUENTIAL",
            short.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::analyse::{Method, Question, compare};
    use crate::experiment::effect::Difference;
    use crate::metric::{MetricKind, Moments};

    fn comparison(control: f64, treatment: f64) -> Comparison {
        let arm = |share: f64| Moments::proportion(10_000, 10_000.0 * share);
        let question = Question::new(MetricKind::Proportion, Difference::Relative, Method::Fixed);
        compare(&arm(control), &arm(treatment), &question)
    }

    fn judged<'a>(variant_id: &'a str, role: Role, comparison: &'a Comparison) -> Judged<'a> {
        let p_adjusted = comparison.p_value;
        Judged {
            variant_id,
            metric: "M",
            role,
            lower_is_better: false,
            relative: true,
            comparison,
            p_adjusted,
        }
    }

    fn verdict(judged: &[Judged<'_>]) -> (Verdict, Option<String>) {
        let found = decide(judged, &Health::default(), 0.05, None);
        (found.verdict, found.variant_id)
    }

    #[test]
    fn of_two_better_variants_the_primary_metric_decides() {
        let (small, large) = (comparison(0.10, 0.12), comparison(0.10, 0.13));
        let (huge, none) = (comparison(0.01, 0.05), comparison(0.01, 0.01));
        let rows = [
            judged("b", Role::Primary, &small),
            judged("b", Role::Goal, &huge),
            judged("c", Role::Primary, &large),
            judged("c", Role::Goal, &none),
        ];
        assert_eq!(verdict(&rows), (Verdict::Ship, Some("c".into())));
    }

    #[test]
    fn a_guardrail_with_a_margin_must_be_shown_to_be_within_it() {
        let better = comparison(0.10, 0.12);
        // Relative effect −1 % with a half-width of about 2.8 %.
        let slightly_worse = comparison(0.50, 0.495);
        let (far_worse, unclear) = (comparison(0.50, 0.42), comparison(0.10, 0.099));
        for (guardrail, margin, expected) in [
            (&slightly_worse, 0.05, Verdict::Ship),
            (&slightly_worse, 0.02, Verdict::Wait),
            (&slightly_worse, 0.0, Verdict::Ship),
            (&far_worse, 0.05, Verdict::RollBack),
            (&far_worse, 0.0, Verdict::RollBack),
            (&unclear, 0.05, Verdict::Wait),
            (&unclear, 0.0, Verdict::Ship),
        ] {
            let rows =
                [judged("b", Role::Primary, &better), judged("b", Role::Guardrail { margin }, guardrail)];
            assert_eq!(verdict(&rows).0, expected, "{:?} {margin}", guardrail.effect);
        }
    }

    /// A guardrail that improves is no reason to ship, nor does it make a goal's evidence stronger.
    #[test]
    fn a_better_guardrail_is_no_goal() {
        let (open, better) = (comparison(0.10, 0.101), comparison(0.10, 0.14));
        let rows = [judged("b", Role::Primary, &open), judged("b", Role::Guardrail { margin: 0.0 }, &better)];
        assert_eq!(verdict(&rows).0, Verdict::Wait);
    }

    #[test]
    fn margins_and_directions_turn_round_where_lower_is_better() {
        let better = comparison(0.10, 0.12);
        let (rise, fall) = (comparison(0.50, 0.58), comparison(0.50, 0.42));
        for (guardrail, expected) in [(&rise, Verdict::RollBack), (&fall, Verdict::Ship)] {
            let guard =
                Judged { lower_is_better: true, ..judged("b", Role::Guardrail { margin: 0.05 }, guardrail) };
            assert_eq!(verdict(&[judged("b", Role::Primary, &better), guard]).0, expected);
        }
    }

    #[test]
    fn nothing_is_shipped_before_the_planned_size() {
        let better = comparison(0.10, 0.12);
        let variants = ["a".to_owned(), "b".to_owned()];
        let sizes = |units: &'static [u64], planned, running| {
            missing(&Sizes { variants: &variants, units, planned, running })
        };
        let short = sizes(&[100, 120], 120, true).expect("a is short");
        assert!(short.contains("a has 100 of 120 units") && !short.contains("b has"), "{short}");
        let found =
            decide(&[judged("b", Role::Primary, &better)], &Health::default(), 0.05, Some(short.as_str()));
        assert_eq!((found.verdict, found.variant_id), (Verdict::Wait, None));
        assert_eq!(found.reasons.last(), Some(&short));
        assert_eq!(sizes(&[120, 121], 120, true), None);
        assert!(sizes(&[100, 120], 120, false).is_some(), "stopping early is one look too");
        assert!(sizes(&[5, 5], 0, true).is_some_and(|text| text.contains("stop the experiment")));
        assert_eq!(sizes(&[5, 5], 0, false), None);
    }
}
