//! Experiments beyond a single comparison: planned sizes, guardrails, covariates, dimensions and currencies.

use evaluator::service::analysis::inline;
use proto::common::v1::{Channel, Event, EventKind, Money, Purchase};
use proto::evaluator::v1::*;

use crate::support::*;

async fn start(served: &mut Served, experiment: Experiment) {
    let id = experiment.experiment_id.clone();
    let create = CreateExperimentRequest { experiment: Some(experiment), request_id: String::new() };
    served.experiments.create_experiment(create).await.expect("made");
    let start = StartExperimentRequest { experiment_id: id, request_id: String::new() };
    served.experiments.start_experiment(start).await.expect("started");
}

fn decided(user: &str, variant: &str, channel: Channel) -> Decision {
    let assignment = Assignment {
        experiment_id: "e".into(),
        variant_id: variant.into(),
        propensity: 0.5,
        ..Assignment::default()
    };
    Decision {
        decision_id: format!("d-{user}"),
        user_id: user.into(),
        decided_at: at(THEN),
        channel: channel.into(),
        assignments: vec![assignment],
        offer_propensity: 1.0,
        ..Decision::default()
    }
}

fn at_second(seconds: i64, event: Event) -> Event {
    Event { occurred_at: at(THEN + seconds), ..event }
}

/// 100 units in each arm; of the treatment 80 buy, of the control 30.
async fn buyers(served: &mut Served) {
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    for (variant, buy) in [("control", 30), ("treatment", 80)] {
        for person in 0..100 {
            let user = format!("{variant}{person}");
            decisions.push(decided(&user, variant, Channel::Web));
            if person < buy {
                events.push(purchase(&format!("o-{user}"), &user, 1_000));
            }
        }
    }
    record(served, decisions).await;
    ingest(served, events).await;
}

async fn verdict(served: &mut Served, method: AnalysisMethod) -> (DecisionVerdict, Vec<String>) {
    let request = AnalyseExperimentRequest {
        experiment_id: "e".into(),
        method: method.into(),
        effect_measure: EffectMeasure::Absolute.into(),
        ..AnalyseExperimentRequest::default()
    };
    let found = served.experiments.analyse_experiment(request).await.expect("analysed").into_inner();
    let decision = found.decision.expect("a decision");
    (decision.verdict(), decision.reasons)
}

#[tokio::test]
async fn a_fixed_analysis_does_not_ship_before_the_planned_size() {
    for (planned, may_ship) in [(150, false), (100, true)] {
        let mut served = served().await;
        let experiment =
            Experiment { metrics: vec!["CR".into()], planned_units_per_variant: planned, ..halves("e") };
        start(&mut served, experiment).await;
        buyers(&mut served).await;
        let (found, reasons) = verdict(&mut served, AnalysisMethod::Fixed).await;
        if may_ship {
            assert_eq!(found, DecisionVerdict::Ship, "{reasons:?}");
        } else {
            assert_eq!(found, DecisionVerdict::Wait);
            let last = reasons.last().expect("reasons");
            assert!(last.contains("control has 100 of 150 units"), "{last}");
        }
        let (sequential, _) = verdict(&mut served, AnalysisMethod::Sequential).await;
        assert_eq!(sequential, DecisionVerdict::Ship, "it may be looked at any time");
    }
}

#[tokio::test]
async fn without_a_planned_size_a_fixed_analysis_ships_after_the_experiment_was_stopped() {
    let mut served = served().await;
    start(&mut served, Experiment { metrics: vec!["CR".into()], ..halves("e") }).await;
    buyers(&mut served).await;
    let (found, reasons) = verdict(&mut served, AnalysisMethod::Fixed).await;
    assert_eq!(found, DecisionVerdict::Wait);
    assert!(reasons.last().is_some_and(|text| text.contains("stop the experiment")), "{reasons:?}");
    let stop = StopExperimentRequest { experiment_id: "e".into(), request_id: String::new() };
    served.experiments.stop_experiment(stop).await.expect("stopped");
    assert_eq!(verdict(&mut served, AnalysisMethod::Fixed).await.0, DecisionVerdict::Ship);
}

