use proto::common::v1::EventKind;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::metric_service_server::MetricService;
use proto::validate::Violations;
use tonic::{Request, Response, Status};

use super::convert::{interval, span};
use super::status::refuse;
use super::{Base, cohorts, definitions, reports};
use crate::metric::behaviour::{self, funnel, transitions};

/// `MetricService`
pub(crate) struct Metrics(pub(crate) Base);

/// Most steps of a funnel.
const MOST_STEPS: usize = 20;
/// What follows where nothing does.
const DROP_OFF: &str = "drop-off";

#[tonic::async_trait]
impl MetricService for Metrics {
    async fn query_metrics(
        &self,
        request: Request<wire::QueryMetricsRequest>,
    ) -> Result<Response<wire::QueryMetricsResponse>, Status> {
        reports::query(&self.0, request.into_inner()).await.map(Response::new)
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
