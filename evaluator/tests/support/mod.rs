//! A served evaluator, and the journey every database must bear.

#![allow(clippy::unnecessary_wraps, missing_docs, clippy::missing_panics_doc, unreachable_pub)]

use std::collections::HashMap;

use chassis::config::Secret;
use evaluator::Config;
use futures::FutureExt as _;
use pbjson_types::Timestamp;
use proto::common::v1::{Channel, Event, EventKind, Money, Purchase};
use proto::evaluator::v1::attribution_service_client::AttributionServiceClient;
use proto::evaluator::v1::decision_service_client::DecisionServiceClient;
use proto::evaluator::v1::effect_service_client::EffectServiceClient;
use proto::evaluator::v1::experiment_service_client::ExperimentServiceClient;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::evaluator::v1::*;
use sea_orm::{ConnectionTrait as _, Database};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel as Wire;

/// A second within the past.
pub const THEN: i64 = 1_760_000_000;

pub struct Served {
    pub experiments: ExperimentServiceClient<Wire>,
    pub metrics: MetricServiceClient<Wire>,
    pub attribution: AttributionServiceClient<Wire>,
    pub effects: EffectServiceClient<Wire>,
    pub strategies: StrategyServiceClient<Wire>,
    pub decisions: DecisionServiceClient<Wire>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub async fn served() -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    served_on(&url, folder).await
}

const POSTGRES: &str = "postgres://postgres@127.0.0.1:5432";

/// Runs `test` with the URL of a PostgreSQL database of its own, which is dropped afterwards, also where it panics.
pub async fn with_postgres(test: impl AsyncFnOnce(String)) {
    let name = format!("evaluator_test_{}", uuid::Uuid::new_v4().simple());
    let admin =
        Database::connect(format!("{POSTGRES}/postgres")).await.expect("PostgreSQL at 127.0.0.1:5432");
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let outcome = std::panic::AssertUnwindSafe(test(format!("{POSTGRES}/{name}"))).catch_unwind().await;
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

pub async fn served_on(url: &str, folder: tempfile::TempDir) -> Served {
    served_in(url, folder, "UTC").await
}

pub async fn served_in(url: &str, folder: tempfile::TempDir, time_zone: &str) -> Served {
    served_with(url, folder, |config| config.shop.time_zone = time_zone.into()).await
}

/// A server whose clock callers set, as in replays.
pub async fn served_in_simulation() -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    simulated_on(&url, folder).await
}

/// The same on a database that is there.
pub async fn simulated_on(url: &str, folder: tempfile::TempDir) -> Served {
    served_with(url, folder, |config| config.strategy.simulated_clock = true).await
}

pub async fn served_with(url: &str, folder: tempfile::TempDir, set: impl FnOnce(&mut Config)) -> Served {
    let mut config = Config::default();
    config.store.url = Secret::new(url);
    set(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let stop = CancellationToken::new();
    let running = tokio::spawn(evaluator::run(config, listener, stop.clone()));
    let wire = loop {
        match Wire::from_shared(address.clone()).expect("a URI").connect().await {
            Ok(wire) => break wire,
            Err(_) if !running.is_finished() => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}: {:?}", running.await),
        }
    };
    Served {
        experiments: ExperimentServiceClient::new(wire.clone()),
        metrics: MetricServiceClient::new(wire.clone()),
        attribution: AttributionServiceClient::new(wire.clone()),
        effects: EffectServiceClient::new(wire.clone()),
        strategies: StrategyServiceClient::new(wire.clone()),
        decisions: DecisionServiceClient::new(wire),
        stop,
        _folder: folder,
    }
}

pub fn halves(id: &str) -> Experiment {
    let variant = |id: &str| Variant {
        variant_id: id.into(),
        weight: 0.5,
        parameters: [("angle".into(), id.into())].into(),
    };
    Experiment {
        experiment_id: id.into(),
        variants: vec![variant("control"), variant("treatment")],
        metrics: vec!["CTR".into()],
        ..Experiment::default()
    }
}

pub fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

pub fn event(id: String, user: &str, kind: EventKind, decision: &str) -> Event {
    Event {
        event_id: id,
        user_id: user.into(),
        kind: kind.into(),
        item_id: "i".into(),
        occurred_at: at(THEN + 60),
        channel: Channel::Web.into(),
        decision_id: decision.into(),
        ..Event::default()
    }
}

pub fn purchase(id: &str, user: &str, minor_units: i64) -> Event {
    let money = |minor_units| Some(Money { currency_code: "USD".into(), minor_units });
    let bought = Purchase {
        order_id: id.into(),
        quantity: 1,
        revenue: money(minor_units),
        cost: money(minor_units / 2),
        tax: None,
        discount: None,
    };
    Event {
        purchase: Some(bought),
        occurred_at: at(THEN + 90),
        ..event(id.into(), user, EventKind::Purchase, "")
    }
}

pub async fn ingest(served: &mut Served, events: Vec<Event>) -> IngestEventsResponse {
    let rows = events.into_iter().map(|event| IngestEventsRequest { event: Some(event), log_position: 0 });
    served
        .decisions
        .ingest_events(tokio_stream::iter(rows.collect::<Vec<_>>()))
        .await
        .expect("stored")
        .into_inner()
}

