//! What a plan is judged by before it decides: the decisions that had a choice.

use proto::common::v1::{Channel, Money};
use proto::evaluator::v1::*;

use crate::features::{coupon, shop, train};
use crate::support::*;

/// As many decisions again, later, when the budget could not cover the coupon any more.
fn without_a_choice() -> Vec<Decision> {
    let decision = |number: u32| Decision {
        decision_id: format!("poor-{number}"),
        user_id: format!("u{}", number % 900),
        decided_at: at(THEN + 5_000 + i64::from(number)),
        channel: Channel::Web.into(),
        offer_propensity: 1.0,
        ..Decision::default()
    };
    (0..3_600).map(decision).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_that_could_make_no_offer_do_not_keep_a_plan_from_being_judged() {
    let mut served = served().await;
    shop(&mut served).await;
    assert!(record(&mut served, without_a_choice()).await.rejected.is_empty());
    train(&mut served).await;
    let ask = GenerateStrategiesRequest {
        objective: Objective::Profit.into(),
        budget: Some(Money { currency_code: "USD".into(), minor_units: 100_000_000 }),
        offers: vec![coupon()],
        ..GenerateStrategiesRequest::default()
    };
    let plan = served.strategies.generate_strategies(ask).await.expect("made").into_inner();
    let activate = ActivatePlanRequest { plan_id: plan.plan_id, ..ActivatePlanRequest::default() };
    let done = served.strategies.activate_plan(activate).await.expect("activated").into_inner();
    let replay = done.replay.expect("a replay");
    assert!(replay.uplift_over_no_offers.expect("an interval").lower > 0.0, "{replay:?}");
}

/// A decision that chose among one of two offers tells nothing of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_tells_what_it_chose_among() {
    let mut served = served().await;
    let other = proto::common::v1::Offer { offer_id: "thousand".into(), percent_off: None, ..coupon() };
    let dear = proto::common::v1::Offer {
        amount_off: Some(Money { currency_code: "USD".into(), minor_units: 100_000 }),
        ..other
    };
    let ask = GenerateStrategiesRequest {
        kind: PlanKind::Exploration.into(),
        budget: Some(Money { currency_code: "USD".into(), minor_units: 50_000 }),
        offers: vec![coupon(), dear],
        until: at(4_000_000_000),
        usual_order: Some(Money { currency_code: "USD".into(), minor_units: 4_000 }),
        ..GenerateStrategiesRequest::default()
    };
    let plan = served.strategies.generate_strategies(ask).await.expect("made").into_inner();
    let activate = ActivatePlanRequest { plan_id: plan.plan_id, ..ActivatePlanRequest::default() };
    served.strategies.activate_plan(activate).await.expect("activated");
    let request = |person: u32| DecideRequest {
        user_id: format!("p{person}"),
        context: Some(DecisionContext { channel: Channel::Web.into(), ..DecisionContext::default() }),
        ..DecideRequest::default()
    };
    for person in 0..20 {
        let made = served.strategies.decide(request(person)).await.expect("decided").into_inner();
        let expected: &[&str] = if made.in_holdout { &[] } else { &["twenty"] };
        assert_eq!(made.available_offer_ids, expected, "the budget covers no thousand dollars");
        assert!(made.in_holdout || (made.propensity - 0.5).abs() < 1e-12, "{made:?}");
    }
    let many = (0..1_001).map(|number| format!("o{number}")).collect();
    let wrong = Decision { available_offer_ids: many, ..without_a_choice().swap_remove(0) };
    let told = record(&mut served, vec![wrong]).await;
    assert_eq!(told.rejected[0].field, "available_offer_ids");
}
