//! What is wrong is refused by name, and nothing of it is stored.

use crate::support::{ask, at, event, fields, import, now, purchase, request, small_shop, track};
use bespoke_tests::sandbox::{Sandbox, Words};
use proto::common::v1::{Event, EventKind, Money, Purchase};
use proto::evaluator::v1::ListExperimentsRequest;
use proto::evaluator::v1::experiment_service_client::ExperimentServiceClient;
use proto::gateway::v1::PersonaliseRequest;
use proto::recommender::v1::ListModelsRequest;
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_by_field() {
    let sandbox = Sandbox::start(Words::Templates).await.expect("starts");
    let gateway = sandbox.gateway().expect("a channel");
    let long = "x".repeat(300);
    let cases: Vec<(PersonaliseRequest, &str)> = vec![
        (PersonaliseRequest { user_id: String::new(), ..request("u") }, "user_id"),
        (PersonaliseRequest { user_id: long, ..request("u") }, "user_id"),
        (PersonaliseRequest { limit: 0, ..request("u") }, "limit"),
        (PersonaliseRequest { limit: 10_000, ..request("u") }, "limit"),
        (PersonaliseRequest { channel: 999, ..request("u") }, "channel"),
        (PersonaliseRequest { locale: "tlh".into(), ..request("u") }, "locale"),
        (PersonaliseRequest { copy_count: 21, ..request("u") }, "copy_count"),
        (PersonaliseRequest { purposes: vec![77], ..request("u") }, "purposes[0]"),
    ];
    for (wrong, field) in cases {
        let refused = ask(&gateway, wrong).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused}");
        assert!(fields(&refused).iter().any(|found| found == field), "{field}: {:?}", fields(&refused));
    }
    let foreign = ListModelsRequest { page_token: "from-elsewhere".into(), ..ListModelsRequest::default() };
    let refused =
        RecommenderServiceClient::new(gateway.clone()).list_models(foreign).await.expect_err("foreign");
    assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["page_token".to_owned()]));
    let foreign = ListExperimentsRequest { page_token: "from-elsewhere".into(), ..Default::default() };
    let refused = ExperimentServiceClient::new(gateway).list_experiments(foreign).await.expect_err("foreign");
    assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["page_token".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_named_and_good_ones_kept() {
    let sandbox = Sandbox::start(Words::Templates).await.expect("starts");
    let gateway = sandbox.gateway().expect("a channel");
    let (items, events, offers) = small_shop();
    import(&gateway, items, events, offers).await;
    let token = ask(&gateway, request("user-2")).await.expect("answered").decision_token;
    let mut forged = token.clone();
    forged.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });

    let click = |id: &str| event(id, "user-2", EventKind::Click, "item-1");
    let bare =
        Purchase { revenue: None, ..purchase("x", "user-2", "item-1", now()).purchase.expect("bought") };
    let mixed = Purchase {
        cost: Some(Money { currency_code: "EUR".into(), minor_units: 1 }),
        ..purchase("x", "user-2", "item-1", now()).purchase.expect("bought")
    };
    let wrong: Vec<(Event, &str)> = vec![
        (Event { user_id: String::new(), ..click("no-person") }, "user_id"),
        (Event { kind: 99, ..click("unknown-kind") }, "kind"),
        (Event { occurred_at: at(now() + 86_400 * 30), ..click("far-future") }, "occurred_at"),
        (Event { occurred_at: None, ..click("no-time") }, "occurred_at"),
        (
            Event { purchase: Some(bare), ..purchase("no-revenue", "user-2", "item-1", now()) },
            "purchase.revenue",
        ),
        (
            Event { purchase: Some(mixed), ..purchase("two-currencies", "user-2", "item-1", now()) },
            "purchase.cost",
        ),
        (Event { rating: Some(f64::NAN), kind: EventKind::Rating.into(), ..click("no-number") }, "rating"),
        (Event { decision_id: "mine".into(), ..click("internal") }, "decision_id"),
    ];
    let mut sent: Vec<Event> = wrong.iter().map(|(event, _)| event.clone()).collect();
    sent.push(Event { decision_token: token, ..click("good") });
    // A token that is not ours never costs the event.
    sent.push(Event { decision_token: forged, ..click("forged") });
    let taken = track(&gateway, sent).await.expect("the call itself is fine");
    assert_eq!(taken.accepted, 2, "{taken:?}");
    assert_eq!(taken.warnings.iter().map(|warning| warning.id.as_str()).collect::<Vec<_>>(), ["forged"]);
    assert_eq!(taken.rejected.len(), wrong.len(), "{:?}", taken.rejected);
    for ((event, field), named) in wrong.iter().zip(&taken.rejected) {
        assert_eq!(named.id, event.event_id);
        assert!(named.field.starts_with(field), "{}: {} is named, not {field}", event.event_id, named.field);
    }
    // A refused id is free: nothing of it was kept.
    let taken = track(&gateway, vec![click("far-future")]).await.expect("taken");
    assert_eq!((taken.accepted, taken.duplicates), (1, 0));
}
