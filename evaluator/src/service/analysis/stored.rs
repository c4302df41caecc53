use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{Family, adjustment, answer, metric_kind, question};
use crate::error::Error;
use crate::experiment::health::check;
use crate::experiment::outcome::Outcomes;
use crate::metric::{MetricKind, Named};
use crate::service::status::refuse;
use crate::service::{Base, now};

/// What a stored experiment is judged by when neither it nor the request names a metric.
const USUAL: [Named; 3] = [Named::Ctr, Named::Cr, Named::Revenue];

/// The analysis of a stored experiment: outcomes joined to its decisions.
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
                strata: Vec::new(),
                warnings,
            });
        }
        Ok(answer(&names, &families, &question, adjustment, &health))
    };
    base.pool.run(analysis).await?
}

/// Clocks that tell events may be apart by this much, microseconds.
const CLOCK_SLACK: i64 = 24 * 3_600 * 1_000_000;
