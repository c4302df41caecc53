//! Metrics of one's own: defined by message, told by reports and experiments, their sums the same when built anew.

use chassis::config::Secret;
use evaluator::store::Store;
use proto::common::v1::{Channel, Event, EventKind};
use proto::evaluator::v1::*;
use tonic::Code;

use crate::support::*;

fn measure(aggregation: Aggregation, kinds: &[EventKind]) -> Measure {
    let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
    Measure { aggregation: aggregation.into(), kinds, ..Measure::default() }
}

fn metric(name: &str, kind: MetricKind, measure: impl Into<Option<Measure>>) -> MetricDefinition {
    let measure = measure.into();
    MetricDefinition { name: name.into(), kind: kind.into(), measure, ..MetricDefinition::default() }
}

fn spend(name: &str, kind: MetricKind) -> MetricDefinition {
    metric(name, kind, measure(Aggregation::Revenue, &[EventKind::Purchase]))
}

/// One of each type.
fn definitions() -> Vec<MetricDefinition> {
    let steps = vec![EventKind::Impression.into(), EventKind::Click.into()];
    vec![
        MetricDefinition { cap: Some(1_000.0), ..spend("SPEND", MetricKind::Mean) },
        MetricDefinition { cap_quantile: Some(0.75), ..spend("SPEND_WINSORISED", MetricKind::Mean) },
        MetricDefinition { quantile_level: 0.5, ..spend("SPEND_MEDIAN", MetricKind::Quantile) },
        MetricDefinition {
            denominator: Some(measure(Aggregation::Orders, &[])),
            ..spend("SPEND_PER_ORDER", MetricKind::Ratio)
        },
        metric("CLICKED", MetricKind::Proportion, measure(Aggregation::Events, &[EventKind::Click])),
        MetricDefinition {
            delay_seconds: 86_400,
            window_seconds: 7 * 86_400,
            ..metric("BACK_IN_A_WEEK", MetricKind::Retention, measure(Aggregation::Events, &[]))
        },
        MetricDefinition { steps, ..metric("SEEN_THEN_CLICKED", MetricKind::Funnel, None::<Measure>) },
    ]
}

async fn define(served: &mut Served, metric: MetricDefinition) -> Result<MetricDefinition, tonic::Status> {
    let request = DefineMetricRequest { metric: Some(metric), request_id: String::new() };
    served.metrics.define_metric(request).await.map(|told| told.into_inner().metric.expect("told"))
}

fn later(event: Event, seconds: i64) -> Event {
    Event { occurred_at: at(THEN + seconds), ..event }
}

/// Ann and Cat in the control, Bob and Dan treated. Ann spends 700 and 5 000, Bob 300. Bob sees and then clicks, Ann
/// the other way round. Dan clicks two days later.
async fn shop(served: &mut Served) {
    let create = CreateExperimentRequest { experiment: Some(halves("shop")), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: "shop".into(), request_id: String::new() };
    served.experiments.start_experiment(start).await.expect("started");
    let decided = |user: &str, variant: &str| Decision {
        decision_id: format!("d-{user}"),
        user_id: user.into(),
        decided_at: at(THEN),
        channel: Channel::Web.into(),
        assignments: vec![Assignment {
            experiment_id: "shop".into(),
            variant_id: variant.into(),
            propensity: 0.5,
            ..Assignment::default()
        }],
        offer_propensity: 1.0,
        ..Decision::default()
    };
    let decisions = [("ann", "control"), ("cat", "control"), ("bob", "treatment"), ("dan", "treatment")]
        .map(|(u, v)| decided(u, v));
    record(served, decisions.to_vec()).await;
    let did = |id: &str, user: &str, kind, seconds| later(event(id.into(), user, kind, ""), seconds);
    let events = vec![
        purchase("o1", "ann", 700),
        purchase("o2", "ann", 5_000),
        purchase("o3", "bob", 300),
        did("e1", "ann", EventKind::Click, 100),
        did("e2", "ann", EventKind::Impression, 200),
        did("e3", "bob", EventKind::Impression, 100),
        did("e4", "bob", EventKind::Click, 200),
        did("e5", "dan", EventKind::Click, 2 * 86_400),
        did("e6", "cat", EventKind::Impression, 20 * 86_400),
    ];
    assert_eq!(ingest(served, events).await.accepted, 9);
}

/// What both arms must show of each metric, by hand.
const EXPECTED: [(&str, f64, f64); 7] = [
    ("SPEND", 500.0, 150.0),
    ("SPEND_WINSORISED", 150.0, 150.0),
    ("SPEND_MEDIAN", 5_700.0, 300.0),
    ("SPEND_PER_ORDER", 2_850.0, 300.0),
    ("CLICKED", 0.5, 1.0),
    ("BACK_IN_A_WEEK", 0.0, 0.5),
    ("SEEN_THEN_CLICKED", 0.0, 0.5),
];

async fn analysis_is_as_expected(served: &mut Served) {
    let names: Vec<&str> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    let found = analysed(served, "shop", &names).await;
    for (result, (name, control, treatment)) in found.results.iter().zip(EXPECTED) {
        assert_eq!(result.metric, name);
        assert_eq!((result.control_value, result.variant_value), (control, treatment), "{name}");
    }
}