#[tokio::test]
async fn a_planned_size_given_inline_holds_back_too() {
    let arm = |id: &str, sum| Arm {
        variant_id: id.into(),
        weight: 0.5,
        moments: Some(Moments { units: 1_000, sum, ..Moments::default() }),
        ..Arm::default()
    };
    for (planned, expected) in
        [(0, DecisionVerdict::Ship), (1_000, DecisionVerdict::Ship), (1_001, DecisionVerdict::Wait)]
    {
        let request = AnalyseExperimentRequest {
            arms: vec![arm("a", 100.0), arm("b", 200.0)],
            metric_kind: MetricKind::Proportion.into(),
            planned_units_per_variant: planned,
            ..AnalyseExperimentRequest::default()
        };
        let decision = inline(&request).expect("analysed").decision.expect("a decision");
        assert_eq!(decision.verdict(), expected, "{planned}: {:?}", decision.reasons);
    }
}

/// The treatment sells more but at a lower revenue a buyer; REVENUE is a guardrail that fell, also when it is not asked
/// for.
#[tokio::test]
async fn a_guardrail_that_fell_rolls_back_also_when_it_was_not_asked_for() {
    let mut served = served().await;
    let experiment = Experiment {
        metrics: vec!["CR".into()],
        guardrails: vec![Guardrail { metric: "AOV".into(), margin: 0.05 }],
        planned_units_per_variant: 100,
        ..halves("e")
    };
    start(&mut served, experiment).await;
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    for (variant, buy, price) in [("control", 50, 2_000), ("treatment", 80, 1_000)] {
        for person in 0..100_i64 {
            let user = format!("{variant}{person}");
            decisions.push(decided(&user, variant, Channel::Web));
            if person < buy {
                events.push(purchase(&format!("o-{user}"), &user, price + person % 7));
            }
        }
    }
    record(&mut served, decisions).await;
    ingest(&mut served, events).await;
    for metrics in [&[][..], &["CR"][..]] {
        let found = analysed(&mut served, "e", metrics).await;
        let decision = found.decision.expect("a decision");
        assert_eq!(decision.verdict(), DecisionVerdict::RollBack, "{:?}", decision.reasons);
        assert!(decision.reasons.iter().any(|text| text.contains("guardrail AOV is worse than the margin")));
        let listed: Vec<(&str, bool)> =
            found.results.iter().map(|row| (row.metric.as_str(), row.guardrail)).collect();
        let expected = [("CR", false), ("AOV", true)];
        assert_eq!(listed, expected[..if metrics.is_empty() { 2 } else { 1 }]);
    }
}

#[tokio::test]
async fn money_metrics_name_their_currency_and_others_none() {
    let mut served = served().await;
    start(&mut served, halves("e")).await;
    buyers(&mut served).await;
    let found = analysed(&mut served, "e", &["REVENUE", "AOV", "PROFIT", "CR"]).await;
    let currencies: Vec<&str> = found.results.iter().map(|row| row.currency_code.as_str()).collect();
    assert_eq!(currencies, ["USD", "USD", "USD", ""]);

    // One purchase in another currency stops nothing and adds nothing.
    let mut foreign = purchase("foreign", "control99", 1);
    if let Some(purchase) = foreign.purchase.as_mut() {
        let revenue = Some(Money { currency_code: "CNY".into(), minor_units: 100 });
        *purchase = Purchase { order_id: "foreign".into(), quantity: 1, revenue, ..Purchase::default() };
    }
    assert_eq!(ingest(&mut served, vec![foreign]).await.accepted, 1);
    let after = analysed(&mut served, "e", &["REVENUE", "CR"]).await;
    let revenue = |rows: &[VariantResult]| {
        let row = rows.iter().find(|row| row.metric == "REVENUE").expect("a row").clone();
        (row.currency_code, row.effect.map(|effect| effect.estimate), row.warnings)
    };
    let (before, after_) = (revenue(&found.results), revenue(&after.results));
    assert_eq!((before.0, before.1), (after_.0, after_.1));
    assert!(after_.2.contains(&"OTHER_CURRENCIES_LEFT_OUT".to_owned()), "{:?}", after_.2);
}

