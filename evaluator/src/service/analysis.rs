//! AnalyseExperiment and PlanExperiment, as plain functions the command line calls too.

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::convert::interval;
use super::status::refuse;
use super::{Base, now};
use crate::error::Error;
use crate::experiment::analyse::{Comparison, Method, Prior, Question, compare};
use crate::experiment::decision::{Judged, Verdict, decide};
use crate::experiment::effect::Difference;
use crate::experiment::health::{Health, check};
use crate::experiment::outcome::Outcomes;
use crate::experiment::power::{Approximation, mean_units, proportion_units};
use crate::metric::{MetricKind, Moments, Named};
use crate::stats::adjust::{Adjustment, adjusted};

/// Most arms of one analysis.
const MOST_ARMS: usize = 1_000;
/// What a stored experiment is judged by when neither it nor the request names a metric.
const USUAL: [Named; 3] = [Named::Ctr, Named::Cr, Named::Revenue];

/// One metric's arms, the control first.
struct Family {
    metric: String,
    guardrail: bool,
    kind: MetricKind,
    arms: Vec<Moments>,
    warnings: Vec<&'static str>,
}

/// The analysis of arms given with the request.
pub fn inline(request: &wire::AnalyseExperimentRequest) -> Result<wire::AnalyseExperimentResponse, Status> {
    let mut found = Violations::new();
    let kind = metric_kind(&mut found, request.metric_kind, true);
    let question = question(&mut found, request, kind.unwrap_or(MetricKind::Mean));
    if request.arms.is_empty() {
        found.add("experiment_id", "EMPTY", "experiment_id or arms must be given");
    } else if !(2..=MOST_ARMS).contains(&request.arms.len()) {
        found.add("arms", "OUT_OF_RANGE", format!("must be 2 to {MOST_ARMS}, are {}", request.arms.len()));
    }
    if !request.metrics.is_empty() {
        found.add("metrics", "NOT_STORED", "must be empty where arms are given");
    }
    let mut seen = std::collections::HashSet::new();
    let mut arms = Vec::new();
    for (index, arm) in request.arms.iter().enumerate() {
        let path = format!("arms[{index}]");
        found.required_id(&format!("{path}.variant_id"), &arm.variant_id);
        if !arm.variant_id.is_empty() && !seen.insert(arm.variant_id.as_str()) {
            found.add(format!("{path}.variant_id"), "DUPLICATE", "must differ from the other arms' ids");
        }
        found.within_range(&format!("{path}.weight"), arm.weight, 0.0, f64::MAX);
        let Some(given) = &arm.moments else {
            found.add(format!("{path}.moments"), "EMPTY", "must be given");
            continue;
        };
        let sums = moments(given);
        if let Some(kind) = kind {
            for v in sums.check(kind, &format!("{path}.moments")) {
                found.add(v.field, v.reason, v.description);
            }
        }
        arms.push(sums);
    }
    refuse(found)?;
    let units: Vec<u64> = arms.iter().map(|arm| arm.units).collect();
    let weights: Vec<f64> = request.arms.iter().map(|arm| arm.weight).collect();
    let names: Vec<String> = request.arms.iter().map(|arm| arm.variant_id.clone()).collect();
    let health = check(&units, &weights, 0);
    let family =
        Family { metric: String::new(), guardrail: false, kind: question.kind, arms, warnings: Vec::new() };
    Ok(answer(&names, &[family], &question, &health))
}

