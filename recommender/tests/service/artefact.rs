//! A training run is one artefact: preferences, segments and intent serve together or not at all.

use proto::recommender::v1::{
    Algorithm, ListSegmentsRequest, PredictIntentRequest, PromoteModelRequest, TrainRequest,
};

use super::{Client, fill, on_sqlite, recommend, replica, train, wanted};

/// Which model answers each kind of question.
async fn versions(client: &mut Client) -> [String; 3] {
    let preferences = recommend(client, wanted("user-4", 3)).await.model_version;
    let segments = client.list_segments(ListSegmentsRequest::default()).await.expect("answered");
    let asked = PredictIntentRequest { user_ids: vec!["user-4".into()], horizon_days: 2 };
    let intent = client.predict_intent(asked).await.expect("answered");
    [preferences, segments.into_inner().version, intent.into_inner().model_version]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_promoted_changes_nothing_that_serves_and_promotion_changes_all() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    fill(client).await;
    let first = train(client, Algorithm::Popularity).await;
    assert!(first.promoted, "{first:?}");
    assert_eq!(versions(client).await, [0; 3].map(|_| first.model_id.clone()));
    let before = client.list_segments(ListSegmentsRequest::default()).await.expect("answered").into_inner();

    let request = TrainRequest { algorithm: Algorithm::Svd.into(), promote: false, ..Default::default() };
    let mut steps = client.train(request).await.expect("starts").into_inner();
    let mut second = None;
    while let Some(step) = steps.message().await.expect("goes on") {
        second = step.model.or(second);
    }
    let second = second.expect("a model");
    assert!(second.metrics.contains_key("promoted held-out silhouette"), "{second:?}");
    assert_eq!(versions(client).await, [0; 3].map(|_| first.model_id.clone()));
    let (mut other, stop) = replica(&served.url, served.folder.path().join("models")).await;
    assert_eq!(versions(&mut other).await, [0; 3].map(|_| first.model_id.clone()), "another replica");
    stop.cancel();
    let after = client.list_segments(ListSegmentsRequest::default()).await.expect("answered").into_inner();
    assert_eq!(before, after);

    let promotion = PromoteModelRequest { model_id: second.model_id.clone(), ..Default::default() };
    client.promote_model(promotion).await.expect("serves");
    assert_eq!(versions(client).await, [0; 3].map(|_| second.model_id.clone()));
    served.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artefact_without_people_or_with_damaged_ones_still_lets_the_shop_start_and_train() {
    let mut served = on_sqlite().await;
    let client = &mut served.client;
    fill(client).await;
    let model = train(client, Algorithm::Svd).await;
    let models = served.folder.path().join("models");
    let people = models.join(&model.model_id).join("people.json");

    // As an earlier version stored it.
    std::fs::remove_file(&people).expect("people are part of the artefact");
    let (mut other, stop) = replica(&served.url, models.clone()).await;
    assert_eq!(recommend(&mut other, wanted("user-4", 3)).await.model_version, model.model_id);
    let refused = other.list_segments(ListSegmentsRequest::default()).await.expect_err("none are there");
    assert_eq!(chassis::error::reason(&refused).as_deref(), Some("NOT_TRAINED"));
    stop.cancel();

    std::fs::write(&people, "{}").expect("damaged");
    let (mut other, stop) = replica(&served.url, models).await;
    assert_eq!(recommend(&mut other, wanted("user-4", 3)).await.model_version, "", "what is popular");
    let next = train(&mut other, Algorithm::Svd).await;
    assert_eq!(recommend(&mut other, wanted("user-4", 3)).await.model_version, next.model_id);
    stop.cancel();
    served.stop.cancel();
}
