//! QueryMetrics and its neighbours: calendars, retention, conversion, exposures, positions, bounds.

use std::collections::BTreeMap;

use crate::support::*;
use chassis::error::reason;
use proto::common::v1::{Channel, Event, EventKind, Offer, OfferKind};
use proto::evaluator::v1::*;
use tonic::{Code, Request};

/// Seconds of 25 October 2025, 00:00 UTC: the day before Berlin's clocks are set back.
const OCTOBER: i64 = 1_761_350_400;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn on(event: Event, seconds: i64) -> Event {
    Event { occurred_at: at(seconds), ..event }
}

fn click(id: &str, user: &str, seconds: i64) -> Event {
    on(event(id.into(), user, EventKind::Click, ""), seconds)
}

fn ask(metrics: &[&str]) -> QueryMetricsRequest {
    QueryMetricsRequest {
        metrics: metrics.iter().map(ToString::to_string).collect(),
        ..QueryMetricsRequest::default()
    }
}

async fn query(served: &mut Served, request: QueryMetricsRequest) -> QueryMetricsResponse {
    served.metrics.query_metrics(request).await.expect("rows").into_inner()
}

fn by_day(rows: &[MetricRow]) -> Vec<(&str, f64)> {
    rows.iter()
        .map(|row| (row.dimensions["from"].as_str(), row.value.as_ref().map_or(f64::NAN, |v| v.estimate)))
        .collect()
}

#[tokio::test]
async fn days_are_those_of_the_time_zone_also_where_clocks_change() {
    let mut served = served().await;
    // Berlin's 26 October 2025 has 25 hours: 25 October 22:00 to 26 October 23:00 UTC.
    let moments = [22 * HOUR - 1, 22 * HOUR, 46 * HOUR, 47 * HOUR - 1, 47 * HOUR];
    let buy =
        |(index, seconds): (usize, &i64)| on(purchase(&format!("o{index}"), "ann", 100), OCTOBER + seconds);
    ingest(&mut served, moments.iter().enumerate().map(buy).collect()).await;
    let daily = |zone: &str| QueryMetricsRequest {
        granularity: Granularity::Day.into(),
        time_zone: zone.into(),
        ..ask(&["REVENUE"])
    };
    let found = query(&mut served, daily("Europe/Berlin")).await;
    assert_eq!(found.time_zone, "Europe/Berlin");
    assert_eq!(by_day(&found.rows), [("2025-10-25", 100.0), ("2025-10-26", 300.0), ("2025-10-27", 100.0)]);
    let found = query(&mut served, daily("")).await;
    assert_eq!(found.time_zone, "UTC");
    assert_eq!(by_day(&found.rows), [("2025-10-25", 200.0), ("2025-10-26", 300.0)]);
    let found = query(&mut served, daily("America/New_York")).await;
    assert_eq!(by_day(&found.rows), [("2025-10-25", 200.0), ("2025-10-26", 300.0)]);
    refused(served.metrics.query_metrics(daily("Europe/Atlantis")).await, "time_zone");
    let cohorts = AnalyseCohortsRequest { time_zone: "Mars".into(), ..AnalyseCohortsRequest::default() };
    refused(served.metrics.analyse_cohorts(cohorts).await, "time_zone");
    let cohorts = AnalyseCohortsRequest {
        granularity: Granularity::Day.into(),
        time_zone: "Europe/Berlin".into(),
        periods: 1,
        until: at(OCTOBER + 5 * DAY),
        ..AnalyseCohortsRequest::default()
    };
    let found = served.metrics.analyse_cohorts(cohorts).await.expect("cohorts").into_inner();
    assert_eq!(found.cohorts[0].from, "2025-10-25");
}