/// The analysis of a stored experiment: outcomes joined to its decisions.
pub(super) async fn stored(
    base: &Base,
    request: wire::AnalyseExperimentRequest,
) -> Result<wire::AnalyseExperimentResponse, Status> {
    let mut found = Violations::new();
    found.required_id("experiment_id", &request.experiment_id);
    if !request.arms.is_empty() {
        found.add("arms", "BOTH_GIVEN", "must be empty where experiment_id is given");
    }
    let kind = metric_kind(&mut found, request.metric_kind, false);
    let question = question(&mut found, &request, MetricKind::Mean);
    for (index, name) in request.metrics.iter().enumerate() {
        if Named::parse(name).is_none() {
            let text = format!("must be one of {}, is {name:?}", Named::names());
            found.add(format!("metrics[{index}]"), "UNKNOWN_METRIC", text);
        }
    }
    if request.cuped {
        found.add("cuped", "NOT_STORED", "stored outcomes have no covariate: give arms with their sums");
    }
    refuse(found)?;
    let kept = base.store.experiment(&request.experiment_id).await?;
    let Some(started_at) = kept.started_at else {
        let text = format!("experiment {:?} was never started", request.experiment_id);
        return Err(Error::precondition("EXPERIMENT_NOT_STARTED", text).into());
    };
    let exposures = base.store.exposures(&request.experiment_id).await?;
    let decisions = base.store.decisions_in(&request.experiment_id).await?;
    let from = exposures.iter().map(|exposure| exposure.first_at).min().unwrap_or(started_at);
    // An answer told with a clock that is a little behind still answers.
    let facts = base.store.facts(Some(from - CLOCK_SLACK), None, &[]).await?;
    let until = kept.stopped_at.unwrap_or_else(|| now().saturating_add(CLOCK_SLACK));
    let design = kept.design;
    let mut wanted: Vec<Named> = request.metrics.iter().filter_map(|name| Named::parse(name)).collect();
    if wanted.is_empty() {
        wanted =
            design.metrics.iter().chain(&design.guardrails).filter_map(|name| Named::parse(name)).collect();
    }
    if wanted.is_empty() {
        wanted = USUAL.to_vec();
    }
    wanted.dedup();
    let analysis = move || -> Result<wire::AnalyseExperimentResponse, Status> {
        let names: Vec<String> = design.variants.iter().map(|variant| variant.variant_id.clone()).collect();
        let weights: Vec<f64> = design.variants.iter().map(|variant| variant.weight).collect();
        let outcomes = Outcomes::join(&names, &exposures, &decisions, &facts, Some(until));
        let health = check(&outcomes.units(), &weights, outcomes.multiple_exposures);
        let mut families = Vec::new();
        for metric in wanted {
            let kind = kind.unwrap_or_else(|| metric.kind());
            let sums = outcomes.sums(metric, kind)?;
            let warnings = if sums.decisions_for_impressions {
                vec!["DECISIONS_COUNTED_AS_IMPRESSIONS"]
            } else {
                Vec::new()
            };
            let guardrail = design.guardrails.iter().any(|name| name == metric.name());
            families.push(Family {
                metric: metric.name().into(),
                guardrail,
                kind,
                arms: sums.arms,
                warnings,
            });
        }
        Ok(answer(&names, &families, &question, &health))
    };
    base.pool.run(analysis).await?
}

/// Clocks that tell events may be apart by this much, microseconds.
const CLOCK_SLACK: i64 = 24 * 3_600 * 1_000_000;