pub async fn record(served: &mut Served, decisions: Vec<Decision>) -> RecordDecisionsResponse {
    let rows = decisions
        .into_iter()
        .map(|decision| RecordDecisionsRequest { decision: Some(decision), log_position: 0 });
    served
        .decisions
        .record_decisions(tokio_stream::iter(rows.collect::<Vec<_>>()))
        .await
        .expect("stored")
        .into_inner()
}

/// All messages of ExportUser, joined.
pub async fn exported(served: &mut Served, user: &str) -> ExportUserResponse {
    let request = ExportUserRequest { user_id: user.into() };
    let mut stream = served.decisions.export_user(request).await.expect("exports").into_inner();
    let mut all = ExportUserResponse::default();
    while let Some(message) = stream.message().await.expect("a page") {
        assert!(message.decisions.len() + message.events.len() <= 500, "a message holds at most 500 rows");
        all.decisions.extend(message.decisions);
        all.events.extend(message.events);
    }
    all
}

pub async fn analysed(served: &mut Served, id: &str, metrics: &[&str]) -> AnalyseExperimentResponse {
    let request = AnalyseExperimentRequest {
        experiment_id: id.into(),
        metrics: metrics.iter().map(ToString::to_string).collect(),
        ..AnalyseExperimentRequest::default()
    };
    served.experiments.analyse_experiment(request).await.expect("analysed").into_inner()
}

pub fn refused(outcome: Result<impl std::fmt::Debug, Status>, field: &str) {
    let status = outcome.expect_err("must be refused");
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    assert!(status.message().starts_with(field), "{} does not name {field}", status.message());
}

/// Create, start, assign, record, ingest, analyse, twice over.
pub async fn experiment_journey(served: &mut Served) {
    let id = "ctr";
    let planned = Experiment { planned_units_per_variant: 150, ..halves(id) };
    let create = CreateExperimentRequest { experiment: Some(planned), request_id: String::new() };
    served.experiments.create_experiment(create.clone()).await.expect("made");
    served.experiments.create_experiment(create).await.expect("the same again changes nothing");
    served
        .experiments
        .start_experiment(StartExperimentRequest { experiment_id: id.into(), ..Default::default() })
        .await
        .expect("started");

    let mut decisions = Vec::new();
    let mut events = Vec::new();
    let mut seen: HashMap<String, (u32, u32)> = HashMap::new();
    for person in 0..400_u32 {
        let user = format!("u{person}");
        let request = AssignRequest { unit_id: user.clone(), experiment_ids: vec![id.into()] };
        let first = served.experiments.assign(request.clone()).await.expect("assigned").into_inner();
        let again = served.experiments.assign(request).await.expect("assigned").into_inner();
        assert_eq!(first, again, "the same unit always to the same");
        let assignment = first.assignments.into_iter().next().expect("one");
        assert!((assignment.propensity - 0.5).abs() < 1e-12);
        let decision_id = format!("d{person}");
        let counts = seen.entry(assignment.variant_id.clone()).or_default();
        for shown in 0..5 {
            events.push(event(format!("i{person}-{shown}"), &user, EventKind::Impression, &decision_id));
            counts.1 += 1;
        }
        let clicks = if assignment.variant_id == "treatment" { 2 + person % 2 } else { person % 2 };
        for click in 0..clicks {
            events.push(event(format!("c{person}-{click}"), &user, EventKind::Click, &decision_id));
            counts.0 += 1;
        }
        // A click that answers to nothing of this experiment does not count.
        events.push(event(format!("x{person}"), &user, EventKind::Click, ""));
        decisions.push(Decision {
            decision_id,
            user_id: user,
            decided_at: at(THEN),
            assignments: vec![assignment],
            offer_propensity: 1.0,
            ..Decision::default()
        });
    }
    let rows = events.len() as u64;
    for telling in 0..2 {
        let recorded = record(served, decisions.clone()).await;
        let stored = ingest(served, events.clone()).await;
        let fresh = |n: u64| if telling == 0 { (n, 0) } else { (0, n) };
        assert_eq!((recorded.accepted, recorded.duplicates), fresh(400));
        assert_eq!((stored.accepted, stored.duplicates), fresh(rows));
        assert!(recorded.rejected.is_empty() && stored.rejected.is_empty());

        let found = analysed(served, id, &[]).await;
        let result = &found.results[0];
        let rate = |variant: &str| f64::from(seen[variant].0) / f64::from(seen[variant].1);
        assert_eq!((result.metric.as_str(), result.variant_id.as_str()), ("CTR", "treatment"));
        assert!((result.control_value - rate("control")).abs() < 1e-12);
        assert!((result.variant_value - rate("treatment")).abs() < 1e-12);
        let effect = result.effect.as_ref().expect("an effect");
        assert!(effect.lower > 0.0 && effect.lower < effect.estimate && effect.estimate < effect.upper);
        let health = found.health.expect("health");
        assert!(health.srm_p_value.expect("computed") > 0.001 && health.warnings.is_empty());
        assert_eq!(found.decision.expect("a decision").verdict(), DecisionVerdict::Ship);
    }
}
