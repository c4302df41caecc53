use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{metric_kind, share};
use crate::error::Error;
use crate::experiment::power::{Approximation, mean_power, mean_units, proportion_power, proportion_units};
use crate::metric::MetricKind;
use crate::service::status::refuse;

/// Most units an arm: more than there will ever be, and still exact in `f64`.
const MOST_UNITS: u64 = 1_000_000_000_000_000;

/// Units and days an experiment needs. With more than two arms the level is shared among the comparisons with the
/// control, as Bonferroni does.
pub fn plan(request: &wire::PlanExperimentRequest) -> Result<wire::PlanExperimentResponse, Status> {
    let mut found = Violations::new();
    let kind = metric_kind(&mut found, request.metric_kind, true);
    if matches!(request.metric_kind(), wire::MetricKind::Ratio | wire::MetricKind::Quantile) {
        found.add("metric_kind", "NOT_PLANNED", "must be METRIC_KIND_PROPORTION or METRIC_KIND_MEAN");
    }
    found.finite("baseline", request.baseline);
    let effect = request.minimum_effect;
    if !(effect.is_finite() && effect != 0.0) {
        found.add(
            "minimum_effect",
            "OUT_OF_RANGE",
            format!("must be a finite number other than 0, is {effect}"),
        );
    }
    let treated = request.baseline * (1.0 + effect);
    if kind == Some(MetricKind::Proportion) {
        if !(request.baseline > 0.0 && request.baseline < 1.0) {
            found.add("baseline", "OUT_OF_RANGE", "must be above 0 and below 1 for a proportion");
        } else if !(treated > 0.0 && treated < 1.0) {
            found.add(
                "minimum_effect",
                "OUT_OF_RANGE",
                format!("makes the proportion {treated}, which is none"),
            );
        }
    } else if kind == Some(MetricKind::Mean) {
        if request.baseline == 0.0 {
            found.add("baseline", "OUT_OF_RANGE", "must not be 0: the effect is relative to it");
        }
        let sd = request.standard_deviation;
        if !(sd > 0.0 && sd.is_finite()) {
            found.add(
                "standard_deviation",
                "OUT_OF_RANGE",
                format!("must be a finite number above 0, is {sd}"),
            );
        }
    }
    let power = share(&mut found, "power", request.power, 0.8);
    let level = share(&mut found, "level", request.level, 0.05);
    let arms = if request.variants == 0 { 2 } else { request.variants };
    if !(2..=1_000).contains(&arms) {
        found.add("variants", "OUT_OF_RANGE", format!("must be 2 to 1000, is {arms}"));
    }
    found.known_enum::<wire::PlanApproximation>("approximation", request.approximation, false);
    if request.units_per_variant > 0 && request.power.is_some() {
        found.add("power", "BOTH_GIVEN", "must be absent where units_per_variant is given");
    }
    let given = request.units_per_variant;
    if given == 1 || given > MOST_UNITS {
        let text = format!("must be 2 to {MOST_UNITS}, or 0 to have it told, is {given}");
        found.add("units_per_variant", "OUT_OF_RANGE", text);
    }
    refuse(found)?;
    let by = match request.approximation() {
        wire::PlanApproximation::Unspecified | wire::PlanApproximation::Pooled => Approximation::Pooled,
        wire::PlanApproximation::Unpooled => Approximation::Unpooled,
        wire::PlanApproximation::Arcsine => Approximation::Arcsine,
    };
    let level = level / f64::from(arms - 1);
    let proportion = kind == Some(MetricKind::Proportion);
    let distance = request.baseline * effect / request.standard_deviation;
    let reached = |units: u64| {
        if proportion {
            proportion_power(request.baseline, treated, units as f64, level, by)
        } else {
            mean_power(distance, units as f64, level)
        }
    };
    let units = if request.units_per_variant > 0 {
        request.units_per_variant as f64
    } else if proportion {
        proportion_units(request.baseline, treated, level, power, 1.0, by)
    } else {
        mean_units(distance, level, power)
    };
    if !units.is_finite() || units > MOST_UNITS as f64 {
        let text = "is too small to be found by any number of units";
        return Err(Error::invalid("minimum_effect", "OUT_OF_RANGE", text).into());
    }
    let units_per_variant = units.ceil() as u64;
    let all = units_per_variant.saturating_mul(u64::from(arms));
    let days = if request.daily_units == 0 { 0 } else { all.div_ceil(request.daily_units) };
    let power = reached(units_per_variant);
    Ok(wire::PlanExperimentResponse { units_per_variant, days, power, exact_units: units })
}