fn answer(
    names: &[String],
    families: &[Family],
    question: &Question,
    health: &Health,
) -> wire::AnalyseExperimentResponse {
    let mut compared: Vec<(&Family, &str, Comparison)> = Vec::new();
    for family in families {
        let question = Question { kind: family.kind, ..*question };
        for (name, arm) in names.iter().zip(&family.arms).skip(1) {
            compared.push((family, name, compare(&family.arms[0], arm, &question)));
        }
    }
    let p_values: Vec<f64> = compared.iter().filter_map(|(_, _, comparison)| comparison.p_value).collect();
    let mut by_size = adjusted(&p_values, Adjustment::Holm).into_iter();
    let p_adjusted: Vec<Option<f64>> =
        compared.iter().map(|(_, _, comparison)| comparison.p_value.and_then(|_| by_size.next())).collect();
    let mut judged: Vec<Judged<'_>> = compared
        .iter()
        .zip(&p_adjusted)
        .map(|((family, variant_id, comparison), p_adjusted)| Judged {
            variant_id,
            metric: &family.metric,
            guardrail: family.guardrail,
            comparison,
            p_adjusted: *p_adjusted,
        })
        .collect();
    judged.sort_by_key(|judged| names.iter().position(|name| name == judged.variant_id));
    let decision = decide(&judged, health, question.alpha);
    let results = compared
        .iter()
        .zip(&p_adjusted)
        .map(|((family, variant_id, comparison), p_adjusted)| wire::VariantResult {
            metric: family.metric.clone(),
            variant_id: (*variant_id).to_owned(),
            effect: comparison.effect.map(interval),
            standard_error: comparison.standard_error,
            p_value: comparison.p_value,
            p_adjusted: *p_adjusted,
            chance_to_win: comparison.chance_to_win,
            risk_control: comparison.risk_control,
            risk_treatment: comparison.risk_treatment,
            warnings: comparison
                .warnings
                .iter()
                .map(|warning| warning.name())
                .chain(family.warnings.iter().copied())
                .map(str::to_owned)
                .collect(),
            control_value: comparison.control_value.unwrap_or(0.0),
            variant_value: comparison.variant_value.unwrap_or(0.0),
        })
        .collect();
    let verdict = match decision.verdict {
        Verdict::Ship => wire::DecisionVerdict::Ship,
        Verdict::RollBack => wire::DecisionVerdict::RollBack,
        Verdict::Wait => wire::DecisionVerdict::Wait,
        Verdict::Invalid => wire::DecisionVerdict::Invalid,
    };
    wire::AnalyseExperimentResponse {
        results,
        health: Some(wire::ExperimentHealth {
            srm_p_value: health.srm_p_value,
            multiple_exposures: health.multiple_exposures,
            warnings: health.warnings.iter().map(ToString::to_string).collect(),
        }),
        decision: Some(wire::ExperimentDecision {
            verdict: verdict.into(),
            variant_id: decision.variant_id.unwrap_or_default(),
            reasons: decision.reasons,
        }),
    }
}

fn metric_kind(found: &mut Violations, given: i32, required: bool) -> Option<MetricKind> {
    found.known_enum::<wire::MetricKind>("metric_kind", given, required);
    match wire::MetricKind::try_from(given).unwrap_or_default() {
        wire::MetricKind::Unspecified => None,
        wire::MetricKind::Proportion => Some(MetricKind::Proportion),
        wire::MetricKind::Mean => Some(MetricKind::Mean),
        wire::MetricKind::Ratio => Some(MetricKind::Ratio),
    }
}

fn question(found: &mut Violations, request: &wire::AnalyseExperimentRequest, kind: MetricKind) -> Question {
    found.known_enum::<wire::Difference>("difference", request.difference, false);
    found.known_enum::<wire::AnalysisMethod>("method", request.method, false);
    let alpha = share(found, "alpha", request.alpha, 0.05);
    let tuning = request.sequential_tuning.unwrap_or(5_000.0);
    if !(tuning > 0.0 && tuning.is_finite()) {
        found.add(
            "sequential_tuning",
            "OUT_OF_RANGE",
            format!("must be a finite number above 0, is {tuning}"),
        );
    }
    if let Some(prior) = &request.prior {
        found.finite("prior.mean", prior.mean);
        let sd = prior.standard_deviation;
        if !(sd > 0.0 && sd.is_finite()) {
            let text = format!("must be a finite number above 0, is {sd}");
            found.add("prior.standard_deviation", "OUT_OF_RANGE", text);
        }
    }
    let prior = request.prior.map(|p| Prior { mean: p.mean, standard_deviation: p.standard_deviation });
    let method = match request.method() {
        wire::AnalysisMethod::Unspecified | wire::AnalysisMethod::Fixed => Method::Fixed,
        wire::AnalysisMethod::Sequential => Method::Sequential { tuning },
        wire::AnalysisMethod::Bayesian => Method::Bayesian { prior },
    };
    let difference = match request.difference() {
        wire::Difference::Unspecified | wire::Difference::Relative => Difference::Relative,
        wire::Difference::Absolute => Difference::Absolute,
    };
    Question { cuped: request.cuped, alpha, ..Question::new(kind, difference, method) }
}

