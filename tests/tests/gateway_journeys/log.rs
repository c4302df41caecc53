//! Positions of the event log, and what was acknowledged but not sent on yet.

use proto::common::v1::EventKind;
use proto::evaluator::v1::QueryMetricsRequest;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use proto::gateway::v1::GetDeliveryStatusRequest;
use proto::gateway::v1::event_service_client::EventServiceClient;
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{RecommendRequest, Rules};

use super::{delivered, moved_in};
use crate::support::{ask, event, ids, now, purchase, request, track, train};

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_purchase_is_excluded_from_the_very_next_answer() {
    let (_sandbox, gateway) = moved_in().await;
    train(&gateway).await;
    let rules = || Some(Rules { exclude_purchased: true, ..Rules::default() });
    for round in 0..30 {
        let user = format!("shopper-{round}");
        let bought = format!("item-{}", round % 10);
        track(&gateway, vec![purchase(&format!("b-{round}"), &user, &bought, now())]).await.expect("taken");
        let direct = RecommendRequest {
            user_id: user.clone(),
            limit: 10,
            rules: rules(),
            ..RecommendRequest::default()
        };
        let direct =
            RecommenderServiceClient::new(gateway.clone()).recommend(direct).await.expect("answered");
        let direct = direct.into_inner().recommendations;
        assert!(direct.iter().all(|pick| pick.item_id != bought), "round {round}: Recommend shows {bought}");
        assert!(!direct.is_empty());

        let again = format!("item-{}", (round + 1) % 10);
        track(&gateway, vec![purchase(&format!("c-{round}"), &user, &again, now())]).await.expect("taken");
        let mut asked = request(&user);
        (asked.limit, asked.copy_count, asked.rules) = (10, 0, rules());
        let answer = ask(&gateway, asked).await.expect("answered");
        let shown = ids(&answer);
        assert!(
            !shown.contains(&again.as_str()) && !shown.contains(&bought.as_str()),
            "round {round}: {shown:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_position_names_is_there_once_consumers_have_reached_it() {
    let (_sandbox, gateway) = moved_in().await;
    let status = async || {
        let mut client = EventServiceClient::new(gateway.clone());
        client.get_delivery_status(GetDeliveryStatusRequest {}).await.expect("answered").into_inner()
    };
    let before = status().await.head;
    let clicks: Vec<_> =
        (0..500).map(|n| event(&format!("c{n}"), &format!("u{n}"), EventKind::Click, "item-1")).collect();
    let taken = track(&gateway, clicks).await.expect("taken");
    assert!(taken.log_position >= before + 500, "{} after {before}", taken.log_position);
    assert_eq!(status().await.head, taken.log_position);
    // A decision is no event: it moves no position that somebody could wait for in vain.
    ask(&gateway, request("u1")).await.expect("answered");
    assert_eq!(status().await.head, taken.log_position);
    delivered(&gateway, taken.log_position).await;
    let names: Vec<_> = status().await.consumers.into_iter().map(|consumer| consumer.consumer).collect();
    assert_eq!(names, ["recommender", "evaluator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_after_a_position_has_the_events_up_to_it() {
    let (_sandbox, gateway) = moved_in().await;
    for round in 1..=5 {
        let bought = purchase(&format!("b{round}"), "buyer", "item-1", now());
        let position = track(&gateway, vec![bought]).await.expect("taken").log_position;
        let query = QueryMetricsRequest {
            metrics: vec!["REVENUE".into()],
            dimensions: vec!["channel".into()],
            from: crate::support::at(now() - 3600),
            after_position: position,
            ..QueryMetricsRequest::default()
        };
        let rows = MetricServiceClient::new(gateway.clone()).query_metrics(query).await.expect("answered");
        let rows = rows.into_inner().rows;
        let revenue: f64 = rows.iter().filter_map(|row| Some(row.value?.estimate)).sum();
        assert!((revenue - f64::from(round) * 999.0).abs() < 0.5, "round {round}: {revenue}");
    }
}
