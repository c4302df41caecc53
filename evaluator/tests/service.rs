//! The evaluator over a real socket.

use std::collections::HashMap;
use std::time::Instant;

use crate::support::*;
use proto::common::v1::{Channel, Event, EventKind, Money, Offer, OfferKind};
use proto::evaluator::v1::*;
use tonic::Code;

#[tokio::test]
async fn an_experiment_runs_from_design_to_decision() {
    let mut served = served().await;
    experiment_journey(&mut served).await;

    let query = QueryMetricsRequest {
        metrics: vec!["CTR".into()],
        dimensions: vec!["experiment:ctr".into()],
        ..QueryMetricsRequest::default()
    };
    let rows = served.metrics.query_metrics(query).await.expect("rows").into_inner().rows;
    let of: Vec<&str> = rows.iter().map(|row| row.dimensions["experiment:ctr"].as_str()).collect();
    assert_eq!(of, ["control", "treatment"]);

    let held = exported(&mut served, "u7").await;
    assert_eq!(held.decisions.len(), 1);
    assert!(held.events.iter().all(|event| event.user_id.starts_with("p1:")), "ids are pseudonyms");
    let rows = (held.decisions.len() + held.events.len() + 1) as u64;
    let erase = EraseUserRequest { user_id: "u7".into(), request_id: String::new() };
    let removed = served.decisions.erase_user(erase.clone()).await.expect("erased").into_inner().removed;
    assert_eq!(removed, rows, "decision, events and assignment");
    assert_eq!(served.decisions.erase_user(erase).await.expect("again").into_inner().removed, 0);

    let stop = StopExperimentRequest { experiment_id: "ctr".into(), request_id: String::new() };
    served.experiments.stop_experiment(stop).await.expect("stopped");
    let late = AssignRequest { unit_id: "u".into(), experiment_ids: vec!["ctr".into()] };
    let status = served.experiments.assign(late).await.expect_err("it does not run");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("EXPERIMENT_NOT_RUNNING"));
    let start = StartExperimentRequest { experiment_id: "ctr".into(), request_id: String::new() };
    assert_eq!(
        served.experiments.start_experiment(start).await.expect_err("it is over").code(),
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn offers_are_stored_and_listed_and_chance_chooses_evenly_among_them() {
    let mut served = served().await;
    let offer = |id: &str, ends: i64| Offer {
        offer_id: id.into(),
        kind: OfferKind::FreeShipping.into(),
        ends_at: at(ends),
        ..Offer::default()
    };
    let far = 4_000_000_000;
    let offers = [offer("a", far), offer("b", far), offer("c", far), offer("gone", THEN)];
    let bad = Offer { kind: 77, ..offer("bad", far) };
    let rows: Vec<_> =
        offers.into_iter().chain([bad]).map(|o| UpsertOffersRequest { offer: Some(o) }).collect();
    let stored =
        served.strategies.upsert_offers(tokio_stream::iter(rows)).await.expect("stored").into_inner();
    assert_eq!((stored.accepted, stored.rejected.len()), (4, 1));
    assert_eq!((stored.rejected[0].id.as_str(), stored.rejected[0].field.as_str()), ("bad", "kind"));

    let page = |page_token: String| ListOffersRequest { page_size: 3, page_token, valid_only: false };
    let first = served.strategies.list_offers(page(String::new())).await.expect("a page").into_inner();
    let second = served
        .strategies
        .list_offers(page(first.next_page_token.clone()))
        .await
        .expect("a page")
        .into_inner();
    assert_eq!((first.offers.len(), second.offers.len()), (3, 1));
    assert!(second.next_page_token.is_empty());
    refused(served.strategies.list_offers(page("made-up".into())).await, "page_token");
    let other = ListExperimentsRequest { page_token: first.next_page_token, ..Default::default() };
    refused(served.experiments.list_experiments(other).await, "page_token");

    let money = Some(Money { currency_code: "USD".into(), minor_units: 1_000 });
    let explore = GenerateStrategiesRequest {
        kind: PlanKind::Exploration.into(),
        budget: money,
        until: at(far),
        holdout: Some(0.005),
        ..GenerateStrategiesRequest::default()
    };
    let plan = served.strategies.generate_strategies(explore).await.expect("made").into_inner().plan_id;
    let activate = ActivatePlanRequest { plan_id: plan.clone(), ..ActivatePlanRequest::default() };
    let active = served.strategies.activate_plan(activate).await.expect("activated").into_inner();
    assert_eq!(active.replay, None, "there is nothing to replay");
    let mut counts: HashMap<String, u32> = HashMap::new();
    for person in 0..2_000 {
        let context = DecisionContext { seed: 11, ..DecisionContext::default() };
        let decision_id = format!("d{person}");
        let request = DecideRequest {
            user_id: format!("u{person}"),
            context: Some(context),
            decision_id,
            ..Default::default()
        };
        let made = served.strategies.decide(request.clone()).await.expect("decided").into_inner();
        if made.in_holdout {
            continue;
        }
        assert!((made.propensity - 0.25).abs() < 1e-12, "three valid offers and none");
        assert_eq!((made.seed, made.plan_id.as_str()), (11, plan.as_str()));
        if person < 20 {
            assert_eq!(served.strategies.decide(request).await.expect("decided").into_inner(), made);
        }
        *counts.entry(made.offer.map_or_else(|| "none".to_owned(), |offer| offer.offer_id)).or_default() += 1;
    }
    assert_eq!(counts.len(), 4, "{counts:?}");
    assert!(counts.values().all(|&count| (400..600).contains(&count)), "{counts:?}");

    let request =
        DecideRequest { user_id: "u".into(), context: None, decision_id: "d".into(), ..Default::default() };
    let unseeded = served.strategies.decide(request).await.expect("decided").into_inner();
    let seed = DecisionContext { seed: unseeded.seed, ..DecisionContext::default() };
    let again = DecideRequest {
        user_id: "u".into(),
        context: Some(seed),
        decision_id: "d".into(),
        ..Default::default()
    };
    assert_eq!(served.strategies.decide(again).await.expect("decided").into_inner(), unseeded);
}

#[tokio::test]
async fn holdouts_see_nothing_and_variants_set_their_angle() {
    let mut served = served().await;
    let experiment = Experiment { holdout: 0.5, ..halves("h") };
    let create = CreateExperimentRequest { experiment: Some(experiment), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: "h".into(), request_id: String::new() };
    served.experiments.start_experiment(start).await.expect("started");
    let mut held = 0;
    for person in 0..400 {
        let request = DecideRequest { user_id: format!("u{person}"), context: None, ..Default::default() };
        let made = served.strategies.decide(request).await.expect("decided").into_inner();
        let assignment = &made.assignments[0];
        assert_eq!(assignment.in_holdout, made.in_holdout);
        assert_eq!(made.angle, assignment.variant_id, "the variant sets the angle; held out there is none");
        held += u32::from(made.in_holdout);
    }
    assert!((150..250).contains(&held), "{held}");
}

fn arm(variant_id: &str, units: u64, sum: f64) -> Arm {
    let moments = Moments { units, sum, ..Moments::default() };
    Arm { variant_id: variant_id.into(), weight: 0.5, moments: Some(moments), ..Arm::default() }
}

fn two_proportions() -> AnalyseExperimentRequest {
    AnalyseExperimentRequest {
        arms: vec![arm("a", 1000, 100.0), arm("b", 1000, 120.0)],
        metric_kind: MetricKind::Proportion.into(),
        ..AnalyseExperimentRequest::default()
    }
}

/// An experiment nobody has seen yet: no value, no interval, and no number that is none.
#[tokio::test]
async fn an_experiment_without_units_has_no_numbers_to_tell() {
    let mut served = served().await;
    let create = CreateExperimentRequest { experiment: Some(halves("new")), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: "new".into(), request_id: String::new() };
    served.experiments.start_experiment(start).await.expect("started");
    let found = analysed(&mut served, "new", &["CTR", "CR", "REVENUE"]).await;
    for result in &found.results {
        assert!(result.effect.is_none() && result.proportions.is_none() && result.control_interval.is_none());
        assert!(result.warnings.iter().any(|warning| warning == "NO_VALUE"), "{result:?}");
    }
    let plan = PlanExperimentRequest {
        metric_kind: MetricKind::Mean.into(),
        baseline: 10.0,
        standard_deviation: 1e-9,
        minimum_effect: 0.1,
        ..PlanExperimentRequest::default()
    };
    let found = served.experiments.plan_experiment(plan).await.expect("planned").into_inner();
    assert_eq!((found.units_per_variant, found.power), (2, 1.0));
    let given = PlanExperimentRequest { units_per_variant: u64::MAX, ..plan };
    refused(served.experiments.plan_experiment(given).await, "units_per_variant");
}

/// GrowthBook gbstats 0.8.0, case `small_prop`.
#[tokio::test]
async fn inline_analyses_equal_growthbooks() {
    let mut served = served().await;
    let mut run = async |method: AnalysisMethod| {
        let request = AnalyseExperimentRequest { method: method.into(), ..two_proportions() };
        let found = served.experiments.analyse_experiment(request).await.expect("analysed").into_inner();
        found.results.into_iter().next().expect("one result")
    };
    let close =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    let fixed = run(AnalysisMethod::Fixed).await;
    let effect = fixed.effect.expect("an effect");
    close(effect.estimate, 0.2);
    close(effect.lower, -0.100_767_974_848_356_26);
    close(effect.upper, 0.500_767_974_848_356);
    close(fixed.p_value.expect("p"), 0.192_350_207_015_055_79);
    let sequential = run(AnalysisMethod::Sequential).await.effect.expect("an effect");
    close(sequential.lower, -0.279_069_996_488_509_4);
    let bayesian = run(AnalysisMethod::Bayesian).await;
    close(bayesian.chance_to_win.expect("a chance"), 0.903_900_481_806_753_3);
    close(bayesian.risk_control.expect("a risk"), 0.206_921_607_912_677_83);
    close(bayesian.risk_treatment.expect("a risk"), 0.006_921_607_912_677_944);
    assert_eq!(bayesian.p_value, None);
}

#[tokio::test]
async fn bad_questions_are_refused_by_field() {
    let mut served = served().await;
    let mut ask = async |request, field| refused(served.experiments.analyse_experiment(request).await, field);
    let sound = two_proportions;
    ask(AnalyseExperimentRequest { alpha: Some(1.0), ..sound() }, "alpha").await;
    ask(AnalyseExperimentRequest { alpha: Some(f64::NAN), ..sound() }, "alpha").await;
    ask(AnalyseExperimentRequest { metric_kind: 0, ..sound() }, "metric_kind").await;
    ask(AnalyseExperimentRequest { method: 9, ..sound() }, "method").await;
    ask(AnalyseExperimentRequest { sequential_tuning: Some(0.0), ..sound() }, "sequential_tuning").await;
    ask(AnalyseExperimentRequest { arms: vec![arm("a", 10, 1.0)], ..sound() }, "arms").await;
    let arms = vec![arm("a", 10, 1.0), arm("b", 10, f64::INFINITY)];
    ask(AnalyseExperimentRequest { arms, ..sound() }, "arms[1].moments.sum").await;
    let arms = vec![arm("a", 10, 1.0), arm("b", 10, 11.0)];
    ask(AnalyseExperimentRequest { arms, ..sound() }, "arms[1].moments.sum").await;
    ask(AnalyseExperimentRequest::default(), "metric_kind").await;

    let journey = Journey { touches: vec!["a".into()], conversions: -1.0, ..Journey::default() };
    let request = AttributeRequest { journeys: vec![journey], ..AttributeRequest::default() };
    refused(served.attribution.attribute(request).await, "journeys[0].conversions");
    let request = AttributeRequest { model: 44, ..AttributeRequest::default() };
    refused(served.attribution.attribute(request).await, "model");
    let request = QueryMetricsRequest { metrics: vec!["LUCK".into()], ..QueryMetricsRequest::default() };
    refused(served.metrics.query_metrics(request).await, "metrics[0]");
    let mut lame = halves("x");
    lame.variants[0].weight = 0.9;
    let create = CreateExperimentRequest { experiment: Some(lame), request_id: String::new() };
    refused(served.experiments.create_experiment(create).await, "experiment.variants");

    let mut mixed = purchase("o", "u", 500);
    if let Some(cost) = mixed.purchase.as_mut().and_then(|p| p.cost.as_mut()) {
        cost.currency_code = "CNY".into();
    }
    let stored = ingest(&mut served, vec![mixed, purchase("p", "u", 500)]).await;
    assert_eq!((stored.accepted, stored.rejected.len()), (1, 1));
    assert_eq!(stored.rejected[0].field, "purchase.cost.currency_code");

    let treatments = vec![Treatment { treatment_id: "t".into(), ..Treatment::default() }];
    let request = PredictEffectRequest { user_id: "u".into(), treatments, ..PredictEffectRequest::default() };
    let status = served.effects.predict_effect(request).await.expect_err("no model");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("EFFECT_MODEL_NOT_TRAINED"));
}

