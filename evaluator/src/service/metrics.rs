use proto::common::v1::EventKind;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::metric_service_server::MetricService;
use proto::validate::Violations;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::convert::{interval, span};
use super::status::refuse;
use super::{Base, cohorts, definitions};
use crate::metric::behaviour::{self, funnel, transitions};
use crate::metric::fact::Fact;
use crate::metric::report::{Dimension, Granularity, Report, Variants};

/// `MetricService`
pub(crate) struct Metrics(pub(crate) Base);

/// Prefix of a dimension that tells an experiment's variants apart.
const EXPERIMENT: &str = "experiment:";
/// Most steps of a funnel.
const MOST_STEPS: usize = 20;
/// What follows where nothing does.
const DROP_OFF: &str = "drop-off";
/// Most dimensions of a report.
const MOST_DIMENSIONS: usize = 8;

#[tonic::async_trait]
impl MetricService for Metrics {
    async fn query_metrics(
        &self,
        request: Request<wire::QueryMetricsRequest>,
    ) -> Result<Response<wire::QueryMetricsResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        let known = self.0.store.known_metrics().await?;
        if request.metrics.is_empty() {
            found.add("metrics", "EMPTY", format!("must name at least one of {}", known.names()));
        }
        let mut metrics = Vec::new();
        for (index, name) in request.metrics.iter().enumerate() {
            match known.find(name) {
                Some(metric) if !metrics.contains(&metric) => metrics.push(metric),
                Some(_) => {}
                None => {
                    let text = format!("must be one of {}, is {name:?}", known.names());
                    found.add(format!("metrics[{index}]"), "UNKNOWN_METRIC", text);
                }
            }
        }
        if request.dimensions.len() > MOST_DIMENSIONS {
            found.add("dimensions", "TOO_MANY", format!("must be at most {MOST_DIMENSIONS}"));
        }
        for (index, name) in request.dimensions.iter().enumerate() {
            let experiment = name.strip_prefix(EXPERIMENT).is_some_and(|id| !id.is_empty());
            if !experiment && !["channel", "campaign", "offer", "day"].contains(&name.as_str()) {
                let text = format!("must be channel, campaign, offer, day or experiment:ID, is {name:?}");
                found.add(format!("dimensions[{index}]"), "UNKNOWN_DIMENSION", text);
            }
        }
        found.known_enum::<wire::Granularity>("granularity", request.granularity, false);
        let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
        refuse(found)?;
        let granularity = match request.granularity() {
            wire::Granularity::Unspecified => Granularity::Whole,
            wire::Granularity::Day => Granularity::Day,
            wire::Granularity::Week => Granularity::Week,
            wire::Granularity::Month => Granularity::Month,
        };
        let mut dimensions = Vec::new();
        for name in &request.dimensions {
            dimensions.push(self.dimension(name).await?);
        }
        let (sender, mut receiver) = mpsc::channel::<Vec<Fact>>(4);
        let work = self.0.pool.run(move || {
            let mut report = Report::new(metrics, dimensions, granularity);
            while let Some(facts) = receiver.blocking_recv() {
                facts.chunk_by(|a, b| a.unit == b.unit).for_each(|person| report.add(person));
            }
            report.rows()
        });
        let (sent, rows) = tokio::join!(self.0.store.send_facts(from, until, sender), work);
        sent?;
        let rows = rows?;
        let row = |row: crate::metric::report::Row| wire::MetricRow {
            dimensions: request
                .dimensions
                .iter()
                .cloned()
                .zip(row.values)
                .chain(row.from.map(|from| ("from".to_owned(), from)))
                .collect(),
            metric: row.metric,
            value: Some(interval(row.value)),
            units: row.units,
            currency_code: row.currency,
            warnings: Vec::new(),
        };
        Ok(Response::new(wire::QueryMetricsResponse {
            rows: rows.into_iter().map(row).collect(),
            experiments: Vec::new(),
            time_zone: "UTC".into(),
        }))
    }

    async fn analyse_funnel(
        &self,
        request: Request<wire::AnalyseFunnelRequest>,
    ) -> Result<Response<wire::AnalyseFunnelResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        if !(2..=MOST_STEPS).contains(&request.steps.len()) {
            found.add(
                "steps",
                "OUT_OF_RANGE",
                format!("must be 2 to {MOST_STEPS}, are {}", request.steps.len()),
            );
        }
        for (index, step) in request.steps.iter().enumerate() {
            found.known_enum::<EventKind>(&format!("steps[{index}]"), *step, true);
        }
        let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
        refuse(found)?;
        let window = (request.window_seconds > 0).then(|| i64::from(request.window_seconds) * 1_000_000);
        let kinds: Vec<EventKind> = request.steps().collect();
        let facts = self.0.store.facts(from, until, &kinds).await?;
        let steps = self.0.pool.run(move || funnel(&facts, &kinds, window)).await?;
        let step = |step: behaviour::Step| wire::FunnelStep {
            kind: step.kind.into(),
            units: step.units,
            conversion: step.conversion.map(interval),
            drop_off: step.drop_off,
        };
        Ok(Response::new(wire::AnalyseFunnelResponse { steps: steps.into_iter().map(step).collect() }))
    }

    async fn analyse_paths(
        &self,
        request: Request<wire::AnalysePathsRequest>,
    ) -> Result<Response<wire::AnalysePathsResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        let depth = if request.depth == 0 { 5 } else { request.depth };
        if !(2..=10).contains(&depth) {
            found.add("depth", "OUT_OF_RANGE", format!("must be 2 to 10, or 0 for 5, is {depth}"));
        }
        let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
        refuse(found)?;
        let facts = self.0.store.facts(from, until, &[]).await?;
        let ways = self.0.pool.run(move || transitions(&facts, depth as usize)).await?;
        let way = |way: behaviour::Transition| wire::PathTransition {
            step: way.step,
            source: way.source.as_str_name().into(),
            target: way.target.map_or(DROP_OFF, |kind| kind.as_str_name()).into(),
            count: way.count,
            share: way.share.map(interval),
        };
        Ok(Response::new(wire::AnalysePathsResponse { transitions: ways.into_iter().map(way).collect() }))
    }

    async fn analyse_cohorts(
        &self,
        request: Request<wire::AnalyseCohortsRequest>,
    ) -> Result<Response<wire::AnalyseCohortsResponse>, Status> {
        cohorts::analyse(&self.0, &request.into_inner()).await.map(Response::new)
    }

    async fn define_metric(
        &self,
        request: Request<wire::DefineMetricRequest>,
    ) -> Result<Response<wire::DefineMetricResponse>, Status> {
        definitions::define(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn list_metrics(
        &self,
        request: Request<wire::ListMetricsRequest>,
    ) -> Result<Response<wire::ListMetricsResponse>, Status> {
        definitions::list(&self.0, request.into_inner()).await.map(Response::new)
    }
}

impl Metrics {
    async fn dimension(&self, name: &str) -> Result<Dimension, Status> {
        Ok(match name {
            "channel" => Dimension::Channel,
            "campaign" => Dimension::Campaign,
            "offer" => Dimension::Offer(self.0.store.offers_decided().await?),
            "day" => Dimension::Day,
            other => {
                let id = other.strip_prefix(EXPERIMENT).unwrap_or(other);
                self.0.store.experiment(id).await?;
                let exposures = self.0.store.exposures(id).await?;
                Dimension::Variant(Variants::new(exposures, self.0.store.decisions_in(id).await?))
            }
        })
    }
}