/// A probability strictly between 0 and 1.
fn share(found: &mut Violations, field: &str, given: Option<f64>, usual: f64) -> f64 {
    let value = given.unwrap_or(usual);
    if !(value > 0.0 && value < 1.0) {
        found.add(field, "OUT_OF_RANGE", format!("must be above 0 and below 1, is {value}"));
    }
    value
}

fn moments(given: &wire::Moments) -> Moments {
    Moments {
        units: given.units,
        sum: given.sum,
        sum_squares: given.sum_squares,
        denominator_sum: given.denominator_sum,
        denominator_sum_squares: given.denominator_sum_squares,
        cross_sum: given.cross_sum,
        covariate_sum: given.covariate_sum,
        covariate_sum_squares: given.covariate_sum_squares,
        covariate_cross_sum: given.covariate_cross_sum,
    }
}

/// Units and days an experiment needs. With more than two arms the level is shared among the comparisons with the
/// control, as Bonferroni does.
pub fn plan(request: &wire::PlanExperimentRequest) -> Result<wire::PlanExperimentResponse, Status> {
    let mut found = Violations::new();
    let kind = metric_kind(&mut found, request.metric_kind, true);
    if kind == Some(MetricKind::Ratio) {
        found.add("metric_kind", "NOT_PLANNED", "must be METRIC_KIND_PROPORTION or METRIC_KIND_MEAN");
    }
    found.finite("baseline", request.baseline);
    let effect = request.minimum_effect;
    if !(effect.is_finite() && effect != 0.0) {
        found.add(
            "minimum_effect",
            "OUT_OF_RANGE",
            format!("must be a finite number other than 0, is {effect}"),
        );
    }
    let treated = request.baseline * (1.0 + effect);
    if kind == Some(MetricKind::Proportion) {
        if !(request.baseline > 0.0 && request.baseline < 1.0) {
            found.add("baseline", "OUT_OF_RANGE", "must be above 0 and below 1 for a proportion");
        } else if !(treated > 0.0 && treated < 1.0) {
            found.add(
                "minimum_effect",
                "OUT_OF_RANGE",
                format!("makes the proportion {treated}, which is none"),
            );
        }
    } else if kind == Some(MetricKind::Mean) {
        if request.baseline == 0.0 {
            found.add("baseline", "OUT_OF_RANGE", "must not be 0: the effect is relative to it");
        }
        let sd = request.standard_deviation;
        if !(sd > 0.0 && sd.is_finite()) {
            found.add(
                "standard_deviation",
                "OUT_OF_RANGE",
                format!("must be a finite number above 0, is {sd}"),
            );
        }
    }
    let power = share(&mut found, "power", request.power, 0.8);
    let level = share(&mut found, "level", request.level, 0.05);
    let arms = if request.variants == 0 { 2 } else { request.variants };
    if !(2..=1_000).contains(&arms) {
        found.add("variants", "OUT_OF_RANGE", format!("must be 2 to 1000, is {arms}"));
    }
    refuse(found)?;
    let level = level / f64::from(arms - 1);
    let units = match kind {
        Some(MetricKind::Proportion) => {
            proportion_units(request.baseline, treated, level, power, 1.0, Approximation::Pooled)
        }
        _ => mean_units(request.baseline * effect / request.standard_deviation, level, power),
    };
    if !units.is_finite() || units > 1e15 {
        let text = "is too small to be found by any number of units";
        return Err(Error::invalid("minimum_effect", "OUT_OF_RANGE", text).into());
    }
    let units_per_variant = units.ceil() as u64;
    let all = units_per_variant.saturating_mul(u64::from(arms));
    let days = if request.daily_units == 0 { 0 } else { all.div_ceil(request.daily_units) };
    Ok(wire::PlanExperimentResponse { units_per_variant, days })
}
