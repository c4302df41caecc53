//! One person under a visitor's and a user's id.

use chassis::client::Channel;
use proto::common::v1::{DegradationCause, DegradationStage, Event, EventKind};
use proto::gateway::v1::privacy_service_client::PrivacyServiceClient;
use proto::gateway::v1::{EraseUserRequest, PersonaliseRequest, Purpose, SetConsentRequest};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{RecommendRequest, RecommendResponse};
use tonic::Code;

use super::{delivered, export, link, moved_in};
use crate::support::{ask, event, has, request, track};

fn visit(id: &str, visitor: &str, item: &str) -> Event {
    Event { user_id: String::new(), visitor_id: visitor.into(), ..event(id, "", EventKind::Click, item) }
}

async fn consent(gateway: &Channel, id: &str, purposes: &[Purpose]) {
    let request = SetConsentRequest {
        user_id: id.into(),
        purposes: purposes.iter().map(|purpose| (*purpose).into()).collect(),
        ..SetConsentRequest::default()
    };
    PrivacyServiceClient::new(gateway.clone()).set_consent(request).await.expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_is_linked_once_and_to_one_user() {
    let (_sandbox, gateway) = moved_in().await;
    let first = link(&gateway, "v", "u").await.expect("linked");
    assert!(!first.already_linked && first.log_position > 0);
    assert!(link(&gateway, "v", "u").await.expect("linked").already_linked);
    let refused = link(&gateway, "v", "somebody-else").await.expect_err("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(chassis::error::reason(&refused).as_deref(), Some("VISITOR_LINKED_ELSEWHERE"));

    let linked = |id: &str, visitor: &str, user: &str| Event {
        visitor_id: visitor.into(),
        ..event(id, user, EventKind::Link, "")
    };
    let events =
        vec![linked("l1", "v", "u"), linked("l2", "w", "u"), linked("l3", "w", "u"), linked("l4", "v", "x")];
    let taken = track(&gateway, events).await.expect("taken");
    assert_eq!((taken.accepted, taken.duplicates), (1, 2), "{taken:?}");
    assert_eq!(taken.rejected.len(), 1);
    assert_eq!(taken.rejected[0].id, "l4");
    assert!(taken.rejected[0].reason.contains("VISITOR_LINKED_ELSEWHERE"), "{:?}", taken.rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_carries_both_ids_links_nothing() {
    let (_sandbox, gateway) = moved_in().await;
    ask(&gateway, PersonaliseRequest { visitor_id: "shared".into(), ..request("one") })
        .await
        .expect("answered");
    let both = Event { visitor_id: "shared".into(), ..event("both", "one", EventKind::Click, "item-1") };
    track(&gateway, vec![both]).await.expect("taken");
    assert!(!link(&gateway, "shared", "other").await.expect("free to be linked").already_linked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_shows_nobody_what_another_did_by_a_link_in_its_question() {
    let (_sandbox, gateway) = moved_in().await;
    let link = Event { visitor_id: "victim".into(), ..event("link", "one", EventKind::Link, "") };
    let asked = PersonaliseRequest { recent_events: vec![link.clone()], ..request("one") };
    let refused = ask(&gateway, asked).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("recent_events[0].kind"), "{refused}");
    let asked = RecommendRequest {
        user_id: "one".into(),
        limit: 5,
        recent_events: vec![link],
        ..RecommendRequest::default()
    };
    let refused = RecommenderServiceClient::new(gateway).recommend(asked).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("recent_events[0].kind"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recommend_uses_nothing_of_a_person_who_does_not_agree() {
    let (_sandbox, gateway) = moved_in().await;
    track(&gateway, vec![event("d", "shy", EventKind::Dislike, "item-1")]).await.expect("taken");
    let recommend = async || {
        let asked = RecommendRequest { user_id: "shy".into(), limit: 100, ..RecommendRequest::default() };
        let answer = RecommenderServiceClient::new(gateway.clone()).recommend(asked).await;
        answer.expect("answered").into_inner()
    };
    let lists =
        |answer: &RecommendResponse| answer.recommendations.iter().any(|pick| pick.item_id == "item-1");
    assert!(!lists(&recommend().await));
    consent(&gateway, "shy", &[Purpose::Measurement]).await;
    let answer = recommend().await;
    assert!(lists(&answer), "a dislike is past behaviour");
    assert_eq!(answer.degradations.len(), 1);
    assert_eq!(answer.degradations[0].cause(), DegradationCause::NoConsent);
    assert_eq!(answer.degradations[0].stage(), DegradationStage::Recommend);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stricter_consent_of_visitor_and_user_holds_after_a_link() {
    let (_sandbox, gateway) = moved_in().await;
    consent(&gateway, "v", &[Purpose::Measurement]).await;
    consent(&gateway, "u", &[Purpose::Personalisation, Purpose::Measurement]).await;
    let answer = ask(&gateway, request("u")).await.expect("answered");
    assert!(!has(&answer, DegradationStage::Recommend, DegradationCause::NoConsent));
    link(&gateway, "v", "u").await.expect("linked");
    let answer = ask(&gateway, request("u")).await.expect("answered");
    assert!(
        has(&answer, DegradationStage::Recommend, DegradationCause::NoConsent),
        "{:?}",
        answer.degradations
    );
    // Said of the visitor afterwards, it is said of the person.
    consent(&gateway, "v", &[Purpose::Personalisation, Purpose::Measurement]).await;
    let answer = ask(&gateway, request("u")).await.expect("answered");
    assert!(!has(&answer, DegradationStage::Recommend, DegradationCause::NoConsent));
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_erasure_follow_the_link() {
    let (_sandbox, gateway) = moved_in().await;
    track(&gateway, vec![visit("seen", "v", "item-1")]).await.expect("taken");
    let position = link(&gateway, "v", "u").await.expect("linked").log_position;
    delivered(&gateway, position).await;
    let (rows, held) = export(&gateway, "u").await;
    assert_eq!(
        held.iter().map(|(service, _)| service.as_str()).collect::<Vec<_>>(),
        ["gateway", "recommender", "evaluator"]
    );
    for (service, count) in &held {
        let sent = rows.iter().filter(|row| row["service"] == service.as_str()).count() as u64;
        assert_eq!(sent, *count, "{service}");
        let seen =
            rows.iter().any(|row| row["service"] == service.as_str() && row["row"]["event_id"] == "seen");
        assert!(seen, "{service} has the visitor's event: {rows:?}");
    }
    let request = EraseUserRequest { user_id: "u".into(), ..EraseUserRequest::default() };
    let mut privacy = PrivacyServiceClient::new(gateway.clone());
    let receipts = privacy.erase_user(request).await.expect("erased").into_inner().receipts;
    assert!(receipts.iter().all(|receipt| receipt.removed > 0), "{receipts:?}");
    for id in ["u", "v"] {
        let (rows, _) = export(&gateway, id).await;
        assert!(rows.is_empty(), "{id}: {rows:?}");
    }
    assert!(!link(&gateway, "v", "other").await.expect("free again").already_linked);
}

#[tokio::test(flavor = "multi_thread")]
async fn erasure_reaches_a_visitor_whose_link_was_not_sent_on_yet() {
    let (_sandbox, gateway) = moved_in().await;
    let taken = track(&gateway, vec![visit("seen", "v", "item-1")]).await.expect("taken");
    delivered(&gateway, taken.log_position).await;
    // Linked and erased at once: whether the link has arrived in between is left to chance.
    link(&gateway, "v", "u").await.expect("linked");
    let request = EraseUserRequest { user_id: "u".into(), ..EraseUserRequest::default() };
    PrivacyServiceClient::new(gateway.clone()).erase_user(request).await.expect("erased");
    for id in ["u", "v"] {
        let (rows, _) = export(&gateway, id).await;
        let left: Vec<_> = rows.iter().filter(|row| row["row"]["event_id"] == "seen").collect();
        assert!(left.is_empty(), "{id}: {left:?}");
    }
}
