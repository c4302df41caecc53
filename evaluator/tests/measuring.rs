//! What counts as an outcome of a decision, from when on, and what the people held out say.

// Messages gain fields.
#![allow(clippy::needless_update)]

use proto::common::v1::{Channel, Event, Money};
use proto::evaluator::v1::*;
use tonic::Status;

use crate::features::{coupon, logged, predicted, shop, train};
use crate::support::*;

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// The last stage of a training run.
async fn stages(
    served: &mut Served,
    request: TrainEffectModelRequest,
) -> Result<TrainEffectModelResponse, Status> {
    let mut stages = served.effects.train_effect_model(request).await?.into_inner();
    let mut last = TrainEffectModelResponse::default();
    while let Some(stage) = stages.message().await? {
        last = stage;
    }
    Ok(last)
}

fn for_target(target: &str) -> TrainEffectModelRequest {
    TrainEffectModelRequest { target: target.into(), seed: 3, ..TrainEffectModelRequest::default() }
}

fn refused_for(outcome: Result<impl std::fmt::Debug, Status>, reason: &str) {
    let status = outcome.expect_err("must be refused");
    assert_eq!(chassis::error::reason(&status).as_deref(), Some(reason), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_without_a_token_are_outcomes_of_the_persons_latest_decision() {
    let mut served = served().await;
    let (log, events) = logged(THEN, false);
    record(&mut served, log).await;
    ingest(&mut served, events).await;
    train(&mut served).await;
    let (uplift, _) = predicted(&mut served, "stranger").await;
    assert!((uplift - 0.4).abs() < 0.12, "strangers buy .4 more often with the coupon: {uplift}");
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_whose_outcome_window_is_open_are_left_out_and_counted() {
    let mut served = served().await;
    let (recent, _) = logged(now() - 86_400, true);
    record(&mut served, recent).await;
    refused_for(stages(&mut served, for_target("purchase")).await, "OUTCOMES_OPEN");
    // An older log of the same shop: what was bought then is known, and the latest decisions are no zeros among it.
    let (mut log, mut events) = logged(THEN, true);
    for decision in &mut log {
        decision.decision_id.insert(0, 'x');
    }
    for event in events.iter_mut().filter(|event| !event.decision_id.is_empty()) {
        event.decision_id.insert(0, 'x');
    }
    record(&mut served, log).await;
    ingest(&mut served, events).await;
    let done = stages(&mut served, for_target("purchase")).await.expect("trained");
    assert_eq!((done.metrics["open_decisions"], done.metrics["decisions"]), (3_600.0, 3_600.0));
    let (uplift, _) = predicted(&mut served, "stranger").await;
    assert!((uplift - 0.4).abs() < 0.12, "{uplift}");
    // As of the moment the first decisions were made nothing is known of any of them.
    let then = TrainEffectModelRequest { at: at(THEN + 3_600), ..for_target("purchase") };
    refused_for(stages(&mut served, then).await, "OUTCOMES_OPEN");
    let ahead = TrainEffectModelRequest { at: at(now() + 3_600), ..for_target("purchase") };
    refused(stages(&mut served, ahead).await, "at");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_costs_are_counted_and_no_profit_is_learnt_from_nothing() {
    let mut served = served().await;
    let (log, mut events) = logged(THEN, true);
    for bought in events.iter_mut().filter_map(|event| event.purchase.as_mut()) {
        bought.cost = None;
    }
    record(&mut served, log).await;
    ingest(&mut served, events).await;
    refused_for(stages(&mut served, for_target("profit")).await, "COSTS_UNKNOWN");
    let done = stages(&mut served, for_target("purchase")).await.expect("trained");
    assert!(done.metrics["cost_unknown_decisions"] > 500.0, "{:?}", done.metrics);
}

/// A plan with three tenths held out; half of all others buy, one in five of those held out, nobody with a token.
#[tokio::test(flavor = "multi_thread")]
async fn people_held_out_say_what_the_plan_added_whatever_carries_a_token() {
    let mut served = served().await;
    shop(&mut served).await;
    stages(&mut served, for_target("profit")).await.expect("trained");
    let ask = GenerateStrategiesRequest {
        objective: Objective::Profit.into(),
        budget: Some(Money { currency_code: "USD".into(), minor_units: 100_000_000 }),
        offers: vec![coupon()],
        holdout: Some(0.3),
        ..GenerateStrategiesRequest::default()
    };
    let plan = served.strategies.generate_strategies(ask).await.expect("made").into_inner();
    let activate = ActivatePlanRequest {
        plan_id: plan.plan_id.clone(),
        accepted_risk: 0.5,
        ..ActivatePlanRequest::default()
    };
    served.strategies.activate_plan(activate).await.expect("activated");
    let mut seen = [(0_u32, 0_u32); 2];
    let (mut log, mut events) = (Vec::new(), Vec::new());
    // The clock of whoever records the decisions is two minutes behind.
    let behind = now() - 120;
    for person in 0..400_u32 {
        let user = format!("w{person}");
        let context = DecisionContext { channel: Channel::Web.into(), ..DecisionContext::default() };
        let request =
            DecideRequest { user_id: user.clone(), context: Some(context), ..DecideRequest::default() };
        let made = served.strategies.decide(request).await.expect("decided").into_inner();
        let group = &mut seen[usize::from(made.in_holdout)];
        let buys = group.0 % 10 < if made.in_holdout { 2 } else { 5 };
        *group = (group.0 + 1, group.1 + u32::from(buys));
        if buys {
            let bought = purchase(&format!("{user}-p"), &user, 4_000);
            events.push(Event { occurred_at: at(now()), ..bought });
        }
        log.push(Decision {
            decision_id: format!("{user}-d"),
            user_id: user,
            decided_at: at(behind),
            channel: Channel::Web.into(),
            offer_id: made.offer.map(|offer| offer.offer_id).unwrap_or_default(),
            offer_propensity: made.propensity,
            in_holdout: made.in_holdout,
            plan_id: made.plan_id,
            features: made.features,
            feature_version: made.feature_version,
            ..Decision::default()
        });
    }
    record(&mut served, log).await;
    ingest(&mut served, events).await;
    let request = GetPlanRequest { plan_id: plan.plan_id, ..GetPlanRequest::default() };
    let told = served.strategies.get_plan(request).await.expect("told").into_inner();
    let measured = told.measured.clone().expect("measured");
    // The windows of all decisions are open: a plan is not judged by what is not known yet.
    assert!(measured.decisions > 200 && measured.open_decisions == measured.decisions);
    assert!(!told.flagged && told.state() == PlanState::Active);
    let found = told.holdout.expect("decided for people");
    let [(treated, buyers), (held, held_buyers)] = seen;
    assert_eq!((found.treated_people, found.held_out_people), (treated.into(), held.into()));
    assert!(held > 80, "{held} of 400 are held out");
    let share = |buyers: u32, people: u32| f64::from(buyers) / f64::from(people);
    let expected = share(buyers, treated) - share(held_buyers, held);
    let conversion = found.conversion.expect("enough people").per_person.expect("an interval");
    assert!((conversion.estimate - expected).abs() < 1e-9 && conversion.lower > 0.1, "{conversion:?}");
    let [usd] = &found.amounts[..] else { panic!("one currency: {:?}", found.amounts) };
    let revenue = usd.revenue.as_ref().and_then(|found| found.per_person.as_ref()).expect("revenue");
    let profit = usd.profit.as_ref().and_then(|found| found.total.as_ref()).expect("profit");
    assert!((revenue.estimate - 4_000.0 * expected).abs() < 1e-6 && revenue.lower > 0.0);
    assert!((profit.estimate - 2_000.0 * expected * f64::from(treated)).abs() < 1e-3, "{profit:?}");
}