#[tokio::test]
async fn the_shops_time_zone_is_a_setting_and_counts_days_of_measures() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = served_in(&url, folder, "Asia/Tokyo").await;
    // 14:00 and 16:00 UTC are two days in Tokyo.
    ingest(&mut served, vec![click("1", "ann", OCTOBER + 14 * HOUR), click("2", "ann", OCTOBER + 16 * HOUR)])
        .await;
    let days = MetricDefinition {
        name: "DAYS_SEEN".into(),
        kind: MetricKind::Mean.into(),
        measure: Some(Measure { aggregation: Aggregation::Days.into(), ..Measure::default() }),
        ..MetricDefinition::default()
    };
    let define = DefineMetricRequest { metric: Some(days), request_id: String::new() };
    served.metrics.define_metric(define).await.expect("defined");
    let found = query(&mut served, ask(&["DAYS_SEEN"])).await;
    assert_eq!(found.time_zone, "Asia/Tokyo");
    let days = &found.rows[0];
    assert_eq!((days.value.as_ref().expect("a value").estimate, days.units), (2.0, 1));
}

#[tokio::test]
async fn retention_looks_at_one_day_of_units_whose_day_is_over() {
    let mut served = served().await;
    let day = |day: i64| OCTOBER + day * DAY + 10 * HOUR;
    let events = vec![
        click("a0", "ann", day(0)),
        click("a7", "ann", day(7)),
        click("b0", "bob", day(0)),
        click("b6", "bob", day(6)),
        click("c5", "cat", day(5)),
    ];
    ingest(&mut served, events).await;
    let daily = QueryMetricsRequest {
        granularity: Granularity::Day.into(),
        until: at(OCTOBER + 9 * DAY),
        ..ask(&["RETENTION"])
    };
    let found = query(&mut served, daily.clone()).await;
    assert_eq!(by_day(&found.rows)[0], ("2025-10-25", 0.5), "Ann came back on day 7, Bob did not");
    assert_eq!(found.rows[0].units, 2);
    let young = found.rows.iter().find(|row| row.dimensions["from"] == "2025-10-30").expect("Cat's day");
    assert_eq!((young.value.as_ref(), young.units), (None, 0));
    assert_eq!(young.warnings, ["NO_MATURE_UNITS"]);
    let sixth = query(&mut served, QueryMetricsRequest { retention_days: 6, ..daily.clone() }).await;
    assert_eq!(by_day(&sixth.rows)[0], ("2025-10-25", 0.5), "Bob on day 6, Ann not");
    let far = QueryMetricsRequest { retention_days: 366, ..daily };
    refused(served.metrics.query_metrics(far).await, "retention_days");
}

#[tokio::test]
async fn purchases_alone_are_no_conversion_rate() {
    let mut served = served().await;
    let events = (0..249).map(|buyer| purchase(&format!("o{buyer}"), &format!("u{buyer}"), 100)).collect();
    ingest(&mut served, events).await;
    let found = query(&mut served, ask(&["CR"])).await;
    assert_eq!((found.rows[0].value.as_ref(), found.rows[0].units), (None, 0));
    assert_eq!(found.rows[0].warnings, ["NO_EXPOSURES"]);
    ingest(
        &mut served,
        vec![event("v".into(), "u1", EventKind::View, ""), event("w".into(), "z", EventKind::Click, "")],
    )
    .await;
    let found = query(&mut served, ask(&["CR"])).await;
    assert_eq!((found.rows[0].value.as_ref().expect("a value").estimate, found.rows[0].units), (0.5, 2));
    assert_eq!(found.rows[0].warnings, ["BUYERS_WITHOUT_EXPOSURE"]);
}