/// The textbook chain of Anderl et al.: a > b > c converts, a and b > c do not.
#[tokio::test]
async fn markov_credits_equal_the_textbooks() {
    let mut served = served().await;
    let journey = |touches: &[&str], conversions, nulls| Journey {
        touches: touches.iter().map(ToString::to_string).collect(),
        conversions,
        value: conversions * 10.0,
        nulls,
        ..Journey::default()
    };
    let journeys =
        vec![journey(&["a", "b", "c"], 1.0, 0.0), journey(&["a"], 0.0, 1.0), journey(&["b", "c"], 0.0, 1.0)];
    let request = AttributeRequest { model: AttributionModel::Markov.into(), journeys, ..Default::default() };
    let found = served.attribution.attribute(request.clone()).await.expect("credits").into_inner();
    let removal: HashMap<&str, f64> =
        found.credits.iter().map(|c| (c.channel.as_str(), c.removal_effect.expect("markov"))).collect();
    for (channel, expected) in [("a", 0.5), ("b", 1.0), ("c", 1.0)] {
        assert!((removal[channel] - expected).abs() < 1e-12, "{removal:?}");
    }
    assert!((found.conversion_probability - 1.0 / 3.0).abs() < 1e-12);
    let credited: f64 = found.credits.iter().filter_map(|c| c.conversions.as_ref()).map(|i| i.estimate).sum();
    assert!((credited - found.total_conversions).abs() < 1e-9);
    let drawn = AttributeRequest { bootstrap: 200, seed: 5, ..request };
    let first = served.attribution.attribute(drawn.clone()).await.expect("credits").into_inner();
    assert_eq!(first, served.attribution.attribute(drawn).await.expect("credits").into_inner());
    assert!(
        first
            .credits
            .iter()
            .filter_map(|c| c.conversions.as_ref())
            .all(|i| i.lower <= i.upper && (i.level - 0.95).abs() < 1e-12)
    );
}

