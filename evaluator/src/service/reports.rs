//! QueryMetrics: messages to a report and back.

use chassis::calendar::Period;
use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tokio::sync::mpsc;
use tonic::Status;

use super::convert::{calendar, interval, span};
use super::status::refuse;
use super::{Base, now, waiting};
use crate::experiment::health::check;
use crate::metric::fact::Fact;
use crate::metric::report::{Dimension, Frame, Report, Row};
use crate::metric::variants::{Exposed, Variants};
use crate::metric::{Known, Metric};

/// Prefix of a dimension that tells an experiment's variants apart.
const EXPERIMENT: &str = "experiment:";
/// Dimensions of a report at most.
const MAX_DIMENSIONS: usize = 8;
/// Metrics of a report at most.
const MAX_METRICS: usize = 100;
/// Day that retention looks at where none is given.
const DEFAULT_RETENTION_DAYS: u32 = 7;
/// Last day that retention may look at.
const MAX_RETENTION_DAYS: u32 = 365;

/// Answers QueryMetrics.
pub(super) async fn query(
    base: &Base,
    request: wire::QueryMetricsRequest,
) -> Result<wire::QueryMetricsResponse, Status> {
    waiting::wait_for(base, request.after_position).await?;
    let mut found = Violations::new();
    let known = base.store.known_metrics().await?;
    let metrics = metrics(&mut found, &known, &request.metrics);
    check_dimensions(&mut found, &request.dimensions);
    found.known_enum::<wire::Granularity>("granularity", request.granularity, false);
    let calendar = calendar(&mut found, base, &request.time_zone);
    if request.retention_days > MAX_RETENTION_DAYS {
        let text = format!(
            "must be 1 to {MAX_RETENTION_DAYS}, or 0 for {DEFAULT_RETENTION_DAYS}, is {}",
            request.retention_days
        );
        found.add("retention_days", "OUT_OF_RANGE", text);
    }
    let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
    refuse(found)?;
    let frame = Frame {
        calendar,
        period: match request.granularity() {
            wire::Granularity::Unspecified => None,
            wire::Granularity::Day => Some(Period::Day),
            wire::Granularity::Week => Some(Period::Week),
            wire::Granularity::Month => Some(Period::Month),
        },
        from,
        until: until.unwrap_or(i64::MAX).min(now()),
        retention_days: match request.retention_days {
            0 => DEFAULT_RETENTION_DAYS,
            days => days,
        },
    };
    let (mut dimensions, mut experiments) = (Vec::new(), Vec::new());
    for name in &request.dimensions {
        let dimension = dimension(base, name).await?;
        if let (Dimension::Variant(variants), Some(id)) = (&dimension, name.strip_prefix(EXPERIMENT)) {
            experiments.push(exposures(base, id, &variants.exposed(from, until.unwrap_or(i64::MAX))).await?);
        }
        dimensions.push(dimension);
    }
    let (sender, mut receiver) = mpsc::channel::<Vec<Fact>>(4);
    let frame = Frame { until: frame.until.max(from.unwrap_or(0)), ..frame };
    let work = base.pool.run(move || {
        let mut report = Report::new(metrics, dimensions, frame);
        while let Some(facts) = receiver.blocking_recv() {
            facts.chunk_by(|a, b| a.unit == b.unit).for_each(|unit| report.add(unit));
        }
        report.rows()
    });
    let (sent, rows) = tokio::join!(base.store.send_facts(from, until, sender), work);
    sent?;
    Ok(wire::QueryMetricsResponse {
        rows: rows?.into_iter().map(|row| message(row, &request.dimensions)).collect(),
        experiments,
        time_zone: calendar.name().to_owned(),
    })
}

fn metrics(found: &mut Violations, known: &Known, names: &[String]) -> Vec<Metric> {
    if names.is_empty() {
        found.add("metrics", "EMPTY", format!("must name at least one of {}", known.names()));
    }
    if names.len() > MAX_METRICS {
        found.add("metrics", "TOO_MANY", format!("must be at most {MAX_METRICS}, are {}", names.len()));
        return Vec::new();
    }
    let mut metrics = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match known.find(name) {
            Some(metric) if !metrics.contains(&metric) => metrics.push(metric),
            Some(_) => {}
            None => {
                let text = format!("must be one of {}, is {name:?}", known.names());
                found.add(format!("metrics[{index}]"), "UNKNOWN_METRIC", text);
            }
        }
    }
    metrics
}

fn check_dimensions(found: &mut Violations, names: &[String]) {
    if names.len() > MAX_DIMENSIONS {
        let text = format!("must be at most {MAX_DIMENSIONS}, are {}", names.len());
        found.add("dimensions", "TOO_MANY", text);
        return;
    }
    for (index, name) in names.iter().enumerate() {
        let experiment = name.strip_prefix(EXPERIMENT).is_some_and(|id| !id.is_empty());
        if !experiment && !["channel", "campaign", "offer", "day"].contains(&name.as_str()) {
            let text = format!("must be channel, campaign, offer, day or experiment:ID, is {name:?}");
            found.add(format!("dimensions[{index}]"), "UNKNOWN_DIMENSION", text);
        }
    }
}

async fn dimension(base: &Base, name: &str) -> Result<Dimension, Status> {
    Ok(match name {
        "channel" => Dimension::Channel,
        "campaign" => Dimension::Campaign,
        "offer" => Dimension::Offer(base.store.offers_decided().await?),
        "day" => Dimension::Day,
        other => {
            let id = other.strip_prefix(EXPERIMENT).unwrap_or(other);
            base.store.experiment(id).await?;
            Dimension::Variant(Variants::new(base.store.assigned_in(id).await?))
        }
    })
}

/// The units of an experiment and whether they split as designed.
async fn exposures(base: &Base, id: &str, exposed: &Exposed) -> Result<wire::ExperimentExposures, Status> {
    let design = base.store.experiment(id).await?.design;
    let weights: Vec<f64> = design.variants.iter().map(|variant| variant.weight).collect();
    let units = |id: &String| exposed.units.get(id).copied().unwrap_or(0);
    let sizes: Vec<u64> = design.variants.iter().map(|variant| units(&variant.variant_id)).collect();
    let health = check(&sizes, &weights, exposed.several);
    Ok(wire::ExperimentExposures {
        experiment_id: id.to_owned(),
        units: design.variants.iter().map(|variant| variant.variant_id.clone()).zip(sizes).collect(),
        srm_p_value: health.srm_p_value,
        multiple_exposures: exposed.several,
    })
}

fn message(row: Row, names: &[String]) -> wire::MetricRow {
    let from = row.from.map(|from| ("from".to_owned(), from));
    wire::MetricRow {
        dimensions: names.iter().cloned().zip(row.values).chain(from).collect(),
        metric: row.metric,
        value: row.value.map(interval),
        units: row.units,
        currency_code: row.currency,
        warnings: row.warnings.into_iter().map(str::to_owned).collect(),
    }
}
