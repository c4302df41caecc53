//! DefineMetric and ListMetrics: messages to a definition and back.

use proto::common::v1::{Channel, EventKind};
use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::convert::timestamp;
use super::status::{refuse, refuse_domain};
use super::{Base, now, page};
use crate::metric::definition::{Aggregation, Cap, Definition, Measure, Shape};

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
/// Most entries of a measure's lists.
const MOST_FILTERS: usize = 100;
/// Name of the list, for its page tokens.
const LIST: &str = "metrics";

pub(super) async fn define(
    base: &Base,
    request: wire::DefineMetricRequest,
) -> Result<wire::DefineMetricResponse, Status> {
    let mut found = Violations::new();
    found.optional_id("request_id", &request.request_id);
    if request.metric.is_none() {
        found.add("metric", "EMPTY", "must be given");
    }
    let definition = request.metric.as_ref().and_then(|given| definition(&mut found, given));
    refuse(found)?;
    let Some(definition) = definition else { return Ok(wire::DefineMetricResponse::default()) };
    refuse_domain("metric", definition.check())?;
    let defined_at = base.store.define_metric(&definition, now()).await?;
    Ok(wire::DefineMetricResponse { metric: Some(told(definition, defined_at)) })
}

pub(super) async fn list(
    base: &Base,
    request: wire::ListMetricsRequest,
) -> Result<wire::ListMetricsResponse, Status> {
    let mut found = Violations::new();
    found.page_size(request.page_size);
    refuse(found)?;
    let after = page::place(LIST, &request.page_token)?.unwrap_or_default();
    let size = page::size(request.page_size);
    let mut rows = base.store.metrics(&after, size + 1).await?;
    let more = rows.len() as u64 > size;
    rows.truncate(size as usize);
    let last = rows.last().filter(|_| more).map(|(definition, _)| page::token(LIST, &definition.name));
    let metrics = rows.into_iter().map(|(definition, defined_at)| told(definition, defined_at)).collect();
    Ok(wire::ListMetricsResponse { metrics, next_page_token: last.unwrap_or_default() })
}

/// The definition, where all that its type needs is there and nothing else.
fn definition(found: &mut Violations, given: &wire::MetricDefinition) -> Option<Definition> {
    use wire::MetricKind as Type;
    found.text("metric.description", &given.description);
    found.known_enum::<Type>("metric.kind", given.kind, true);
    let kind = given.kind();
    let measure = part(found, "measure", given.measure.as_ref(), kind != Type::Funnel);
    let denominator = part(found, "denominator", given.denominator.as_ref(), kind == Type::Ratio);
    for (set, field) in [
        (!given.steps.is_empty() && kind != Type::Funnel, "steps"),
        (given.quantile_level != 0.0 && kind != Type::Quantile, "quantile_level"),
        (given.cap.is_some() && given.cap_quantile.is_some(), "cap_quantile"),
    ] {
        if set {
            found.add(format!("metric.{field}"), "NOT_OF_THIS_KIND", "must be absent here");
        }
    }
    for (index, step) in given.steps.iter().enumerate() {
        found.known_enum::<EventKind>(&format!("metric.steps[{index}]"), *step, true);
    }
    let shape = match kind {
        Type::Unspecified => return None,
        Type::Proportion => Shape::Proportion(measure?),
        Type::Mean => Shape::Mean(measure?),
        Type::Ratio => Shape::Ratio(measure?, denominator?),
        Type::Quantile => Shape::Quantile(measure?, given.quantile_level),
        Type::Retention => Shape::Retention(measure?),
        Type::Funnel => Shape::Funnel(given.steps().collect()),
    };
    Some(Definition {
        name: given.name.clone(),
        description: given.description.clone(),
        shape,
        delay: i64::from(given.delay_seconds) * SECOND,
        window: (given.window_seconds > 0).then(|| i64::from(given.window_seconds) * SECOND),
        cap: given.cap.map(Cap::At).or(given.cap_quantile.map(Cap::Quantile)),
        lower_is_better: given.lower_is_better,
    })
}

/// A measure that must be there where it is `wanted`, and only there.
fn part(found: &mut Violations, name: &str, given: Option<&wire::Measure>, wanted: bool) -> Option<Measure> {
    let path = format!("metric.{name}");
    match (given, wanted) {
        (None, true) => found.add(path, "EMPTY", "must be given for a metric of this kind"),
        (Some(_), false) => found.add(path, "NOT_OF_THIS_KIND", "must be absent here"),
        (Some(given), true) => return Some(measure(found, &path, given)),
        (None, false) => {}
    }
    None
}