/// Reference: numpy 2 and scipy on 3 100 single units, both ratios linearised unit by unit, θ from the pooled units;
/// the sums below are those units'.
#[test]
fn cuped_of_a_ratio_equals_a_reference_computed_from_single_units() {
    let arm = |id: &str, units, sums: [f64; 14]| {
        let [m, mm, d, dd, md, p, pp, mp, q, qq, pq, mq, dp, dq] = sums;
        let moments = Moments {
            units,
            sum: m,
            sum_squares: mm,
            denominator_sum: d,
            denominator_sum_squares: dd,
            cross_sum: md,
            covariate_sum: p,
            covariate_sum_squares: pp,
            covariate_cross_sum: mp,
            covariate_denominator_sum: q,
            covariate_denominator_sum_squares: qq,
            covariate_denominator_cross_sum: pq,
            outcome_covariate_denominator_sum: mq,
            denominator_covariate_sum: dp,
            denominator_covariate_denominator_sum: dq,
        };
        Arm { variant_id: id.into(), moments: Some(moments), ..Arm::default() }
    };
    let request = AnalyseExperimentRequest {
        arms: vec![
            arm(
                "a",
                1_500,
                [
                    2211.0, 6201.0, 8889.0, 59925.0, 14961.0, 1557.0, 4007.0, 2796.0, 6072.0, 35888.0,
                    9185.0, 8888.0, 9077.0, 35862.0,
                ],
            ),
            arm(
                "b",
                1_600,
                [
                    2559.0, 7427.0, 9597.0, 65525.0, 17478.0, 1589.0, 3911.0, 2995.0, 6253.0, 37165.0,
                    9531.0, 9892.0, 9360.0, 37320.0,
                ],
            ),
        ],
        metric_kind: MetricKind::Ratio.into(),
        cuped: true,
        ..AnalyseExperimentRequest::default()
    };
    let close =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    let found = inline(&request).expect("analysed");
    let result = &found.results[0];
    assert!(!result.warnings.iter().any(|warning| warning == "CUPED_NOT_USED"), "{:?}", result.warnings);
    let effect = result.effect.as_ref().expect("an effect");
    close(effect.estimate, 0.074_107_286_150_665_03);
    close(effect.lower, 0.012_366_629_621_612_19);
    close(effect.upper, 0.135_847_942_679_717_86);
    close(result.p_value.expect("p"), 0.018_661_630_080_625_31);
    let absolute =
        AnalyseExperimentRequest { effect_measure: EffectMeasure::Absolute.into(), ..request.clone() };
    let result = &inline(&absolute).expect("analysed").results[0];
    close(result.effect.as_ref().expect("an effect").estimate, 0.018_433_030_676_017_592);
    close(result.standard_error, 0.007_551_557_467_708_531);

    let mut bare = request;
    for arm in &mut bare.arms {
        let moments = arm.moments.as_mut().expect("given");
        (moments.covariate_denominator_sum, moments.covariate_denominator_sum_squares) = (0.0, 0.0);
    }
    let result = &inline(&bare).expect("analysed").results[0];
    assert!(result.warnings.iter().any(|warning| warning == "CUPED_NOT_USED"), "no denominator, no ratio");
}

