//! AnalyseExperiment and PlanExperiment, as plain functions the command line calls too.

mod beside;
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
use crate::experiment::quantile::{self, Quantile};
use crate::experiment::stratify::{self, Strata};
use crate::metric::{MetricKind, Moments};
use crate::stats::adjust::{Adjustment, adjusted};
use crate::stats::posterior::Beta;

pub use inline::inline;
pub use plan::plan;
pub(super) use stored::stored;

/// One metric's arms, the control first.
struct Family {
    metric: String,
    guardrail: bool,
    lower_is_better: bool,
    arms: Arms,
    warnings: Vec<&'static str>,
}

/// What is known of each arm.
enum Arms {
    Whole(MetricKind, Vec<Moments>),
    Stratified(MetricKind, Vec<Strata>),
    Quantiles(Vec<Quantile>),
}

impl Family {
    fn compare(&self, arm: usize, question: &Question) -> Comparison {
        let question = &Question { lower_is_better: self.falls_are_better(question), ..*question };
        let of = |kind: &MetricKind| Question { kind: *kind, ..*question };
        match &self.arms {
            Arms::Whole(kind, arms) => compare(&arms[0], &arms[arm], &of(kind)),
            Arms::Stratified(kind, arms) => stratify::compare(&arms[0], &arms[arm], &of(kind)),
            Arms::Quantiles(arms) => quantile::compare(&arms[0], &arms[arm], question),
        }
    }

    fn falls_are_better(&self, question: &Question) -> bool {
        self.lower_is_better || question.lower_is_better
    }
}

fn answer(
    names: &[String],
    families: &[Family],
    question: &Question,
    adjustment: Adjustment,
    health: &Health,
) -> wire::AnalyseExperimentResponse {
    let mut compared: Vec<(&Family, usize, Comparison)> = Vec::new();
    for family in families {
        compared.extend((1..names.len()).map(|arm| (family, arm, family.compare(arm, question))));
    }
    let level = 1.0 - question.alpha;
    let p_values: Vec<f64> = compared.iter().filter_map(|(_, _, comparison)| comparison.p_value).collect();
    let mut by_size = adjusted(&p_values, adjustment).into_iter();
    let p_adjusted: Vec<Option<f64>> =
        compared.iter().map(|(_, _, comparison)| comparison.p_value.and_then(|_| by_size.next())).collect();
    let mut judged: Vec<Judged<'_>> = compared
        .iter()
        .zip(&p_adjusted)
        .map(|((family, arm, comparison), p_adjusted)| Judged {
            variant_id: &names[*arm],
            metric: &family.metric,
            guardrail: family.guardrail,
            lower_is_better: family.falls_are_better(question),
            comparison,
            p_adjusted: *p_adjusted,
        })
        .collect();
    judged.sort_by_key(|judged| names.iter().position(|name| name == judged.variant_id));
    let decision = decide(&judged, health, question.alpha);
    let results = compared
        .iter()
        .zip(&p_adjusted)
        .map(|((family, arm, comparison), p_adjusted)| wire::VariantResult {
            metric: family.metric.clone(),
            variant_id: names[*arm].clone(),
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
            control_interval: family.value(0, level),
            variant_interval: family.value(*arm, level),
            proportions: family.proportions(*arm, level),
            pooled_t: family.pooled(*arm).map(|test| test.statistic),
            pooled_p_value: family.pooled(*arm).map(|test| test.p_value),
            ranks: None,
            dimension_value: String::new(),
            guardrail: family.guardrail,
            currency_code: String::new(),
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

/// The kind asked for; `None` where none is given, or where it is a quantile, which no sums over units make.
fn metric_kind(found: &mut Violations, given: i32, required: bool) -> Option<MetricKind> {
    found.known_enum::<wire::MetricKind>("metric_kind", given, required);
    match wire::MetricKind::try_from(given).unwrap_or_default() {
        wire::MetricKind::Unspecified | wire::MetricKind::Quantile => None,
        kind @ (wire::MetricKind::Retention | wire::MetricKind::Funnel) => {
            let text =
                format!("{} is of defined metrics alone: give its units as a proportion", kind.as_str_name());
            found.add("metric_kind", "NOT_INLINE", text);
            None
        }
        wire::MetricKind::Proportion => Some(MetricKind::Proportion),
        wire::MetricKind::Mean => Some(MetricKind::Mean),
        wire::MetricKind::Ratio => Some(MetricKind::Ratio),
    }
}

fn question(found: &mut Violations, request: &wire::AnalyseExperimentRequest, kind: MetricKind) -> Question {
    if request.beta_prior.is_some() && request.method() != wire::AnalysisMethod::Bayesian {
        found.add("beta_prior", "ONLY_BAYESIAN", "must be absent but for ANALYSIS_METHOD_BAYESIAN");
    }
    found.known_enum::<wire::EffectMeasure>("effect_measure", request.effect_measure, false);
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
        wire::AnalysisMethod::Bayesian => match beta_prior(found, request) {
            Some(prior) => Method::Posterior { prior },
            None => Method::Bayesian { prior },
        },
    };
    let difference = match request.effect_measure() {
        wire::EffectMeasure::Unspecified | wire::EffectMeasure::Relative => Difference::Relative,
        wire::EffectMeasure::Absolute => Difference::Absolute,
    };
    found.known_enum::<wire::Alternative>("alternative", request.alternative, false);
    let alternative = match request.alternative() {
        wire::Alternative::Unspecified | wire::Alternative::TwoSided => Alternative::TwoSided,
        wire::Alternative::Greater => Alternative::Greater,
        wire::Alternative::Less => Alternative::Less,
    };
    if alternative != Alternative::TwoSided && method != Method::Fixed {
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

/// The Beta prior, where one is given; it says all there is to say beforehand, and of the counts alone.
fn beta_prior(found: &mut Violations, request: &wire::AnalyseExperimentRequest) -> Option<Beta> {
    let given = request.beta_prior?;
    for (field, value) in [("beta_prior.alpha", given.alpha), ("beta_prior.beta", given.beta)] {
        if !(value > 0.0 && value.is_finite()) {
            found.add(field, "OUT_OF_RANGE", format!("must be a finite number above 0, is {value}"));
        }
    }
    if request.metric_kind() != wire::MetricKind::Proportion {
        found.add("beta_prior", "ONLY_PROPORTIONS", "must be absent but for METRIC_KIND_PROPORTION");
    }
    for (set, field) in [
        (request.prior.is_some(), "prior"),
        (request.cuped, "cuped"),
        (request.post_stratify, "post_stratify"),
    ] {
        if set {
            found.add(field, "NOT_WITH_BETA_PRIOR", "must be absent where beta_prior is given");
        }
    }
    Some(Beta { alpha: given.alpha, beta: given.beta })
}

fn adjustment(found: &mut Violations, request: &wire::AnalyseExperimentRequest) -> Adjustment {
    found.known_enum::<wire::Adjustment>("adjustment", request.adjustment, false);
    match request.adjustment() {
        wire::Adjustment::Unspecified | wire::Adjustment::Holm => Adjustment::Holm,
        wire::Adjustment::BenjaminiHochberg => Adjustment::BenjaminiHochberg,
        wire::Adjustment::BenjaminiYekutieli => Adjustment::BenjaminiYekutieli,
        wire::Adjustment::Bonferroni => Adjustment::Bonferroni,
        wire::Adjustment::Sidak => Adjustment::Sidak,
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