fn measure(found: &mut Violations, path: &str, given: &wire::Measure) -> Measure {
    found.known_enum::<wire::Aggregation>(&format!("{path}.aggregation"), given.aggregation, false);
    for (index, kind) in given.kinds.iter().enumerate() {
        found.known_enum::<EventKind>(&format!("{path}.kinds[{index}]"), *kind, true);
    }
    for (index, channel) in given.channels.iter().enumerate() {
        found.known_enum::<Channel>(&format!("{path}.channels[{index}]"), *channel, true);
    }
    for (index, campaign) in given.campaign_ids.iter().enumerate() {
        found.required_id(&format!("{path}.campaign_ids[{index}]"), campaign);
    }
    for (field, count) in [
        ("kinds", given.kinds.len()),
        ("channels", given.channels.len()),
        ("campaign_ids", given.campaign_ids.len()),
    ] {
        if count > MOST_FILTERS {
            found.add(format!("{path}.{field}"), "TOO_MANY", format!("must be at most {MOST_FILTERS}"));
        }
    }
    Measure {
        aggregation: match given.aggregation() {
            wire::Aggregation::Unspecified | wire::Aggregation::Events => Aggregation::Events,
            wire::Aggregation::Orders => Aggregation::Orders,
            wire::Aggregation::Revenue => Aggregation::Revenue,
            wire::Aggregation::Profit => Aggregation::Profit,
            wire::Aggregation::Ratings => Aggregation::Ratings,
            wire::Aggregation::Days => Aggregation::Days,
        },
        kinds: given.kinds().collect(),
        channels: given.channels().collect(),
        campaigns: given.campaign_ids.clone(),
        answering: given.attributed_only,
    }
}

fn told(definition: Definition, defined_at: i64) -> wire::MetricDefinition {
    use wire::MetricKind as Type;
    let (measure, denominator) = definition.measures();
    let (kind, quantile_level, steps) = match &definition.shape {
        Shape::Proportion(_) => (Type::Proportion, 0.0, Vec::new()),
        Shape::Mean(_) => (Type::Mean, 0.0, Vec::new()),
        Shape::Ratio(..) => (Type::Ratio, 0.0, Vec::new()),
        Shape::Quantile(_, level) => (Type::Quantile, *level, Vec::new()),
        Shape::Retention(_) => (Type::Retention, 0.0, Vec::new()),
        Shape::Funnel(steps) => (Type::Funnel, 0.0, steps.iter().map(|step| (*step).into()).collect()),
    };
    let seconds = |micros: i64| u32::try_from(micros / SECOND).unwrap_or(u32::MAX);
    let (cap, cap_quantile) = match definition.cap {
        Some(Cap::At(most)) => (Some(most), None),
        Some(Cap::Quantile(share)) => (None, Some(share)),
        None => (None, None),
    };
    wire::MetricDefinition {
        kind: kind.into(),
        measure: measure.map(told_measure),
        denominator: denominator.map(told_measure),
        steps,
        quantile_level,
        delay_seconds: seconds(definition.delay),
        window_seconds: definition.window.map_or(0, seconds),
        cap,
        cap_quantile,
        lower_is_better: definition.lower_is_better,
        defined_at: Some(timestamp(defined_at)),
        name: definition.name,
        description: definition.description,
    }
}

fn told_measure(measure: &Measure) -> wire::Measure {
    let aggregation = match measure.aggregation {
        Aggregation::Events => wire::Aggregation::Events,
        Aggregation::Orders => wire::Aggregation::Orders,
        Aggregation::Revenue => wire::Aggregation::Revenue,
        Aggregation::Profit => wire::Aggregation::Profit,
        Aggregation::Ratings => wire::Aggregation::Ratings,
        Aggregation::Days => wire::Aggregation::Days,
    };
    wire::Measure {
        aggregation: aggregation.into(),
        kinds: measure.kinds.iter().map(|kind| (*kind).into()).collect(),
        channels: measure.channels.iter().map(|channel| (*channel).into()).collect(),
        campaign_ids: measure.campaigns.clone(),
        attributed_only: measure.answering,
    }
}
