//! The whole loop on a grocer's year with the real model: import, train, personalise, track, measure.

use std::time::{Duration, Instant};

use crate::support::{ask, complete_journey, event, has, ids, request, track, train};
use bespoke_tests::sandbox::{Sandbox, Words};
use proto::common::v1::{DegradationCause, DegradationStage, EventKind};
use proto::evaluator::v1::QueryMetricsRequest;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use proto::generator::v1::CopySource;

#[tokio::test(flavor = "multi_thread")]
async fn behaviour_becomes_content_and_content_becomes_measured_behaviour() {
    let sandbox = Sandbox::start(Words::Model).await.expect("starts");
    let (shop, gateway) = complete_journey(&sandbox).await;

    let model = train(&gateway).await;
    assert!(model.promoted, "{model:?}");
    let (ndcg, popularity) = (model.metrics["NDCG@10"], model.metrics["popularity NDCG@10"]);
    assert!(ndcg > 1.5 * popularity, "NDCG@10 {ndcg}, of popularity {popularity}");

    let busiest = shop.busiest();
    let (one, other) = (busiest[2].0, busiest[22].0);
    let answer = ask(&gateway, request(one)).await.expect("answered");
    assert_eq!(answer.placements.len(), 5);
    assert!(!answer.decision_token.is_empty());
    assert_ne!(ids(&answer), ids(&ask(&gateway, request(other)).await.expect("answered")), "each their own");
    for placement in &answer.placements {
        assert!(!placement.reasons.is_empty(), "a reason for each");
    }
    assert!(answer.placements.iter().any(|placement| placement.offer.is_some()), "a coupon runs");
    assert!(
        has(&answer, DegradationStage::Effect, DegradationCause::Cold),
        "no effect model is trained: {:?}",
        answer.degradations
    );
    for placement in &answer.placements[..2] {
        let copy = placement.copy.as_ref().expect("copy was asked for");
        assert!(!copy.headline.is_empty() && !copy.body.is_empty());
    }
    let written = answer.placements[..2].iter().filter_map(|placement| placement.copy.as_ref());
    assert!(
        written.clone().any(|copy| copy.source() == CopySource::Model),
        "{:?}",
        written.collect::<Vec<_>>()
    );

    let seen = |(position, item): (usize, &str)| proto::common::v1::Event {
        decision_token: answer.decision_token.clone(),
        position: Some(position as u32),
        ..event(&format!("seen-{position}"), one, EventKind::Impression, item)
    };
    let mut events: Vec<_> = ids(&answer).into_iter().enumerate().map(seen).collect();
    events.push(proto::common::v1::Event {
        decision_token: answer.decision_token.clone(),
        ..event("click", one, EventKind::Click, ids(&answer)[4])
    });
    assert_eq!(track(&gateway, events.clone()).await.expect("taken").accepted, 6);
    let again = track(&gateway, events).await.expect("taken");
    assert_eq!((again.accepted, again.duplicates), (0, 6), "told twice, counted once");

    let started = Instant::now();
    let changed = loop {
        let after = ask(&gateway, request(one)).await.expect("answered");
        if ids(&after) != ids(&answer) {
            break after;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "the click changed nothing");
    };
    assert_eq!(changed.versions.get("recommend"), answer.versions.get("recommend"), "without training");

    let metrics = ["CTR", "REVENUE"].map(str::to_owned).to_vec();
    let query = QueryMetricsRequest { metrics, ..QueryMetricsRequest::default() };
    let rows = loop {
        let rows =
            MetricServiceClient::new(gateway.clone()).query_metrics(query.clone()).await.expect("answered");
        let rows = rows.into_inner().rows;
        if rows.iter().any(|row| row.metric == "CTR") {
            break rows;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{rows:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let value =
        |name: &str| rows.iter().find(|row| row.metric == name).and_then(|row| row.value).expect(name);
    assert!((value("CTR").estimate - 0.2).abs() < 1e-9, "one click of five seen: {:?}", value("CTR"));
    let sold =
        |event: &proto::common::v1::Event| event.purchase.as_ref()?.revenue.as_ref().map(|m| m.minor_units);
    let sold: i64 = shop.events.iter().filter_map(sold).sum();
    assert!((value("REVENUE").estimate - sold as f64).abs() < 0.5, "{:?} of {sold}", value("REVENUE"));
}
