//! `evaluator analyse`: AnalyseExperiment's inline form, from a request, from arms or from single units.

mod units;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{ArgGroup, Args};
use proto::evaluator::v1::{
    Adjustment, Alternative, AnalyseExperimentRequest, AnalyseExperimentResponse, AnalysisMethod, Arm,
    EffectMeasure, MetricKind, Moments,
};
use serde_json::Value;

use super::table::Table;
use crate::service::analysis::inline;

/// What `evaluator analyse` is told. What is given on the command line counts before what the file says.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["arms", "units"]))]
pub struct Arguments {
    /// JSON of an AnalyseExperiment request with arms; or CSV (plain or .gz) or Parquet with a row an arm, the control
    /// first: variant_id, perhaps weight, and the fields of moments.
    #[arg(long, value_name = "FILE")]
    arms: Option<PathBuf>,
    /// CSV (plain or .gz) or Parquet with a row a unit: variant_id, outcome, and perhaps denominator, covariate,
    /// covariate_denominator (of a RATIO), stratum, and unit_id where a unit has several rows. The control is the variant of the first row.
    #[arg(long, value_name = "FILE")]
    units: Option<PathBuf>,
    /// The variant that is the control.
    #[arg(long, value_name = "VARIANT")]
    control: Option<String>,
    /// PROPORTION, MEAN, RATIO or QUANTILE.
    #[arg(long, value_parser = kind)]
    metric_kind: Option<MetricKind>,
    /// RELATIVE or ABSOLUTE.
    #[arg(long, value_parser = effect_measure)]
    effect_measure: Option<EffectMeasure>,
    /// FIXED, SEQUENTIAL or BAYESIAN.
    #[arg(long, value_parser = method)]
    method: Option<AnalysisMethod>,
    /// Whether the covariate is used to reduce variance.
    #[arg(long)]
    cuped: bool,
    /// Error level.
    #[arg(long)]
    alpha: Option<f64>,
    /// Units at which the sequential interval is narrowest.
    #[arg(long)]
    sequential_tuning: Option<f64>,
    /// TWO_SIDED, GREATER or LESS.
    #[arg(long, value_parser = alternative)]
    alternative: Option<Alternative>,
    /// HOLM, BENJAMINI_HOCHBERG, BENJAMINI_YEKUTIELI, BONFERRONI or SIDAK.
    #[arg(long, value_parser = adjustment)]
    adjustment: Option<Adjustment>,
    /// Whether a fall is the better direction.
    #[arg(long)]
    lower_is_better: bool,
    /// Whether effects are weighed over strata.
    #[arg(long)]
    post_stratify: bool,
    /// Of units and QUANTILE: the share of values below, such as 0.9.
    #[arg(long, value_name = "SHARE")]
    quantile: Option<f64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The column that tells arms apart.
const VARIANT: &str = "variant_id";

/// A parser of an enum's value by its full name, or without its prefix, in any case.
macro_rules! named {
    ($function:ident, $kind:ty, $prefix:literal) => {
        fn $function(text: &str) -> Result<$kind, String> {
            let name = text.to_uppercase().replace('-', "_");
            <$kind>::from_str_name(&name)
                .or_else(|| <$kind>::from_str_name(&format!("{}{name}", $prefix)))
                .ok_or_else(|| format!("{text:?} is not known"))
        }
    };
}

named!(kind, MetricKind, "METRIC_KIND_");
named!(effect_measure, EffectMeasure, "EFFECT_MEASURE_");
named!(method, AnalysisMethod, "ANALYSIS_METHOD_");
named!(alternative, Alternative, "ALTERNATIVE_");
named!(adjustment, Adjustment, "ADJUSTMENT_");

pub(super) fn print_analysis(arguments: &Arguments) -> anyhow::Result<String> {
    let found = match (&arguments.arms, &arguments.units) {
        (Some(file), _) => analysed(with_options(arms(file)?, arguments)?)?,
        (None, Some(file)) => units::analysed(file, arguments)?,
        (None, None) => anyhow::bail!("--arms or --units must be given"),
    };
    if arguments.json { object(&found) } else { Ok(table(&found)) }
}

/// The answer as JSON. A one-sided interval's open end is "Infinity" as in proto3's mapping; serde_json would say null.
fn object(found: &AnalyseExperimentResponse) -> anyhow::Result<String> {
    let mut told = serde_json::to_value(found)?;
    for (index, result) in found.results.iter().enumerate() {
        let Some(effect) = &result.effect else { continue };
        for (name, bound) in [("lower", effect.lower), ("upper", effect.upper)] {
            if bound.is_infinite() {
                let text = if bound > 0.0 { "Infinity" } else { "-Infinity" };
                told["results"][index]["effect"][name] = text.into();
            }
        }
    }
    Ok(told.to_string())
}

fn analysed(request: AnalyseExperimentRequest) -> anyhow::Result<AnalyseExperimentResponse> {
    inline(&request).map_err(|status| anyhow::anyhow!("{}", status.message()))
}

fn with_options(
    mut request: AnalyseExperimentRequest,
    arguments: &Arguments,
) -> anyhow::Result<AnalyseExperimentRequest> {
    let number = |given: Option<i32>, kept: i32| given.unwrap_or(kept);
    request.metric_kind = number(arguments.metric_kind.map(Into::into), request.metric_kind);
    request.effect_measure = number(arguments.effect_measure.map(Into::into), request.effect_measure);
    request.method = number(arguments.method.map(Into::into), request.method);
    request.alternative = number(arguments.alternative.map(Into::into), request.alternative);
    request.adjustment = number(arguments.adjustment.map(Into::into), request.adjustment);
    request.alpha = arguments.alpha.or(request.alpha);
    request.sequential_tuning = arguments.sequential_tuning.or(request.sequential_tuning);
    request.cuped |= arguments.cuped;
    request.lower_is_better |= arguments.lower_is_better;
    request.post_stratify |= arguments.post_stratify;
    if let Some(control) = &arguments.control {
        let place = request.arms.iter().position(|arm| arm.variant_id == *control);
        request.arms[..=place.with_context(|| format!("--control {control:?} is no variant"))?]
            .rotate_right(1);
    }
    Ok(request)
}

/// A request from JSON, or from a table of arms.
fn arms(file: &Path) -> anyhow::Result<AnalyseExperimentRequest> {
    let name = file.display();
    if !file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        return table_of_arms(file);
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let given: Value = serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"))?;
    for (index, arm) in given["arms"].as_array().into_iter().flatten().enumerate() {
        let units = &arm["moments"]["units"];
        let whole = units.is_null() || units.as_u64().is_some() || units.as_str().is_some();
        ensure!(whole, "arms[{index}].moments.units: must be a whole number of at least 0, is {units}");
    }
    serde_json::from_value(given).with_context(|| format!("{name} is no AnalyseExperiment request"))
}

/// The columns of a table of arms besides variant_id, the first two required.
const COLUMNS: [&str; 16] = [
    "units",
    "sum",
    "weight",
    "sum_squares",
    "denominator_sum",
    "denominator_sum_squares",
    "cross_sum",
    "covariate_sum",
    "covariate_sum_squares",
    "covariate_cross_sum",
    "covariate_denominator_sum",
    "covariate_denominator_sum_squares",
    "covariate_denominator_cross_sum",
    "outcome_covariate_denominator_sum",
    "denominator_covariate_sum",
    "denominator_covariate_denominator_sum",
];

fn table_of_arms(file: &Path) -> anyhow::Result<AnalyseExperimentRequest> {
    let table = Table::read(file)?;
    table.knows(&COLUMNS, &[VARIANT])?;
    let mut columns = Vec::new();
    for (place, name) in COLUMNS.iter().enumerate() {
        columns.push(if place < 2 { table.numbers(name)? } else { table.numbers_or(name, 0.0)? });
    }
    let mut request = AnalyseExperimentRequest::default();
    for (row, variant_id) in table.texts(VARIANT)?.iter().enumerate() {
        let at = |place: usize| columns[place][row];
        let units = at(0);
        ensure!(
            units >= 0.0 && units.fract() == 0.0,
            "{}: units must be a whole number of at least 0, is {units}",
            table.place(row)
        );
        let moments = Moments {
            units: units as u64,
            sum: at(1),
            sum_squares: at(3),
            denominator_sum: at(4),
            denominator_sum_squares: at(5),
            cross_sum: at(6),
            covariate_sum: at(7),
            covariate_sum_squares: at(8),
            covariate_cross_sum: at(9),
            covariate_denominator_sum: at(10),
            covariate_denominator_sum_squares: at(11),
            covariate_denominator_cross_sum: at(12),
            outcome_covariate_denominator_sum: at(13),
            denominator_covariate_sum: at(14),
            denominator_covariate_denominator_sum: at(15),
        };
        let (variant_id, moments) = (variant_id.clone(), Some(moments));
        request.arms.push(Arm { variant_id, weight: at(2), moments, ..Arm::default() });
    }
    Ok(request)
}

fn table(found: &AnalyseExperimentResponse) -> String {
    let mut lines =
        vec![format!("{:<20} {:>12} {:>26} {:>10}", "variant", "effect", "interval", "p or chance")];
    for result in &found.results {
        let (effect, range) = result.effect.as_ref().map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |e| (format!("{:+.5}", e.estimate), format!("[{:+.5}, {:+.5}]", e.lower, e.upper)),
        );
        let p = result.p_value.or(result.chance_to_win);
        let p = p.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}"));
        let warnings = result.warnings.join(" ");
        lines.push(format!("{:<20} {effect:>12} {range:>26} {p:>11} {warnings}", result.variant_id));
    }
    if let Some(health) = &found.health {
        let p = health.srm_p_value.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}"));
        lines.push(format!("sample ratio p {p} {}", health.warnings.join(" ")));
    }
    if let Some(decision) = &found.decision {
        lines.push(decision.verdict().as_str_name().to_owned());
        lines.extend(decision.reasons.iter().map(|reason| format!("  {reason}")));
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}
