//! What must never happen to a plan's money, whoever sends what and however often.

// Messages gain fields.
#![allow(clippy::needless_update)]

use proto::common::v1::{Event, EventKind};
use proto::evaluator::v1::*;

use crate::plans::{active, amount, decide, decision, exploration, get, made, offered, redeemed};
use crate::support::*;

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A thousand people come within a minute, and nobody has had the time to redeem anything.
#[tokio::test(flavor = "multi_thread")]
async fn offers_made_within_minutes_never_exceed_the_budget() {
    let mut served = served().await;
    let plan_id = active(&mut served, exploration(20_000, vec![amount("five", 500)])).await;
    let made = offered(&mut served, 0, 1_000, now()).await;
    assert!(made.len() <= 40, "{} offers of 500 on a budget of 20 000", made.len());
    assert!(made.len() >= 30, "{} offers", made.len());
    for number in made {
        ingest(&mut served, vec![redeemed(number, "five", 500, true, now())]).await;
    }
    let account = get(&mut served, &plan_id).await.account.expect("an account");
    assert!(account.spent <= 20_000, "{account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_plan_of_an_account_knows_what_the_last_one_set_aside() {
    let mut served = served().await;
    let of_account = |budget| GenerateStrategiesRequest {
        budget_account_id: "shop".into(),
        ..exploration(budget, vec![amount("five", 500)])
    };
    let mut given = 0;
    for plan in 0..3 {
        active(&mut served, of_account(5_000)).await;
        for person in 0..60 {
            given += u32::from(decide(&mut served, plan * 60 + person, None).await.offer.is_some());
        }
    }
    assert!(given <= 10, "{given} offers of 500 on a budget of 5 000, none of them recorded yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_retry_of_an_activation_changes_nothing() {
    let mut served = served().await;
    let plan_id = made(&mut served, exploration(20_000, vec![amount("five", 500)])).await;
    let activate = ActivatePlanRequest {
        plan_id: plan_id.clone(),
        request_id: "r1".into(),
        ..ActivatePlanRequest::default()
    };
    served.strategies.activate_plan(activate.clone()).await.expect("activated");
    let deactivate = DeactivatePlanRequest { plan_id: plan_id.clone(), request_id: "r2".into() };
    served.strategies.deactivate_plan(deactivate).await.expect("deactivated");
    served.strategies.activate_plan(activate.clone()).await.expect("answered");
    assert_eq!(get(&mut served, &plan_id).await.state(), PlanState::Ended);
    let other = made(&mut served, exploration(20_000, vec![amount("five", 500)])).await;
    let reused = ActivatePlanRequest { plan_id: other, ..activate };
    refused(served.strategies.activate_plan(reused).await, "request_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_was_ended_or_deleted_is_made_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = served_with(&url, folder, |config| config.strategy.cache_ms = 0).await;
    let five = amount("five", 500);
    let store = async |served: &mut Served, offer| {
        let rows = [UpsertOffersRequest { offer: Some(offer) }];
        served.strategies.upsert_offers(tokio_stream::iter(rows)).await.expect("stored");
    };
    store(&mut served, five.clone()).await;
    let plan_id = active(&mut served, exploration(1_000_000, vec![five.clone()])).await;
    assert!(!offered(&mut served, 0, 40, now()).await.is_empty());
    store(&mut served, proto::common::v1::Offer { ends_at: at(now() - 10), ..five.clone() }).await;
    assert!(offered(&mut served, 100, 40, now()).await.is_empty(), "it has ended");
    store(&mut served, five).await;
    assert!(!offered(&mut served, 200, 40, now()).await.is_empty());
    let deactivate = DeactivatePlanRequest { plan_id: plan_id.clone(), ..DeactivatePlanRequest::default() };
    served.strategies.deactivate_plan(deactivate).await.expect("deactivated");
    let delete = DeleteOfferRequest { offer_id: "five".into(), ..DeleteOfferRequest::default() };
    served.strategies.delete_offer(delete).await.expect("deleted");
    let activate = ActivatePlanRequest { plan_id, ..ActivatePlanRequest::default() };
    served.strategies.activate_plan(activate).await.expect("activated");
    assert!(offered(&mut served, 300, 40, now()).await.is_empty(), "it was deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_are_none_and_features_that_leave_no_numbers_are_refused() {
    let mut served = served().await;
    let told = |amount: &str| Event {
        event_id: format!("e{amount}"),
        attributes: [("discount_minor".to_owned(), amount.to_owned())].into(),
        ..redeemed(1, "five", 1, false, now())
    };
    let wrong = ["9223372036854775807", "1000000000001", "12.5", " 500", "-900", "1e9"];
    let rows = wrong.iter().map(|amount| told(amount)).chain([told("500")]).collect();
    let found = ingest(&mut served, rows).await;
    assert_eq!((found.accepted, found.rejected.len()), (1, wrong.len()), "{found:?}");
    assert_eq!(found.rejected[0].field, "attributes[discount_minor]");
    let view = Event { kind: EventKind::View.into(), item_id: "tea".into(), ..told("of no redemption") };
    assert_eq!(ingest(&mut served, vec![view]).await.accepted, 1, "it means nothing elsewhere");
    let made = DecideResponse { decision_id: "huge".into(), ..DecideResponse::default() };
    let features = [("huge".to_owned(), 1e308)].into();
    let row = Decision { features, ..decision(&made, "u".into(), now()) };
    let found = record(&mut served, vec![row]).await;
    assert_eq!(found.rejected[0].field, "features[huge]");
}

/// The till tells a redemption without a token before the page's decision is recorded, and a visitor signs in last.
#[tokio::test(flavor = "multi_thread")]
async fn redemptions_without_a_token_are_booked_whatever_comes_first() {
    let mut served = served().await;
    let plan_id = active(&mut served, exploration(1_000_000, vec![amount("five", 500)])).await;
    let spent = async |served: &mut Served| get(served, &plan_id).await.account.expect("an account").spent;
    let mut number = 0;
    let made = loop {
        let made = decide(&mut served, number, Some(now() - 60)).await;
        if made.offer.is_some() {
            break made;
        }
        number += 1;
    };
    ingest(&mut served, vec![redeemed(number, "five", 400, false, now())]).await;
    record(&mut served, vec![decision(&made, format!("u{number}"), now() - 60)]).await;
    assert_eq!(spent(&mut served).await, 400, "told before the decision");

    let anonymous = Decision {
        decision_id: "visitor".into(),
        user_id: String::new(),
        visitor_id: "cookie".into(),
        ..decision(&made, String::new(), now() - 60)
    };
    record(&mut served, vec![anonymous]).await;
    let user = "signed-in";
    let told = Event {
        event_id: "till".into(),
        user_id: user.into(),
        ..redeemed(number, "five", 300, false, now())
    };
    ingest(&mut served, vec![told]).await;
    assert_eq!(spent(&mut served).await, 400, "nobody knows yet that they are one");
    let link = Event {
        visitor_id: "cookie".into(),
        occurred_at: at(now()),
        ..event("link".into(), user, EventKind::Link, "")
    };
    assert_eq!(ingest(&mut served, vec![link]).await.accepted, 1);
    assert_eq!(spent(&mut served).await, 700, "the link tells");
    ingest(&mut served, vec![redeemed(number, "five", 400, false, now())]).await;
    assert_eq!(spent(&mut served).await, 700, "told again");
}