#[tokio::test]
async fn stored_events_answer_metrics_attribution_and_funnels() {
    let mut served = served().await;
    let on = |event: Event, channel: Channel, seconds: i64| Event {
        channel: channel.into(),
        occurred_at: at(THEN + seconds),
        ..event
    };
    let click = |id: &str, user: &str| event(id.into(), user, EventKind::Click, "");
    let view = |id: &str, user: &str| event(id.into(), user, EventKind::Impression, "");
    let events = vec![
        on(view("1", "ann"), Channel::Email, 0),
        on(click("2", "ann"), Channel::Email, 10),
        on(click("3", "ann"), Channel::Push, 20),
        purchase("o1", "ann", 3000),
        on(view("4", "bob"), Channel::Email, 0),
        purchase("o2", "cat", 1000),
    ];
    ingest(&mut served, events).await;
    let found =
        served.attribution.attribute(AttributeRequest::default()).await.expect("credits").into_inner();
    let credits: HashMap<&str, (f64, f64)> = found
        .credits
        .iter()
        .map(|c| (c.channel.as_str(), (c.conversions.as_ref().map_or(0.0, |i| i.estimate), c.value)))
        .collect();
    assert_eq!(credits["CHANNEL_PUSH"], (1.0, 3000.0));
    assert_eq!(credits["unmatched"], (1.0, 1000.0));
    assert_eq!((found.total_conversions, found.currency_code.as_str()), (2.0, "USD"));

    let request = QueryMetricsRequest {
        metrics: ["CTR", "CR", "AOV", "REVENUE", "PROFIT"].map(str::to_owned).to_vec(),
        granularity: Granularity::Day.into(),
        ..QueryMetricsRequest::default()
    };
    let rows = served.metrics.query_metrics(request).await.expect("rows").into_inner().rows;
    let value: HashMap<&str, f64> = rows
        .iter()
        .map(|row| (row.metric.as_str(), row.value.as_ref().map_or(f64::NAN, |v| v.estimate)))
        .collect();
    // Ann and Bob saw something, Ann bought; Cat bought without having been seen.
    for (metric, expected) in
        [("CTR", 1.0), ("CR", 0.5), ("AOV", 2000.0), ("REVENUE", 4000.0), ("PROFIT", 2000.0)]
    {
        assert!((value[metric] - expected).abs() < 1e-9, "{metric}: {value:?}");
    }
    assert!(rows.iter().all(|row| row.dimensions["from"] == "2025-10-09"), "{rows:?}");

    let steps = [EventKind::Impression, EventKind::Click, EventKind::Purchase].map(Into::into).to_vec();
    let request = AnalyseFunnelRequest { steps, ..AnalyseFunnelRequest::default() };
    let steps = served.metrics.analyse_funnel(request).await.expect("a funnel").into_inner().steps;
    assert_eq!(
        steps.iter().map(|step| (step.units, step.drop_off)).collect::<Vec<_>>(),
        [(2, 0), (1, 1), (1, 0)]
    );
}

