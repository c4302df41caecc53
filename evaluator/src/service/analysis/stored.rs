use std::collections::BTreeMap;

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{Family, adjustment, answer, metric_kind, question};
use crate::error::Error;
use crate::experiment::health::check;
use crate::metric::{MetricKind, Moments, Named};
use crate::service::Base;
use crate::service::status::refuse;

/// What a stored experiment is judged by when neither it nor the request names a metric.
const USUAL: [Named; 3] = [Named::Ctr, Named::Cr, Named::Revenue];

/// The analysis of a stored experiment from its cells: it costs their number, not the units'.
pub(in crate::service) async fn stored(
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
    let adjustment = adjustment(&mut found, &request);
    for (index, name) in request.metrics.iter().enumerate() {
        if Named::parse(name).is_none() {
            let text = format!("must be one of {}, is {name:?}", Named::names());
            found.add(format!("metrics[{index}]"), "UNKNOWN_METRIC", text);
        }
    }
    refuse(found)?;
    let kept = base.store.experiment(&request.experiment_id).await?;
    if kept.started_at.is_none() {
        let text = format!("experiment {:?} was never started", request.experiment_id);
        return Err(Error::precondition("EXPERIMENT_NOT_STARTED", text).into());
    }
    let cells = base.store.cells(&request.experiment_id).await?;
    let (design, post_stratify) = (kept.design, request.post_stratify);
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
        let mut health = check(&cells.units_of(&names), &weights, cells.multiple_exposures());
        let mut families = Vec::new();
        for metric in wanted {
            let kind = kind.unwrap_or_else(|| metric.kind());
            let (by_channel, decisions_for_impressions) = cells.arms(metric, kind, &names)?;
            let whole =
                |arm: &BTreeMap<i16, Moments>| arm.values().fold(Moments::default(), |a, b| a.plus(b));
            let arms: Vec<Moments> = by_channel.iter().map(whole).collect();
            if kind == metric.kind() {
                health = health.with_covariates(&arms);
            }
            let mut warnings = Vec::new();
            if decisions_for_impressions {
                warnings.push("DECISIONS_COUNTED_AS_IMPRESSIONS");
            }
            let stratify = post_stratify && kind != MetricKind::Ratio;
            if post_stratify && !stratify {
                warnings.push("RATIO_NOT_STRATIFIED");
            }
            let named = |(channel, moments): (i16, Moments)| (channel.to_string(), moments);
            let strata = |arm: BTreeMap<i16, Moments>| arm.into_iter().map(named).collect();
            let guardrail = design.guardrails.iter().any(|name| name == metric.name());
            families.push(Family {
                metric: metric.name().into(),
                guardrail,
                kind,
                arms,
                strata: if stratify { by_channel.into_iter().map(strata).collect() } else { Vec::new() },
                warnings,
            });
        }
        Ok(answer(&names, &families, &question, adjustment, &health))
    };
    base.pool.run(analysis).await?
}