#[tokio::test]
async fn an_experiments_report_shows_exposures_and_leaves_out_units_of_two_variants() {
    let mut served = served().await;
    let create = CreateExperimentRequest { experiment: Some(halves("ctr")), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: "ctr".into(), request_id: String::new() };
    served.experiments.start_experiment(start).await.expect("started");
    let decision = |id: &str, user: &str, variant: &str| Decision {
        decision_id: id.into(),
        user_id: user.into(),
        decided_at: at(THEN),
        channel: Channel::Web.into(),
        assignments: vec![Assignment {
            experiment_id: "ctr".into(),
            variant_id: variant.into(),
            propensity: 0.5,
            ..Assignment::default()
        }],
        offer_propensity: 1.0,
        ..Decision::default()
    };
    let decisions = vec![
        decision("d1", "ann", "control"),
        decision("d2", "bob", "control"),
        decision("d3", "cat", "treatment"),
        decision("d4", "dan", "control"),
        decision("d5", "dan", "treatment"),
    ];
    record(&mut served, decisions).await;
    ingest(&mut served, vec![purchase("o1", "ann", 700), purchase("o2", "dan", 9_000)]).await;
    let request =
        QueryMetricsRequest { dimensions: vec!["experiment:ctr".into()], ..ask(&["CR", "REVENUE"]) };
    let found = query(&mut served, request).await;
    let exposures = &found.experiments[0];
    assert_eq!(exposures.experiment_id, "ctr");
    assert_eq!(exposures.units, BTreeMap::from([("control".to_owned(), 2), ("treatment".to_owned(), 1)]));
    assert_eq!(exposures.multiple_exposures, 1);
    assert!(exposures.srm_p_value.expect("computed") > 0.5);
    let told: Vec<(&str, &str, f64, u64)> = found
        .rows
        .iter()
        .map(|row| {
            let value = row.value.as_ref().map_or(f64::NAN, |value| value.estimate);
            (row.dimensions["experiment:ctr"].as_str(), row.metric.as_str(), value, row.units)
        })
        .collect();
    assert_eq!(
        told,
        [("control", "CR", 0.5, 2), ("control", "REVENUE", 700.0, 1), ("treatment", "CR", 0.0, 1)],
        "exposed units count whether or not they did anything; Dan is in no row"
    );
}

#[tokio::test]
async fn a_report_waits_for_the_position_of_the_log() {
    let mut served = served().await;
    let rows = |event: Option<Event>, log_position| {
        tokio_stream::iter([IngestEventsRequest { event, log_position }])
    };
    let first = rows(Some(click("1", "ann", THEN)), 7);
    served.decisions.ingest_events(first).await.expect("stored");
    let after = |after_position| QueryMetricsRequest { after_position, ..ask(&["CR"]) };
    query(&mut served, after(7)).await;
    let mut late = Request::new(after(9));
    late.set_timeout(std::time::Duration::from_millis(600));
    let status = served.metrics.query_metrics(late).await.expect_err("too early");
    assert_eq!((status.code(), reason(&status).as_deref()), (Code::DeadlineExceeded, Some("LOG_BEHIND")));
    assert!(status.message().contains("stored up to 7"), "{}", status.message());
    // A rejected row moves the log on as well; whoever waits is then answered.
    let mut waiting = served.metrics.clone();
    let waiter = tokio::spawn(async move { waiting.query_metrics(after(9)).await });
    served.decisions.ingest_events(rows(None, 9)).await.expect("rejected by row");
    waiter.await.expect("joined").expect("answered");
    // A smaller position later does not move it back.
    served.decisions.ingest_events(rows(Some(click("2", "ann", THEN)), 3)).await.expect("stored");
    query(&mut served, after(9)).await;
    let attribute = AttributeRequest { after_position: 9, ..AttributeRequest::default() };
    served.attribution.attribute(attribute).await.expect("answered");
}

#[tokio::test]
async fn a_deleted_offer_is_offered_no_more_and_comes_back_when_stored_again() {
    let mut served = served().await;
    let offer = Offer {
        offer_id: "tenth".into(),
        kind: OfferKind::Coupon.into(),
        percent_off: Some(10.0),
        ends_at: at(4_000_000_000),
        ..Offer::default()
    };
    let upsert = || tokio_stream::iter([UpsertOffersRequest { offer: Some(offer.clone()) }]);
    assert_eq!(served.strategies.upsert_offers(upsert()).await.expect("stored").into_inner().accepted, 1);
    let delete =
        |request_id: &str| DeleteOfferRequest { offer_id: "tenth".into(), request_id: request_id.into() };
    for _ in 0..2 {
        let found = served.strategies.delete_offer(delete("r1")).await.expect("deleted").into_inner();
        assert!(found.deleted, "a repeated request gets the first answer");
    }
    assert!(!served.strategies.delete_offer(delete("r2")).await.expect("gone").into_inner().deleted);
    let list = || ListOffersRequest::default();
    assert!(served.strategies.list_offers(list()).await.expect("a page").into_inner().offers.is_empty());
    served.strategies.upsert_offers(upsert()).await.expect("stored again");
    assert_eq!(served.strategies.list_offers(list()).await.expect("a page").into_inner().offers.len(), 1);
    refused(served.strategies.delete_offer(DeleteOfferRequest::default()).await, "offer_id");
}

