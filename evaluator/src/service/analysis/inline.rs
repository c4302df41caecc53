use std::collections::HashSet;

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{Arms, Design, Family, Quantile, Strata, adjustment, answer, metric_kind, question};
use crate::error::Violation;
use crate::experiment::decision::{Role, Sizes, missing};
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
    if request.post_stratify && kind == Some(MetricKind::Ratio) {
        found.add("post_stratify", "NOT_FOR_RATIOS", "must be false for METRIC_KIND_RATIO");
    }
    if !request.dimension.is_empty() {
        found.add("dimension", "NOT_STORED", "must be empty where arms are given");
    }
    names(&mut found, &request.arms);
    let (arms, units) = match kind {
        _ if request.metric_kind() == wire::MetricKind::Quantile => quantiles(&mut found, request),
        Some(kind) => sums(&mut found, request, kind),
        None => (Arms::Quantiles(Vec::new()), Vec::new()),
    };
    refuse(found)?;
    let weights: Vec<f64> = request.arms.iter().map(|arm| arm.weight).collect();
    let names: Vec<String> = request.arms.iter().map(|arm| arm.variant_id.clone()).collect();
    let family = Family {
        metric: String::new(),
        role: Role::Primary,
        listed: true,
        lower_is_better: false,
        arms,
        currency: String::new(),
        warnings: Vec::new(),
    };
    let health = check(&units, &weights, 0).with_pre_period(&family.pre_period());
    let planned = request.planned_units_per_variant;
    // Without a planned size arms given here are taken to be complete.
    let missing = missing(&Sizes { variants: &names, units: &units, planned, running: planned > 0 });
    let design = Design { names: &names, health: &health, missing };
    Ok(answer(&design, &[family], &question, adjustment))
}

fn names(found: &mut Violations, arms: &[wire::Arm]) {
    let mut seen = HashSet::new();
    for (index, arm) in arms.iter().enumerate() {
        let path = format!("arms[{index}]");
        found.required_id(&format!("{path}.variant_id"), &arm.variant_id);
        if !arm.variant_id.is_empty() && !seen.insert(arm.variant_id.as_str()) {
            found.add(format!("{path}.variant_id"), "DUPLICATE", "must differ from the other arms' ids");
        }
        found.within_range(&format!("{path}.weight"), arm.weight, 0.0, f64::MAX);
    }
}

/// The arms' sums, and the units of each.
fn sums(
    found: &mut Violations,
    request: &wire::AnalyseExperimentRequest,
    kind: MetricKind,
) -> (Arms, Vec<u64>) {
    let (mut arms, mut strata) = (Vec::new(), Vec::new());
    for (index, arm) in request.arms.iter().enumerate() {
        let path = format!("arms[{index}]");
        if arm.quantile.is_some() {
            found.add(
                format!("{path}.quantile"),
                "ONLY_QUANTILES",
                "must be absent but for METRIC_KIND_QUANTILE",
            );
        }
        let Some(given) = &arm.moments else {
            found.add(format!("{path}.moments"), "EMPTY", "must be given");
            continue;
        };
        let sums = Moments::from(*given);
        add_all(found, sums.check(kind, &format!("{path}.moments")));
        if request.post_stratify {
            strata.push(stratified(found, &path, arm, &sums, kind));
        }
        arms.push(sums);
    }
    let units = arms.iter().map(|arm| arm.units).collect();
    (if request.post_stratify { Arms::Stratified(kind, strata) } else { Arms::Whole(kind, arms) }, units)
}

/// The arms' quantiles, and the units of each: clusters, or values where each unit has one.
fn quantiles(found: &mut Violations, request: &wire::AnalyseExperimentRequest) -> (Arms, Vec<u64>) {
    for (set, field) in [(request.cuped, "cuped"), (request.post_stratify, "post_stratify")] {
        if set {
            found.add(field, "NOT_FOR_QUANTILES", "must be false for METRIC_KIND_QUANTILE");
        }
    }
    let (mut arms, mut units) = (Vec::new(), Vec::new());
    for (index, arm) in request.arms.iter().enumerate() {
        let path = format!("arms[{index}]");
        let Some(given) = &arm.quantile else {
            found.add(format!("{path}.quantile"), "EMPTY", "must be given");
            continue;
        };
        let clusters = arm.moments.map(Moments::from);
        if let Some(clusters) = &clusters {
            add_all(found, clusters.check(MetricKind::Ratio, &format!("{path}.moments")));
        }
        let quantile = Quantile {
            level: given.level,
            values: given.values,
            estimate: given.estimate,
            lower: given.lower,
            upper: given.upper,
            bound_values: if given.bound_values == 0 { given.values } else { given.bound_values },
            clusters,
        };
        add_all(found, quantile.check(&format!("{path}.quantile")));
        if arms.first().is_some_and(|first: &Quantile| first.level.total_cmp(&quantile.level).is_ne()) {
            found.add(format!("{path}.quantile.level"), "MIXED", "must be the same in all arms");
        }
        units.push(clusters.map_or(quantile.values, |clusters| clusters.units));
        arms.push(quantile);
    }
    (Arms::Quantiles(arms), units)
}

fn add_all(found: &mut Violations, more: Vec<Violation>) {
    for v in more {
        found.add(v.field, v.reason, v.description);
    }
}

fn stratified(
    found: &mut Violations,
    path: &str,
    arm: &wire::Arm,
    whole: &Moments,
    kind: MetricKind,
) -> Strata {
    let strata: Strata = arm.strata.iter().map(|(name, sums)| (name.clone(), Moments::from(*sums))).collect();
    if strata.is_empty() {
        found.add(format!("{path}.strata"), "EMPTY", "must be given where post_stratify is set");
        return strata;
    }
    for (name, sums) in &strata {
        add_all(found, sums.check(kind, &format!("{path}.strata[{name}]")));
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