#[tokio::test]
async fn a_model_is_trained_from_the_log_and_predicts() {
    let mut served = served().await;
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    for i in 0..3_000_usize {
        let offer = ["", "good", "idle"][i % 3];
        let (decision_id, user) = (format!("d{i}"), format!("u{i}"));
        if i / 3 % 10 < if offer == "good" { 4 } else { 1 } {
            events.push(event(format!("c{i}"), &user, EventKind::Click, &decision_id));
        }
        decisions.push(Decision {
            decision_id,
            user_id: user,
            decided_at: at(THEN),
            offer_id: offer.into(),
            offer_propensity: 1.0 / 3.0,
            ..Decision::default()
        });
    }
    record(&mut served, decisions).await;
    ingest(&mut served, events).await;
    let request =
        TrainEffectModelRequest { target: "click".into(), seed: 3, ..TrainEffectModelRequest::default() };
    let mut stages = served.effects.train_effect_model(request).await.expect("trains").into_inner();
    let mut last = None;
    while let Some(stage) = stages.message().await.expect("a stage") {
        last = Some(stage);
    }
    let last = last.expect("stages");
    assert!(last.stage == "done" && last.metrics["promoted"] > 0.5, "{last:?}");

    let treatment = |id: &str| Treatment {
        treatment_id: id.into(),
        offer: (id != "none").then(|| Offer {
            offer_id: id.into(),
            kind: OfferKind::FreeShipping.into(),
            ..Offer::default()
        }),
        ..Treatment::default()
    };
    let treatments = ["none", "good", "idle"].map(treatment).to_vec();
    let request = PredictEffectRequest { user_id: "u".into(), treatments, ..PredictEffectRequest::default() };
    let found = served.effects.predict_effect(request).await.expect("predicted").into_inner();
    let uplift: Vec<f64> =
        found.effects.iter().filter_map(|e| e.uplift.as_ref()).map(|u| u.estimate).collect();
    assert!(
        uplift[0].abs() < 1e-12 && (uplift[1] - 0.3).abs() < 0.02 && uplift[2].abs() < 0.02,
        "{uplift:?}"
    );
    assert!(!found.out_of_distribution && found.model_version.starts_with("effect-"));

    let policy = Policy { action_probabilities: [("good".to_owned(), 1.0)].into() };
    let request = EvaluatePolicyRequest { policy: Some(policy), ..EvaluatePolicyRequest::default() };
    let judged = served.effects.evaluate_policy(request).await.expect("judged").into_inner();
    assert!(!judged.refused && (judged.effective_sample_size - 1000.0).abs() < 1e-6, "{judged:?}");
    assert_eq!(judged.estimates.len(), 5, "every estimator of the contract");
}

