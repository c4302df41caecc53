//! Arms summed up from single units.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use proto::evaluator::v1::{
    AnalyseExperimentRequest, AnalyseExperimentResponse, Arm, MetricKind, Quantile, RankTests,
};

use super::super::table::Table;
use super::{Arguments, VARIANT, with_options};
use crate::metric::Moments;
use crate::metric::quantile::sample;
use crate::stats::rank::{kolmogorov_smirnov, mann_whitney};

/// The columns of a table of units besides the variant and the outcome.
const NUMBERS: [&str; 4] = ["outcome", "denominator", "covariate", "covariate_denominator"];
/// Its columns of text.
const TEXTS: [&str; 3] = [VARIANT, "stratum", "unit_id"];

/// One unit; of a quantile, all its values.
#[derive(Debug, Clone, Default)]
struct Unit {
    values: Vec<f64>,
    denominator: f64,
    covariate: f64,
    covariate_denominator: f64,
    stratum: String,
}

/// The units of one variant, in the order read.
#[derive(Debug, Default)]
struct Sample {
    variant: String,
    units: Vec<Unit>,
    named: HashMap<String, usize>,
}

/// The analysis of the units in `file`.
pub(super) fn analysed(file: &Path, arguments: &Arguments) -> anyhow::Result<AnalyseExperimentResponse> {
    let kind = arguments.metric_kind.context("--metric-kind must be given with --units")?;
    ensure!(
        (kind == MetricKind::Quantile) == arguments.quantile.is_some(),
        "--quantile must be given with --metric-kind QUANTILE, and only then"
    );
    let mut samples = read(file)?;
    if let Some(control) = &arguments.control {
        let place = samples.iter().position(|sample| sample.variant == *control);
        let place = place.with_context(|| format!("--control {control:?} is no variant"))?;
        samples[..=place].rotate_right(1);
    }
    let arms = samples
        .iter()
        .map(|sample| match arguments.quantile {
            Some(level) => quantile(sample, level),
            None => sums(sample, kind, arguments.post_stratify),
        })
        .collect::<anyhow::Result<_>>()?;
    let request =
        AnalyseExperimentRequest { arms, metric_kind: kind.into(), ..AnalyseExperimentRequest::default() };
    let mut found = super::analysed(with_options(request, arguments)?)?;
    if kind == MetricKind::Mean {
        let outcomes: Vec<Vec<f64>> = samples
            .iter()
            .map(|sample| sample.units.iter().map(|unit| unit.values.iter().sum()).collect())
            .collect();
        for (result, treatment) in found.results.iter_mut().zip(&outcomes[1..]) {
            result.ranks = ranks(&outcomes[0], treatment);
        }
    }
    Ok(found)
}

fn read(file: &Path) -> anyhow::Result<Vec<Sample>> {
    let table = Table::read(file)?;
    table.knows(&NUMBERS, &TEXTS)?;
    let outcomes = table.numbers("outcome")?;
    let (denominators, covariates) =
        (table.numbers_or("denominator", 1.0)?, table.numbers_or("covariate", 0.0)?);
    let covariate_denominators = table.numbers_or("covariate_denominator", 0.0)?;
    let (strata, ids) = (table.texts_or("stratum"), table.texts_or("unit_id"));
    let mut samples: Vec<Sample> = Vec::new();
    for (row, variant) in table.texts(VARIANT)?.iter().enumerate() {
        let place = samples.iter().position(|sample| sample.variant == *variant).unwrap_or_else(|| {
            samples.push(Sample { variant: variant.clone(), ..Sample::default() });
            samples.len() - 1
        });
        let sample = &mut samples[place];
        let (stratum, id) =
            (strata.get(row).cloned().unwrap_or_default(), ids.get(row).filter(|id| !id.is_empty()));
        let known = id.and_then(|id| sample.named.get(id).copied());
        let place = known.unwrap_or_else(|| {
            sample.units.push(Unit { stratum: stratum.clone(), ..Unit::default() });
            sample.units.len() - 1
        });
        if let Some(id) = id {
            sample.named.insert(id.clone(), place);
        }
        let unit = &mut sample.units[place];
        let kept = &unit.stratum;
        ensure!(
            *kept == stratum,
            "{}: the unit was in stratum {kept:?}, is in {stratum:?}",
            table.place(row)
        );
        unit.values.push(outcomes[row]);
        unit.denominator += denominators[row];
        unit.covariate += covariates[row];
        unit.covariate_denominator += covariate_denominators[row];
    }
    Ok(samples)
}

/// The sums over a sample's units.
fn sums(sample: &Sample, kind: MetricKind, stratify: bool) -> anyhow::Result<Arm> {
    let mut strata: BTreeMap<String, Moments> = BTreeMap::new();
    for unit in &sample.units {
        let outcome: f64 = unit.values.iter().sum();
        if kind == MetricKind::Proportion && !matches!(outcome, 0.0 | 1.0) {
            bail!("variant {:?}: an outcome of a PROPORTION must be 0 or 1, is {outcome}", sample.variant);
        }
        let moments = strata.entry(unit.stratum.clone()).or_default();
        moments.add_unit(outcome, unit.denominator);
        moments.add_covariate(outcome, unit.denominator, unit.covariate, unit.covariate_denominator);
    }
    let whole = strata.values().fold(Moments::default(), |all, part| all.plus(part));
    Ok(Arm {
        variant_id: sample.variant.clone(),
        moments: Some(whole.into()),
        strata: if stratify {
            strata.iter().map(|(name, part)| (name.clone(), (*part).into())).collect()
        } else {
            [].into()
        },
        ..Arm::default()
    })
}

/// The quantile of a sample's values; where units have several, with how they cluster.
fn quantile(sample: &Sample, level: f64) -> anyhow::Result<Arm> {
    ensure!(level > 0.0 && level < 1.0, "--quantile must be above 0 and below 1, is {level}");
    let mut values: Vec<f64> = sample.units.iter().flat_map(|unit| unit.values.iter().copied()).collect();
    let found = sample_quantile(&mut values, level);
    let clustered = sample.units.iter().any(|unit| unit.values.len() > 1);
    let mut clusters = Moments::default();
    for unit in &sample.units {
        let below = unit.values.iter().filter(|value| **value <= found.estimate).count();
        clusters.add_unit(below as f64, unit.values.len() as f64);
    }
    Ok(Arm {
        variant_id: sample.variant.clone(),
        quantile: Some(found),
        moments: clustered.then(|| clusters.into()),
        ..Arm::default()
    })
}

fn sample_quantile(values: &mut [f64], level: f64) -> Quantile {
    values.sort_by(f64::total_cmp);
    let [lower, estimate, upper] = sample(values, level);
    Quantile { level, values: values.len() as u64, estimate, lower, upper, bound_values: 0 }
}

fn ranks(control: &[f64], treatment: &[f64]) -> Option<RankTests> {
    let distance = kolmogorov_smirnov(control, treatment)?;
    let u = mann_whitney(control, treatment);
    Some(RankTests {
        mann_whitney_u: u.map_or(0.0, |test| test.statistic),
        mann_whitney_p_value: u.map(|test| test.p_value),
        kolmogorov_smirnov: distance.statistic,
        kolmogorov_smirnov_p_value: distance.p_value,
    })
}