/// 200 units in each arm buy before and after; the treatment bought more in the month before, and no more since.
#[tokio::test]
async fn arms_that_differed_before_treatment_are_told_by_metric() {
    let mut served = served().await;
    start(&mut served, halves("e")).await;
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    for (variant, more) in [("control", 0), ("treatment", 60)] {
        for person in 0..200_i64 {
            let user = format!("{variant}{person}");
            decisions.push(decided(&user, variant, Channel::Web));
            let before = purchase(&format!("b-{user}"), &user, 500 + more + person % 200);
            events.push(at_second(-86_400, before));
            events.push(purchase(&format!("o-{user}"), &user, 400 + (person * 7) % 90));
        }
    }
    record(&mut served, decisions).await;
    ingest(&mut served, events).await;
    let request = AnalyseExperimentRequest {
        experiment_id: "e".into(),
        metrics: vec!["AOV".into(), "REVENUE".into(), "CTR".into()],
        cuped: true,
        ..AnalyseExperimentRequest::default()
    };
    let found = served.experiments.analyse_experiment(request).await.expect("analysed").into_inner();
    for row in &found.results {
        let differs = row.warnings.iter().any(|warning| warning == "PRE_PERIOD_DIFFERS");
        assert_eq!(differs, row.metric != "CTR", "{row:?}");
        let unused = row.warnings.iter().any(|warning| warning == "CUPED_NOT_USED");
        assert!(!unused || row.metric == "CTR", "the ratio AOV has a covariate too: {row:?}");
    }
    let p_value = found.health.expect("health").covariate_p_value.expect("computed");
    assert!(p_value < 0.001, "{p_value}");
}

/// Web: 60 new and 40 returning units an arm; app: 50 new. Returning units buy, new ones of the treatment too.
async fn by_dimension(served: &mut Served, segments: bool) {
    start(served, halves("e")).await;
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    for variant in ["control", "treatment"] {
        for person in 0..150 {
            let user = format!("{variant}{person}");
            let (channel, returning) = match person {
                0..60 => (Channel::Web, false),
                60..100 => (Channel::Web, true),
                _ => (Channel::App, false),
            };
            let mut decision = decided(&user, variant, channel);
            if segments {
                let segment = if returning { "segment:loyal" } else { "segment:fresh" };
                decision.features = [(segment.to_owned(), 1.0), ("segment:absent".to_owned(), 0.0)].into();
                if returning {
                    // The decision's own field goes before its features.
                    decision.segment = "loyal".into();
                    decision.features = [("segment:fresh".to_owned(), 1.0)].into();
                }
            }
            decisions.push(decision);
            let view = event(format!("v-{user}"), &user, EventKind::View, "");
            // An hour before is another visit, a minute before is the same one.
            events.push(at_second(if returning { -3_600 } else { -60 }, view));
            if returning || (variant == "treatment" && person % 2 == 0) {
                events.push(purchase(&format!("o-{user}"), &user, 1_000));
            }
        }
    }
    record(served, decisions).await;
    ingest(served, events).await;
}

async fn rows(served: &mut Served, dimension: &str) -> Vec<(String, f64, f64)> {
    let request = AnalyseExperimentRequest {
        experiment_id: "e".into(),
        metrics: vec!["CR".into()],
        dimension: dimension.into(),
        ..AnalyseExperimentRequest::default()
    };
    let found = served.experiments.analyse_experiment(request).await.expect("analysed").into_inner();
    assert!(found.results[0].dimension_value.is_empty() && found.results[0].p_adjusted.is_some());
    let of = |row: &VariantResult| (row.dimension_value.clone(), row.control_value, row.variant_value);
    assert!(found.results[1..].iter().all(|row| row.p_adjusted.is_none()), "not adjusted");
    found.results[1..].iter().map(of).collect()
}

