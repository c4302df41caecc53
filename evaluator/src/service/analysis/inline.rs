use std::collections::HashSet;

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{Family, Strata, adjustment, answer, metric_kind, question};
use crate::experiment::health::check;
use crate::metric::{MetricKind, Moments};
use crate::service::status::refuse;

/// Most arms of one analysis.
const MOST_ARMS: usize = 1_000;

/// The analysis of arms given with the request.
pub fn inline(request: &wire::AnalyseExperimentRequest) -> Result<wire::AnalyseExperimentResponse, Status> {
    let mut found = Violations::new();
    let kind = metric_kind(&mut found, request.metric_kind, true);
    let question = question(&mut found, request, kind.unwrap_or(MetricKind::Mean));
    let adjustment = adjustment(&mut found, request);
    if request.arms.is_empty() {
        found.add("experiment_id", "EMPTY", "experiment_id or arms must be given");
    } else if !(2..=MOST_ARMS).contains(&request.arms.len()) {
        found.add("arms", "OUT_OF_RANGE", format!("must be 2 to {MOST_ARMS}, are {}", request.arms.len()));
    }
    if !request.metrics.is_empty() {
        found.add("metrics", "NOT_STORED", "must be empty where arms are given");
    }
    let mut seen = HashSet::new();
    let mut arms = Vec::new();
    let mut strata = Vec::new();
    if request.post_stratify && kind == Some(MetricKind::Ratio) {
        found.add("post_stratify", "NOT_FOR_RATIOS", "must be false for METRIC_KIND_RATIO");
    }
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
        if request.post_stratify {
            strata.push(stratified(&mut found, &path, arm, &sums, kind));
        }
        arms.push(sums);
    }
    refuse(found)?;
    let units: Vec<u64> = arms.iter().map(|arm| arm.units).collect();
    let weights: Vec<f64> = request.arms.iter().map(|arm| arm.weight).collect();
    let names: Vec<String> = request.arms.iter().map(|arm| arm.variant_id.clone()).collect();
    let health = check(&units, &weights, 0).with_covariates(&arms);
    let family = Family {
        metric: String::new(),
        guardrail: false,
        kind: question.kind,
        arms,
        strata,
        warnings: Vec::new(),
    };
    Ok(answer(&names, &[family], &question, adjustment, &health))
}

fn stratified(
    found: &mut Violations,
    path: &str,
    arm: &wire::Arm,
    whole: &Moments,
    kind: Option<MetricKind>,
) -> Strata {
    let strata: Strata = arm.strata.iter().map(|(name, sums)| (name.clone(), moments(sums))).collect();
    if strata.is_empty() {
        found.add(format!("{path}.strata"), "EMPTY", "must be given where post_stratify is set");
        return strata;
    }
    for (name, sums) in &strata {
        for v in kind.map(|kind| sums.check(kind, &format!("{path}.strata[{name}]"))).unwrap_or_default() {
            found.add(v.field, v.reason, v.description);
        }
    }
    let all = strata.values().fold(Moments::default(), |all, part| all.plus(part));
    if all.units != whole.units || (all.sum - whole.sum).abs() > 1e-9 * whole.sum.abs().max(1.0) {
        let text = format!(
            "must add up to moments ({} units, sum {}), are {} units, sum {}",
            whole.units, whole.sum, all.units, all.sum
        );
        found.add(format!("{path}.strata"), "NOT_THE_WHOLE", text);
    }
    strata
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
