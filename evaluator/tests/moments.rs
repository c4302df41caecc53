//! The sums beside the log: exact after whatever order things are told in, and the same when built anew.

use crate::support::*;
use chassis::config::Secret;
use evaluator::cli::digest;
use evaluator::store::Store;
use proto::common::v1::{Channel, EventKind};
use proto::evaluator::v1::*;

fn decision(id: &str, user: &str, variant: &str, seconds: i64, channel: Channel) -> Decision {
    let assignment = Assignment {
        experiment_id: "ctr".into(),
        variant_id: variant.into(),
        propensity: 0.5,
        ..Assignment::default()
    };
    Decision {
        decision_id: id.into(),
        user_id: user.into(),
        decided_at: at(THEN + seconds),
        channel: channel.into(),
        assignments: vec![assignment],
        offer_propensity: 1.0,
        ..Decision::default()
    }
}

async fn kept_as_rebuilt(url: &str, when: &str) -> String {
    let store = Store::open(&Secret::new(url)).await.expect("opens");
    let (kept, rebuilt) = store.rebuild_cells().await.expect("rebuilt");
    assert_eq!(kept, rebuilt, "{when}");
    assert_eq!(digest(&kept), digest(&rebuilt));
    digest(&kept)
}

async fn started(served: &mut Served) {
    let create = CreateExperimentRequest { experiment: Some(halves("ctr")), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: "ctr".into(), request_id: String::new() };
    served.experiments.start_experiment(start).await.expect("started");
}

#[tokio::test]
async fn sums_are_exact_after_late_doubled_and_erased_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = served_on(&url, folder).await;
    started(&mut served).await;
    let click = |id: &str, user: &str, answers: &str| event(id.into(), user, EventKind::Click, answers);
    // Events before the decisions they answer, one of them by somebody else.
    ingest(&mut served, vec![click("c1", "ann", "d1"), click("c2", "zoe", "d2"), purchase("o1", "ann", 700)])
        .await;
    kept_as_rebuilt(&url, "no decision yet").await;
    let decisions = vec![
        decision("d1", "ann", "control", 0, Channel::Web),
        decision("d2", "bob", "treatment", 0, Channel::App),
        decision("d3", "cat", "treatment", 86_400, Channel::Web),
        decision("d4", "dan", "control", 0, Channel::Web),
        decision("d5", "zoe", "control", 10, Channel::Push),
    ];
    record(&mut served, decisions.clone()).await;
    let first = kept_as_rebuilt(&url, "decisions after events").await;
    // Told again nothing changes.
    record(&mut served, decisions).await;
    ingest(&mut served, vec![click("c1", "ann", "d1")]).await;
    assert_eq!(kept_as_rebuilt(&url, "told twice").await, first);
    // More on an order of before, a purchase before exposure (a covariate), an earlier decision on another channel and
    // day, a second variant.
    let mut more = purchase("o1b", "ann", 50);
    if let Some(line) = more.purchase.as_mut() {
        line.order_id = "o1".into();
    }
    ingest(&mut served, vec![more, purchase("o2", "cat", 900), purchase("o3", "dan", 1100)]).await;
    record(&mut served, vec![decision("d6", "ann", "control", -200_000, Channel::Email)]).await;
    record(&mut served, vec![decision("d7", "dan", "treatment", 50, Channel::Web)]).await;
    kept_as_rebuilt(&url, "late and corrected").await;

    let found = analysed(&mut served, "ctr", &["REVENUE", "AOV", "CR"]).await;
    assert_eq!(found.health.as_ref().expect("health").multiple_exposures, 1, "dan");
    let of = |metric: &str| found.results.iter().find(|r| r.metric == metric).expect("told");
    // The control is ann (750) and zoe (0); the treatment bob (0) and cat, who bought the day before exposure.
    assert_eq!((of("REVENUE").control_value, of("REVENUE").variant_value), (375.0, 0.0));
    assert_eq!((of("AOV").control_value, of("CR").control_value), (750.0, 0.5));

    let erase = EraseUserRequest { user_id: "ann".into(), request_id: String::new() };
    served.decisions.erase_user(erase).await.expect("erased");
    kept_as_rebuilt(&url, "erased").await;
    let found = analysed(&mut served, "ctr", &["REVENUE"]).await;
    assert!(found.results[0].control_value.abs() < f64::EPSILON, "zoe alone");

    let stop = StopExperimentRequest { experiment_id: "ctr".into(), request_id: String::new() };
    served.experiments.stop_experiment(stop).await.expect("stopped");
    ingest(&mut served, vec![purchase("o9", "zoe", 100)]).await;
    kept_as_rebuilt(&url, "stopped").await;
}

#[tokio::test]
async fn experiments_that_exclude_each_other_do_not_run_at_once() {
    let mut served = served().await;
    let within = |id: &str, start: f64, end: f64| Experiment {
        namespace: Some(Namespace { name: "home".into(), start, end }),
        ..halves(id)
    };
    for experiment in [within("a", 0.0, 0.5), within("b", 0.4, 0.8), within("c", 0.5, 1.0)] {
        let create = CreateExperimentRequest { experiment: Some(experiment), request_id: String::new() };
        served.experiments.create_experiment(create).await.expect("made");
    }
    let start = |id: &str| StartExperimentRequest { experiment_id: id.into(), request_id: String::new() };
    served.experiments.start_experiment(start("a")).await.expect("started");
    let status = served.experiments.start_experiment(start("b")).await.expect_err("overlaps");
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("NAMESPACE_OVERLAP"));
    served.experiments.start_experiment(start("c")).await.expect("started beside it");
    let mut changed = within("a", 0.0, 0.6);
    changed.variants[0].weight = 0.4;
    changed.variants[1].weight = 0.6;
    let create = CreateExperimentRequest { experiment: Some(changed), request_id: String::new() };
    let status = served.experiments.create_experiment(create).await.expect_err("it runs");
    assert_eq!(status.code(), tonic::Code::AlreadyExists);
}