#[tokio::test]
async fn requests_that_multiply_out_are_refused_before_anything_is_allocated() {
    let mut served = served().await;
    // 686 kB that would become 20 000 × 40 001 columns.
    let row = |index: usize| LoggedDecision {
        context: [("x".to_owned(), index as f64)].into(),
        action: format!("a{index}"),
        propensity: 0.5,
        reward: 1.0,
    };
    let request = EvaluatePolicyRequest {
        policy: Some(Policy { action_probabilities: [("a1".to_owned(), 1.0)].into() }),
        logged: (0..20_000).map(row).collect(),
        ..EvaluatePolicyRequest::default()
    };
    refused(served.effects.evaluate_policy(request).await, "logged");
    let names = |index: usize| LoggedDecision {
        context: [(format!("x{index}"), 1.0)].into(),
        action: "a".into(),
        propensity: 0.5,
        reward: 1.0,
    };
    let request = EvaluatePolicyRequest {
        policy: Some(Policy { action_probabilities: [("a".to_owned(), 1.0)].into() }),
        logged: (0..20_000).map(names).collect(),
        ..EvaluatePolicyRequest::default()
    };
    refused(served.effects.evaluate_policy(request).await, "logged");
    let journey =
        |index: usize| Journey { touches: vec![format!("c{index}")], conversions: 1.0, ..Journey::default() };
    let request = AttributeRequest {
        journeys: (0..20_000).map(journey).collect(),
        bootstrap: 2_000,
        ..AttributeRequest::default()
    };
    refused(served.attribution.attribute(request).await, "bootstrap");
    let candidate = |index: usize| BudgetCandidate {
        unit_id: format!("u{index}"),
        treatment_id: "t".into(),
        value: 1.0,
        cost: 1.0,
        ..BudgetCandidate::default()
    };
    let limit = |index: usize| BudgetLimit { name: format!("l{index}"), amount: 1.0 };
    let request = OptimiseBudgetRequest {
        candidates: (0..20_000).map(candidate).collect(),
        limits: (0..900).map(limit).collect(),
        budget: 1.0,
        ..OptimiseBudgetRequest::default()
    };
    refused(served.strategies.optimise_budget(request).await, "candidates");
}

#[tokio::test]
async fn long_refusals_do_not_kill_the_connection() {
    let mut served = served().await;
    refused(served.metrics.query_metrics(ask(&[&"X".repeat(20_000)])).await, "metrics[0]");
    let wrong = |index: usize| BudgetCandidate {
        unit_id: format!("u{index}"),
        treatment_id: "t".into(),
        cost: -1.0,
        ..BudgetCandidate::default()
    };
    let request = OptimiseBudgetRequest { candidates: (0..150).map(wrong).collect(), ..Default::default() };
    refused(served.strategies.optimise_budget(request).await, "candidates[0].cost");
    query(&mut served, ask(&["CR"])).await;
}

#[tokio::test]
async fn journeys_of_negative_value_keep_their_sign() {
    let mut served = served().await;
    let journey = |touches: &[&str], value| Journey {
        touches: touches.iter().map(ToString::to_string).collect(),
        conversions: 1.0,
        value,
        nulls: 1.0,
        ..Journey::default()
    };
    for model in [AttributionModel::Linear, AttributionModel::Markov, AttributionModel::Shapley] {
        let request = AttributeRequest {
            model: model.into(),
            currency_code: "USD".into(),
            journeys: vec![journey(&["a", "b"], -50.0), journey(&["b"], -7.0)],
            ..AttributeRequest::default()
        };
        let found = served.attribution.attribute(request).await.expect("credits").into_inner();
        let sum: f64 = found.credits.iter().map(|credit| credit.value).sum();
        assert_eq!((sum, found.total_value), (-57.0, -57.0), "{model:?}");
    }
}
