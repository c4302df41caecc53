//! AnalyseExperiment and PlanExperiment, as plain functions the command line calls too.

mod inline;
mod plan;
mod stored;

use proto::evaluator::v1 as wire;
use proto::validate::Violations;

use super::convert::interval;
use crate::experiment::analyse::{Alternative, Comparison, Method, Prior, Question, compare};
use crate::experiment::decision::{Judged, Verdict, decide};
use crate::experiment::effect::Difference;
use crate::experiment::health::Health;
use crate::experiment::stratify::{self, Strata};
use crate::metric::{MetricKind, Moments};
use crate::stats::adjust::{Adjustment, adjusted};

pub use inline::inline;
pub use plan::plan;
pub(super) use stored::stored;

/// One metric's arms, the control first.
struct Family {
    metric: String,
    guardrail: bool,
    kind: MetricKind,
    arms: Vec<Moments>,
    /// Of each arm by stratum; empty: not stratified.
    strata: Vec<Strata>,
    warnings: Vec<&'static str>,
}

impl Family {
    fn compare(&self, arm: usize, question: &Question) -> Comparison {
        let question = Question { kind: self.kind, ..*question };
        match self.strata.first() {
            Some(control) => stratify::compare(control, &self.strata[arm], &question),
            None => compare(&self.arms[0], &self.arms[arm], &question),
        }
    }
}

fn answer(
    names: &[String],
    families: &[Family],
    question: &Question,
    adjustment: Adjustment,
    health: &Health,
) -> wire::AnalyseExperimentResponse {
    let mut compared: Vec<(&Family, &str, Comparison)> = Vec::new();
    for family in families {
        for (index, name) in names.iter().enumerate().skip(1) {
            compared.push((family, name, family.compare(index, question)));
        }
    }
    let p_values: Vec<f64> = compared.iter().filter_map(|(_, _, comparison)| comparison.p_value).collect();
    let mut by_size = adjusted(&p_values, adjustment).into_iter();
    let p_adjusted: Vec<Option<f64>> =
        compared.iter().map(|(_, _, comparison)| comparison.p_value.and_then(|_| by_size.next())).collect();
    let mut judged: Vec<Judged<'_>> = compared
        .iter()
        .zip(&p_adjusted)
        .map(|((family, variant_id, comparison), p_adjusted)| Judged {
            variant_id,
            metric: &family.metric,
            guardrail: family.guardrail,
            lower_is_better: question.lower_is_better,
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
            fieller: comparison.fieller.map(interval),
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
            covariate_p_value: health.covariate_p_value,
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
    let prior = request.prior.map(|p| Prior {
        mean: p.mean,
        standard_deviation: p.standard_deviation,
        absolute: p.absolute,
    });
    let method = match request.method() {
        wire::AnalysisMethod::Unspecified | wire::AnalysisMethod::Fixed => Method::Fixed,
        wire::AnalysisMethod::Sequential => Method::Sequential { tuning },
        wire::AnalysisMethod::Bayesian => Method::Bayesian { prior },
    };
    let difference = match request.difference() {
        wire::Difference::Unspecified | wire::Difference::Relative => Difference::Relative,
        wire::Difference::Absolute => Difference::Absolute,
    };
    found.known_enum::<wire::Alternative>("alternative", request.alternative, false);
    let alternative = match request.alternative() {
        wire::Alternative::Unspecified | wire::Alternative::TwoSided => Alternative::TwoSided,
        wire::Alternative::Greater => Alternative::Greater,
    };
    if alternative == Alternative::Greater && method != Method::Fixed {
        found.add("alternative", "ONLY_FIXED", "must be ALTERNATIVE_TWO_SIDED but for ANALYSIS_METHOD_FIXED");
    }
    if alternative == Alternative::Greater && request.lower_is_better {
        let text = "must be false with ALTERNATIVE_GREATER, which asks whether the variant is greater";
        found.add("lower_is_better", "CONTRADICTION", text);
    }
    Question {
        cuped: request.cuped,
        alpha,
        alternative,
        lower_is_better: request.lower_is_better,
        ..Question::new(kind, difference, method)
    }
}

fn adjustment(found: &mut Violations, request: &wire::AnalyseExperimentRequest) -> Adjustment {
    found.known_enum::<wire::Adjustment>("adjustment", request.adjustment, false);
    match request.adjustment() {
        wire::Adjustment::Unspecified | wire::Adjustment::Holm => Adjustment::Holm,
        wire::Adjustment::BenjaminiHochberg => Adjustment::BenjaminiHochberg,
    }
}

/// A probability strictly between 0 and 1.
fn share(found: &mut Violations, field: &str, given: Option<f64>, usual: f64) -> f64 {
    let value = given.unwrap_or(usual);
    if !(value > 0.0 && value < 1.0) {
        found.add(field, "OUT_OF_RANGE", format!("must be above 0 and below 1, is {value}"));
    }
    value
}