#[tokio::test]
async fn results_come_by_channel_by_segment_and_by_new_or_returning() {
    let mut served = served().await;
    by_dimension(&mut served, true).await;
    let row = |value: &str, control, treatment| (value.to_owned(), control, treatment);
    assert_eq!(
        rows(&mut served, "channel").await,
        [row("CHANNEL_WEB", 0.4, 0.7), row("CHANNEL_APP", 0.0, 0.5)]
    );
    let by_type = [row("new", 0.0, 0.5), row("returning", 1.0, 1.0)];
    assert_eq!(rows(&mut served, "visitor_type").await, by_type);
    let by_segment = [row("fresh", 0.0, 0.5), row("loyal", 1.0, 1.0)];
    assert_eq!(rows(&mut served, "segment").await, by_segment);
}

#[tokio::test]
async fn unknown_dimensions_and_segments_nobody_named_are_refused() {
    let mut served = served().await;
    by_dimension(&mut served, false).await;
    let ask = |dimension: &str| AnalyseExperimentRequest {
        experiment_id: "e".into(),
        dimension: dimension.into(),
        ..AnalyseExperimentRequest::default()
    };
    refused(served.experiments.analyse_experiment(ask("weather")).await, "dimension");
    let status = served.experiments.analyse_experiment(ask("segment")).await.expect_err("no segments");
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("NO_SEGMENTS"));
}

#[tokio::test]
async fn survey_satisfaction_and_product_ratings_are_two_metrics() {
    let mut served = served().await;
    start(&mut served, halves("e")).await;
    let users = ["ann", "bob", "cat", "dan"];
    let decisions = users.iter().zip(["control", "control", "treatment", "treatment"]);
    let decisions = decisions.map(|(user, variant)| decided(user, variant, Channel::Web)).collect();
    record(&mut served, decisions).await;
    let scored = |id: &str, user: &str, kind, rating| Event {
        rating: Some(rating),
        ..event(id.into(), user, kind, "")
    };
    let events = vec![
        scored("1", "ann", EventKind::Survey, 5.0),
        scored("2", "bob", EventKind::Survey, 4.0),
        scored("3", "ann", EventKind::Rating, 1.0),
        scored("4", "bob", EventKind::Rating, 2.0),
        scored("5", "cat", EventKind::Survey, 2.0),
        scored("6", "dan", EventKind::Rating, 4.5),
        scored("7", "dan", EventKind::View, 9.0),
    ];
    ingest(&mut served, events).await;
    let found = analysed(&mut served, "e", &["SATISFACTION", "PRODUCT_RATING"]).await;
    let values: Vec<(f64, f64)> =
        found.results.iter().map(|row| (row.control_value, row.variant_value)).collect();
    assert_eq!(values, [(4.5, 2.0), (1.5, 4.5)]);
}

#[tokio::test]
async fn retention_is_of_the_seventh_day_and_of_units_that_had_one() {
    let mut served = served().await;
    start(&mut served, halves("e")).await;
    let users = ["ann", "bob", "cat", "dan"];
    let decisions = users.iter().zip(["control", "control", "treatment", "treatment"]);
    let mut decisions: Vec<Decision> =
        decisions.map(|(user, variant)| decided(user, variant, Channel::Web)).collect();
    let new = decided("eve", "control", Channel::Web);
    decisions.push(Decision { decided_at: at(chrono::Utc::now().timestamp() - 3_600), ..new });
    record(&mut served, decisions).await;
    let seen = |user: &str, hours: i64| Event {
        occurred_at: at(THEN + hours * 3_600),
        ..event(format!("{user}-{hours}"), user, EventKind::View, "")
    };
    // Bob came on other days than the seventh, the others on it.
    let events = [("ann", 170), ("bob", 30), ("bob", 193), ("cat", 190), ("dan", 168)];
    ingest(&mut served, events.map(|(user, hours)| seen(user, hours)).to_vec()).await;
    let found = analysed(&mut served, "e", &["RETENTION"]).await;
    let row = &found.results[0];
    assert_eq!((row.control_value, row.variant_value), (0.5, 1.0), "{row:?}");
    assert!(row.warnings.iter().any(|warning| warning == "IMMATURE_UNITS_LEFT_OUT"), "{:?}", row.warnings);
}