/// Run by hand, in release: `cargo test --release -p evaluator --test all service::figures -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "figures, not facts"]
async fn figures() {
    let mut served = served().await;
    let kinds = [EventKind::Impression, EventKind::Click, EventKind::View];
    let rows: Vec<Event> = (0..150_000_usize)
        .map(|i| Event {
            occurred_at: at(THEN + i as i64),
            ..event(format!("event-{i:08}"), &format!("household-{}", i % 2_500), kinds[i % 3], "")
        })
        .collect();
    let started = Instant::now();
    let stored = ingest(&mut served, rows).await;
    let seconds = started.elapsed().as_secs_f64();
    println!("import: {} events in {seconds:.2} s, {:.0} a second", stored.accepted, 150_000.0 / seconds);
    let started = Instant::now();
    let request = QueryMetricsRequest {
        metrics: vec!["CTR".into()],
        dimensions: vec!["channel".into(), "day".into()],
        ..QueryMetricsRequest::default()
    };
    let rows = served.metrics.query_metrics(request).await.expect("rows").into_inner().rows.len();
    println!("CTR by channel and day over them: {rows} rows in {:.3} s", started.elapsed().as_secs_f64());
    let mut times = Vec::new();
    for person in 0..5_000 {
        let request = DecideRequest { user_id: format!("u{person}"), context: None, ..Default::default() };
        let started = Instant::now();
        served.strategies.decide(request).await.expect("decided");
        times.push(started.elapsed());
    }
    times.sort_unstable();
    println!("Decide: p50 {:?}, p99 {:?}", times[2_500], times[4_950]);
}
