//! Revenue is never lost for a token.

use proto::common::v1::Event;
use proto::evaluator::v1::QueryMetricsRequest;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;

use super::{delivered, moved_in};
use crate::support::{ask, fields, now, purchase, request, track};

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_with_a_useless_token_is_stored_and_counts_as_revenue() {
    let (_sandbox, gateway) = moved_in().await;
    let revenue = async || {
        let query = QueryMetricsRequest { metrics: vec!["REVENUE".into()], ..QueryMetricsRequest::default() };
        let rows = MetricServiceClient::new(gateway.clone()).query_metrics(query).await.expect("answered");
        rows.into_inner().rows[0].value.expect("a value").estimate
    };
    let taken = track(&gateway, vec![purchase("first", "user-2", "item-1", now())]).await.expect("taken");
    delivered(&gateway, taken.log_position).await;
    let before = revenue().await;

    let tokens = ["null", " ", "undefined", "eyJhbGciOiJIUzI1NiJ9"];
    let events: Vec<_> = tokens
        .iter()
        .enumerate()
        .map(|(n, token)| Event {
            decision_token: (*token).into(),
            ..purchase(&format!("late-{n}"), "user-2", "item-1", now())
        })
        .collect();
    let taken = track(&gateway, events).await.expect("taken");
    assert_eq!((taken.accepted, taken.rejected.len()), (4, 0), "{taken:?}");
    let warned: Vec<_> =
        taken.warnings.iter().map(|w| (w.id.as_str(), w.field.as_str(), w.reason.as_str())).collect();
    let expected = ["late-0", "late-1", "late-2", "late-3"].map(|id| (id, "decision_token", "TOKEN_INVALID"));
    assert_eq!(warned, expected);
    delivered(&gateway, taken.log_position).await;
    assert!((revenue().await - before - 4.0 * 999.0).abs() < 0.5, "{before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_decision_id_is_refused() {
    let (_sandbox, gateway) = moved_in().await;
    let event = Event { decision_id: "mine".into(), ..purchase("p", "user-2", "item-1", now()) };
    let taken = track(&gateway, vec![event.clone()]).await.expect("the call itself is fine");
    assert_eq!(taken.accepted, 0);
    assert_eq!(taken.rejected[0].field, "decision_id");
    assert!(taken.rejected[0].reason.contains("INTERNAL_FIELD"), "{:?}", taken.rejected);
    let mut asked = request("user-2");
    asked.recent_events = vec![event];
    let refused = ask(&gateway, asked).await.expect_err("refused");
    assert_eq!(fields(&refused), ["recent_events[0].decision_id"]);
}
