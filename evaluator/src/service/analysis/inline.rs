use std::collections::HashSet;

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{Family, answer, metric_kind, question};
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
