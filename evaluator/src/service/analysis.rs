//! AnalyseExperiment and PlanExperiment, as plain functions the command line calls too.

mod beside;
mod inline;
mod plan;
mod stored;

use std::collections::HashSet;

use proto::evaluator::v1 as wire;
use proto::validate::Violations;

use super::convert::interval;
use crate::experiment::analyse::{Alternative, Comparison, Method, Prior, Question, compare};
use crate::experiment::decision::{Judged, Role, Verdict, decide};
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
    role: Role,
    /// Whether its comparisons are among the results; a guardrail that was not asked for is judged all the same.
    listed: bool,
    lower_is_better: bool,
    arms: Arms,
    /// Currency of a money metric; empty otherwise.
    currency: String,
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
        let mut question = Question { lower_is_better: self.falls_are_better(question), ..*question };
        if self.is_guardrail() {
            // A one-sided interval says nothing of one of the two: being worse, or being within the margin.
            question.alternative = Alternative::TwoSided;
        }
        let of = |kind: &MetricKind| Question { kind: *kind, ..question };
        match &self.arms {
            Arms::Whole(kind, arms) => compare(&arms[0], &arms[arm], &of(kind)),
            Arms::Stratified(kind, arms) => stratify::compare(&arms[0], &arms[arm], &of(kind)),
            Arms::Quantiles(arms) => quantile::compare(&arms[0], &arms[arm], &question),
        }
    }

    fn falls_are_better(&self, question: &Question) -> bool {
        self.lower_is_better || question.lower_is_better
    }

    fn is_guardrail(&self) -> bool {
        matches!(self.role, Role::Guardrail { .. })
    }
}

/// One comparison of an analysis.
struct Compared<'a> {
    family: &'a Family,
    arm: usize,
    comparison: Comparison,
    p_adjusted: Option<f64>,
}

/// The data of an analysis beside its metrics.
struct Design<'a> {
    /// Ids of the variants, the control first.
    names: &'a [String],
    health: &'a Health,
    /// States what a fixed-horizon analysis lacks before it may say SHIP.
    missing: Option<String>,
}

fn answer(
    design: &Design<'_>,
    families: &[Family],
    question: &Question,
    adjustment: Adjustment,
) -> wire::AnalyseExperimentResponse {
    let Design { names, health, missing } = design;
    let mut compared = compared(names, families, question);
    // Goals and guardrails are families of their own: a guardrail makes no goal harder to reach.
    for guardrails in [false, true] {
        adjust(&mut compared, guardrails, adjustment);
    }
    let judged: Vec<Judged<'_>> = compared
        .iter()
        .map(|Compared { family, arm, comparison, p_adjusted }| Judged {
            variant_id: &names[*arm],
            metric: &family.metric,
            role: family.role,
            lower_is_better: family.falls_are_better(question),
            relative: question.difference == Difference::Relative,
            comparison,
            p_adjusted: *p_adjusted,
        })
        .collect();
    let fixed = question.method == Method::Fixed;
    let decision = decide(&judged, health, question.alpha, missing.as_deref().filter(|_| fixed));
    let uneven = uneven(families, question.alpha);
    let listed = compared.iter().filter(|compared| compared.family.listed);
    let results = listed.map(|compared| compared.result(names, question, &uneven)).collect();
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

/// Results within `value` of a dimension: not adjusted, and no part of the decision.
fn within_dimension(
    names: &[String],
    families: &[Family],
    question: &Question,
    value: &str,
) -> Vec<wire::VariantResult> {
    let found = compared(names, families, question);
    let listed = found.iter().filter(|compared| compared.family.listed);
    let result = |compared: &Compared<'_>| wire::VariantResult {
        dimension_value: value.to_owned(),
        ..compared.result(names, question, &HashSet::new())
    };
    listed.map(result).collect()
}

fn compared<'a>(names: &[String], families: &'a [Family], question: &Question) -> Vec<Compared<'a>> {
    let of = |family: &'a Family| {
        (1..names.len()).map(move |arm| Compared {
            family,
            arm,
            comparison: family.compare(arm, question),
            p_adjusted: None,
        })
    };
    families.iter().flat_map(of).collect()
}

/// Adjusts the p-values of the guardrails, or of the goals, for their number.
fn adjust(compared: &mut [Compared<'_>], guardrails: bool, adjustment: Adjustment) {
    let mut ours: Vec<(&mut Option<f64>, f64)> = compared
        .iter_mut()
        .filter(|compared| compared.family.is_guardrail() == guardrails)
        .filter_map(|compared| Some((&mut compared.p_adjusted, compared.comparison.p_value?)))
        .collect();
    let p_values: Vec<f64> = ours.iter().map(|(_, p_value)| *p_value).collect();
    for ((place, _), p_adjusted) in ours.iter_mut().zip(adjusted(&p_values, adjustment)) {
        **place = Some(p_adjusted);
    }
}

/// Metrics and arms whose pre-period differs from the control's at `alpha`, adjusted by Holm over all of them.
fn uneven(families: &[Family], alpha: f64) -> HashSet<(String, usize)> {
    let mut places = Vec::new();
    let mut p_values = Vec::new();
    for family in families {
        for (index, p_value) in family.pre_period().into_iter().enumerate() {
            places.push((family.metric.clone(), index + 1));
            p_values.push(p_value.unwrap_or(1.0));
        }
    }
    let found = adjusted(&p_values, Adjustment::Holm);
    places.into_iter().zip(found).filter(|(_, p_value)| *p_value < alpha).map(|(place, _)| place).collect()
}

/// Warning of a result whose arms differed before treatment.
const PRE_PERIOD_DIFFERS: &str = "PRE_PERIOD_DIFFERS";

impl Compared<'_> {
    fn result(
        &self,
        names: &[String],
        question: &Question,
        uneven: &HashSet<(String, usize)>,
    ) -> wire::VariantResult {
        let Self { family, arm, comparison, p_adjusted } = self;
        let level = 1.0 - question.alpha;
        let differs = uneven.contains(&(family.metric.clone(), *arm)).then_some(PRE_PERIOD_DIFFERS);
        let warnings = comparison.warnings.iter().map(|warning| warning.name());
        let warnings = warnings.chain(family.warnings.iter().copied()).chain(differs);
        wire::VariantResult {
            metric: family.metric.clone(),
            variant_id: names[*arm].clone(),
            effect: comparison.effect.map(interval),
            standard_error: comparison.standard_error,
            p_value: comparison.p_value,
            p_adjusted: *p_adjusted,
            chance_to_win: comparison.chance_to_win,
            risk_control: comparison.risk_control,
            risk_treatment: comparison.risk_treatment,
            warnings: warnings.map(str::to_owned).collect(),
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
            guardrail: family.is_guardrail(),
            currency_code: family.currency.clone(),
        }
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
