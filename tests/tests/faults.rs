//! Each service gone in turn: there is still an answer, and it says what is lesser about it.

use crate::support::{ask, event, has, ids, import, request, small_shop, track, train};
use bespoke_tests::sandbox::{Sandbox, Service, Words};
use chassis::client::Channel;
use proto::common::v1::DegradationCause::{Cold, Unavailable};
use proto::common::v1::{DegradationStage, EventKind};
use proto::generator::v1::CopySource;

async fn moved_in() -> (Sandbox, Channel) {
    let sandbox = Sandbox::start(Words::Templates).await.expect("starts");
    let gateway = sandbox.gateway().expect("a channel");
    let (items, events, offers) = small_shop();
    import(&gateway, items, events, offers).await;
    train(&gateway).await;
    let whole = ask(&gateway, request("user-2")).await.expect("answered");
    assert_eq!(whole.placements.len(), 5, "{:?}", whole.degradations);
    assert!(
        !has(&whole, DegradationStage::Recommend, Unavailable)
            && !has(&whole, DegradationStage::Decide, Unavailable)
    );
    (sandbox, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_recommender_popular_goods_are_shown() {
    let (mut sandbox, gateway) = moved_in().await;
    sandbox.stop(Service::Recommender).await.expect("stops");
    let answer = ask(&gateway, request("user-2")).await.expect("answered all the same");
    assert!(!ids(&answer).is_empty());
    assert!(has(&answer, DegradationStage::Recommend, Unavailable), "{:?}", answer.degradations);
    let taken =
        track(&gateway, vec![event("late", "user-2", EventKind::Click, "item-1")]).await.expect("taken");
    assert_eq!(taken.accepted, 1, "events are taken while a service is away");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_generator_copy_comes_from_a_template() {
    let (mut sandbox, gateway) = moved_in().await;
    sandbox.stop(Service::Generator).await.expect("stops");
    let answer = ask(&gateway, request("user-2")).await.expect("answered all the same");
    assert!(has(&answer, DegradationStage::Copy, Unavailable), "{:?}", answer.degradations);
    let copy = answer.placements[0].copy.as_ref().expect("copy was asked for");
    assert_eq!(copy.source(), CopySource::Template);
    assert!(!copy.headline.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_evaluator_there_is_no_offer_and_no_forecast() {
    let (mut sandbox, gateway) = moved_in().await;
    sandbox.stop(Service::Evaluator).await.expect("stops");
    let answer = ask(&gateway, request("user-2")).await.expect("answered all the same");
    assert_eq!(answer.placements.len(), 5);
    assert!(has(&answer, DegradationStage::Decide, Unavailable), "{:?}", answer.degradations);
    assert!(
        answer.placements.iter().all(|placement| placement.offer.is_none() && placement.effect.is_none())
    );
    assert!(!answer.decision_token.is_empty(), "the decision is in the outbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_known_is_served_and_marked_cold() {
    let (_sandbox, gateway) = moved_in().await;
    let answer = ask(&gateway, request("nobody-knows-me")).await.expect("answered");
    assert_eq!(answer.placements.len(), 5);
    assert!(has(&answer, DegradationStage::Recommend, Cold), "{:?}", answer.degradations);
}