#[tokio::test]
async fn sums_are_the_same_whether_a_metric_or_its_events_came_first() {
    for metrics_first in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
        let mut served = served_on(&url, folder).await;
        if !metrics_first {
            shop(&mut served).await;
        }
        for definition in definitions() {
            let told = define(&mut served, definition.clone()).await.expect("defined");
            assert_eq!(MetricDefinition { defined_at: None, ..told.clone() }, definition);
            assert_eq!(define(&mut served, definition).await.expect("the same again"), told);
        }
        if metrics_first {
            shop(&mut served).await;
        }
        analysis_is_as_expected(&mut served).await;
        let store = Store::open(&Secret::new(&*url)).await.expect("opens");
        let (kept, rebuilt) = store.rebuild_cells().await.expect("rebuilt");
        assert_eq!(kept, rebuilt);
        analysis_is_as_expected(&mut served).await;
    }
}

#[tokio::test]
async fn reports_and_experiments_know_them_by_name() {
    let mut served = served().await;
    shop(&mut served).await;
    for definition in definitions() {
        define(&mut served, definition).await.expect("defined");
    }
    let query = QueryMetricsRequest {
        metrics: EXPECTED.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        ..QueryMetricsRequest::default()
    };
    let rows = served.metrics.query_metrics(query).await.expect("rows").into_inner().rows;
    // Four people; in a report each starts with the first event: Dan does not come back, Ann and Bob stay a day.
    for (name, value, units) in [
        ("SPEND", 325.0, 4),
        ("SPEND_WINSORISED", 150.0, 4),
        ("SPEND_MEDIAN", 3_000.0, 2),
        ("SPEND_PER_ORDER", 2_000.0, 2),
        ("CLICKED", 0.75, 4),
        ("BACK_IN_A_WEEK", 0.0, 4),
        ("SEEN_THEN_CLICKED", 0.25, 4),
    ] {
        let row = rows.iter().find(|row| row.metric == name).expect("a row");
        let interval = row.value.as_ref().expect("a value");
        assert_eq!((interval.estimate, row.units), (value, units), "{name}");
        assert!(interval.lower <= value && value <= interval.upper, "{name}: {interval:?}");
    }
    let page = |page_token: String| ListMetricsRequest { page_size: 5, page_token };
    let first = served.metrics.list_metrics(page(String::new())).await.expect("a page").into_inner();
    let rest = served.metrics.list_metrics(page(first.next_page_token)).await.expect("a page").into_inner();
    assert_eq!((first.metrics.len(), rest.metrics.len()), (5, 2));

    let judged = Experiment {
        metrics: vec!["SPEND".into()],
        guardrails: vec![Guardrail { metric: "CLICKED".into(), margin: 0.0 }],
        ..halves("by own")
    };
    let create = CreateExperimentRequest { experiment: Some(judged), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
}

#[tokio::test]
async fn unsound_definitions_are_refused_by_field() {
    let mut served = served().await;
    let sound = || metric("OPENED", MetricKind::Proportion, measure(Aggregation::Events, &[EventKind::View]));
    let named = |name: &str| MetricDefinition { name: name.into(), ..sound() };
    let typed = |kind: MetricKind| MetricDefinition { kind: kind.into(), ..sound() };
    for (bad, field) in [
        (named(""), "metric.name"),
        (named("opened"), "metric.name"),
        (named("CTR"), "metric.name"),
        (MetricDefinition { measure: None, ..sound() }, "metric.measure"),
        (typed(MetricKind::Unspecified), "metric.kind"),
        (MetricDefinition { kind: 99, ..sound() }, "metric.kind"),
        (typed(MetricKind::Ratio), "metric.denominator"),
        (typed(MetricKind::Quantile), "metric.quantile_level"),
        (
            MetricDefinition { quantile_level: f64::NAN, ..typed(MetricKind::Quantile) },
            "metric.quantile_level",
        ),
        (typed(MetricKind::Retention), "metric.delay_seconds"),
        (typed(MetricKind::Funnel), "metric.measure"),
        (MetricDefinition { steps: vec![1], ..sound() }, "metric.steps"),
        (MetricDefinition { cap: Some(2.0), ..sound() }, "metric.cap"),
        (MetricDefinition { cap: Some(-1.0), ..typed(MetricKind::Mean) }, "metric.cap"),
        (MetricDefinition { cap_quantile: Some(1.0), ..typed(MetricKind::Mean) }, "metric.cap_quantile"),
        (
            MetricDefinition { cap: Some(1.0), cap_quantile: Some(0.9), ..typed(MetricKind::Mean) },
            "metric.cap_quantile",
        ),
        (
            MetricDefinition {
                measure: Some(measure(Aggregation::Events, &[EventKind::Unspecified])),
                ..sound()
            },
            "metric.measure.kinds[0]",
        ),
    ] {
        refused(define(&mut served, bad).await, field);
    }
    define(&mut served, sound()).await.expect("defined");
    let other = MetricDefinition { lower_is_better: true, ..sound() };
    assert_eq!(define(&mut served, other).await.expect_err("another").code(), Code::AlreadyExists);
    let query = QueryMetricsRequest { metrics: vec!["CLOSED".into()], ..QueryMetricsRequest::default() };
    let status = served.metrics.query_metrics(query).await.expect_err("unknown");
    assert!(status.message().contains("OPENED"), "names what there is: {}", status.message());
}
