//! Calls to the gateways, spread over all of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use chassis::client::Channel;
use chassis::deadline;
use futures::TryStreamExt as _;
use pbjson_types::Timestamp;
use proto::common::v1::{Event, Item, Offer};
use proto::evaluator::v1::attribution_service_client::AttributionServiceClient;
use proto::evaluator::v1::experiment_service_client::ExperimentServiceClient;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::evaluator::v1::{
    AttributeRequest, AttributeResponse, CreateExperimentRequest, Experiment, QueryMetricsRequest,
    QueryMetricsResponse, StartExperimentRequest, UpsertOffersRequest, Variant,
};
use proto::gateway::v1::catalogue_service_client::CatalogueServiceClient;
use proto::gateway::v1::event_service_client::EventServiceClient;
use proto::gateway::v1::export_user_response::Part;
use proto::gateway::v1::personalisation_service_client::PersonalisationServiceClient;
use proto::gateway::v1::privacy_service_client::PrivacyServiceClient;
use proto::gateway::v1::{
    DeleteItemsRequest, EraseUserRequest, EraseUserResponse, ExportUserRequest, GetDeliveryStatusRequest,
    ItemUpdate, LinkVisitorRequest, PersonaliseRequest, PersonaliseResponse, Purpose, SetConsentRequest,
    TrackEventsRequest, TrackEventsResponse, UpdateItemsRequest, UpsertItemsRequest,
};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{
    Algorithm, GetProfileRequest, GetProfileResponse, Model, PromoteModelRequest, RecommendRequest,
    RecommendResponse, SimilarItemsRequest, TrainRequest,
};
use tonic::{Code, Status};

use super::EXPERIMENT;
use super::catalogue::Changes;
use crate::exploration;

/// Time every call has. A slow machine must not turn an answer into a degraded one.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client of all gateways.
pub struct Client {
    gateways: Vec<Channel>,
    calls: AtomicUsize,
}

/// Awaits `call` with all the time it may need.
async fn patiently<T>(call: impl Future<Output = Result<T, Status>>) -> anyhow::Result<T> {
    let answer = deadline::within(PATIENCE, call).await;
    Ok(answer.map_err(|_| anyhow::anyhow!("no answer within {PATIENCE:?}"))??)
}

impl Client {
    /// A client that calls `gateways` in turn.
    pub fn new(gateways: Vec<Channel>) -> Self {
        Self { gateways, calls: AtomicUsize::new(0) }
    }

    fn gateway(&self) -> Channel {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.gateways[call % self.gateways.len()].clone()
    }

    /// Stores whole items.
    pub async fn upsert(&self, items: Vec<Item>) -> anyhow::Result<()> {
        let rows = items.into_iter().map(|item| UpsertItemsRequest { item: Some(item) }).collect::<Vec<_>>();
        let mut client = CatalogueServiceClient::new(self.gateway());
        let taken = patiently(client.upsert_items(tokio_stream::iter(rows))).await?.into_inner();
        anyhow::ensure!(taken.rejected.is_empty(), "items were rejected: {:?}", taken.rejected);
        Ok(())
    }

    /// Applies a minute's changes of the catalogue.
    pub async fn change(&self, changes: &Changes) -> anyhow::Result<()> {
        if !changes.upserts.is_empty() {
            self.upsert(changes.upserts.clone()).await?;
        }
        let mut client = CatalogueServiceClient::new(self.gateway());
        let update = |(item, update_mask): &(Item, Vec<String>)| ItemUpdate {
            item: Some(item.clone()),
            update_mask: update_mask.clone(),
        };
        if !changes.updates.is_empty() {
            let updates: Vec<_> = changes.updates.iter().map(update).collect();
            let count = updates.len() as u64;
            let request = UpdateItemsRequest { updates, ..UpdateItemsRequest::default() };
            let answer = patiently(client.update_items(request)).await?.into_inner();
            anyhow::ensure!(answer.updated == count, "{count} items were to be updated: {answer:?}");
        }
        if !changes.deletions.is_empty() {
            let item_ids = changes.deletions.clone();
            let count = item_ids.len() as u64;
            let request = DeleteItemsRequest { item_ids, ..DeleteItemsRequest::default() };
            let answer = patiently(client.delete_items(request)).await?.into_inner();
            anyhow::ensure!(answer.deleted == count, "{count} items were to be deleted: {answer:?}");
        }
        Ok(())
    }

    /// Stores the offers and makes them by chance, then creates and starts the experiment.
    pub async fn begin(&self, offers: Vec<Offer>) -> anyhow::Result<()> {
        let rows =
            offers.into_iter().map(|offer| UpsertOffersRequest { offer: Some(offer) }).collect::<Vec<_>>();
        let mut client = StrategyServiceClient::new(self.gateway());
        let taken = patiently(client.upsert_offers(tokio_stream::iter(rows))).await?.into_inner();
        anyhow::ensure!(taken.rejected.is_empty(), "offers were rejected: {:?}", taken.rejected);
        exploration::start_now(self.gateway(), "EUR", 5_000).await?;
        let variant = |id: &str| Variant { variant_id: id.into(), weight: 0.5, ..Variant::default() };
        let experiment = Experiment {
            experiment_id: EXPERIMENT.into(),
            variants: vec![variant("control"), variant("treatment")],
            metrics: vec!["CTR".into(), "REVENUE".into()],
            ..Experiment::default()
        };
        let mut client = ExperimentServiceClient::new(self.gateway());
        let request =
            CreateExperimentRequest { experiment: Some(experiment), ..CreateExperimentRequest::default() };
        patiently(client.create_experiment(request)).await?;
        let experiment_id = EXPERIMENT.to_owned();
        let request = StartExperimentRequest { experiment_id, ..StartExperimentRequest::default() };
        patiently(client.start_experiment(request)).await?;
        Ok(())
    }

    /// Asks for content.
    pub async fn personalise(&self, request: PersonaliseRequest) -> anyhow::Result<PersonaliseResponse> {
        let mut client = PersonalisationServiceClient::new(self.gateway());
        Ok(patiently(client.personalise(request)).await?.into_inner())
    }

    /// Sends events.
    pub async fn track(&self, events: Vec<Event>) -> anyhow::Result<TrackEventsResponse> {
        let mut client = EventServiceClient::new(self.gateway());
        Ok(patiently(client.track_events(TrackEventsRequest { events })).await?.into_inner())
    }

    /// Links a visitor to a user; says whether they were linked before.
    pub async fn link(&self, visitor_id: &str, user_id: &str, seconds: i64) -> anyhow::Result<bool> {
        let request = LinkVisitorRequest {
            visitor_id: visitor_id.into(),
            user_id: user_id.into(),
            occurred_at: Some(Timestamp { seconds, nanos: 0 }),
            ..LinkVisitorRequest::default()
        };
        let mut client = EventServiceClient::new(self.gateway());
        Ok(patiently(client.link_visitor(request)).await?.into_inner().already_linked)
    }

    /// Waits until every consumer has confirmed what the log holds now, and returns that position.
    pub async fn delivered(&self) -> anyhow::Result<u64> {
        let mut client = EventServiceClient::new(self.gateway());
        let head =
            patiently(client.get_delivery_status(GetDeliveryStatusRequest {})).await?.into_inner().head;
        let reached = async {
            loop {
                let status = client.get_delivery_status(GetDeliveryStatusRequest {}).await?.into_inner();
                if status.consumers.len() >= 2 && status.consumers.iter().all(|at| at.position >= head) {
                    return Ok::<_, Status>(());
                }
                // The position is polled: the log tells nobody when it is reached.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, reached).await;
        ended.with_context(|| format!("the log was not delivered up to {head} within {PATIENCE:?}"))??;
        Ok(head)
    }

    /// Ranks items for a person.
    pub async fn recommend(&self, request: RecommendRequest) -> anyhow::Result<RecommendResponse> {
        let mut client = RecommenderServiceClient::new(self.gateway());
        Ok(patiently(client.recommend(request)).await?.into_inner())
    }

    /// Ids of items similar to one; `None` where it is refused as unknown or unavailable.
    pub async fn similar(&self, item_id: &str) -> anyhow::Result<Option<Vec<String>>> {
        let request = SimilarItemsRequest { item_id: item_id.into(), limit: 100 };
        let mut client = RecommenderServiceClient::new(self.gateway());
        let answer = deadline::within(PATIENCE, client.similar_items(request)).await;
        match answer.map_err(|_| anyhow::anyhow!("no answer within {PATIENCE:?}"))? {
            Ok(answer) => {
                let picks = answer.into_inner().recommendations;
                Ok(Some(picks.into_iter().map(|pick| pick.item_id).collect()))
            }
            Err(refused)
                if matches!(
                    refused.code(),
                    Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition
                ) =>
            {
                Ok(None)
            }
            Err(failed) => Err(failed.into()),
        }
    }

    /// A person's profile.
    pub async fn profile(&self, id: &str) -> anyhow::Result<GetProfileResponse> {
        let mut client = RecommenderServiceClient::new(self.gateway());
        Ok(patiently(client.get_profile(GetProfileRequest { user_id: id.into() })).await?.into_inner())
    }

    /// Trains a model on all events up to `after_position`.
    pub async fn train(&self, after_position: u64, promote: bool) -> anyhow::Result<Model> {
        let parameters = [("item_scale", 0.35), ("rank", 24.0), ("recency", 0.05)];
        let request = TrainRequest {
            algorithm: Algorithm::Svd.into(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
            promote,
            seed: 7,
            after_position,
            ..TrainRequest::default()
        };
        let mut client = RecommenderServiceClient::new(self.gateway());
        let training = async {
            let mut steps = client.train(request).await?.into_inner();
            let mut model = None;
            while let Some(step) = steps.message().await? {
                model = step.model.or(model);
            }
            Ok(model)
        };
        patiently(training).await?.context("the last step of training names the model")
    }

    /// Makes a model serve, as an operator does whose model was not promoted by its own figures.
    pub async fn promote(&self, model_id: &str) -> anyhow::Result<Model> {
        let request = PromoteModelRequest { model_id: model_id.to_owned(), ..PromoteModelRequest::default() };
        let mut client = RecommenderServiceClient::new(self.gateway());
        let answer = patiently(client.promote_model(request)).await?.into_inner();
        answer.model.context("the answer names the model")
    }

    /// Metrics of the shop.
    pub async fn metrics(&self, request: QueryMetricsRequest) -> anyhow::Result<QueryMetricsResponse> {
        let mut client = MetricServiceClient::new(self.gateway());
        Ok(patiently(client.query_metrics(request)).await?.into_inner())
    }

    /// Credits of channels.
    pub async fn attribute(&self, request: AttributeRequest) -> anyhow::Result<AttributeResponse> {
        let mut client = AttributionServiceClient::new(self.gateway());
        Ok(patiently(client.attribute(request)).await?.into_inner())
    }

    /// Stores what a person agrees to.
    pub async fn consent(&self, id: &str, purposes: &[Purpose]) -> anyhow::Result<()> {
        let purposes = purposes.iter().map(|purpose| i32::from(*purpose)).collect();
        let request = SetConsentRequest { user_id: id.into(), purposes, ..SetConsentRequest::default() };
        patiently(PrivacyServiceClient::new(self.gateway()).set_consent(request)).await?;
        Ok(())
    }

    /// All rows held of a person, as JSON.
    pub async fn export(&self, id: &str) -> anyhow::Result<Vec<serde_json::Value>> {
        let mut client = PrivacyServiceClient::new(self.gateway());
        let collected = async {
            let rows = client.export_user(ExportUserRequest { user_id: id.into() }).await?.into_inner();
            rows.try_collect::<Vec<_>>().await
        };
        let parts = patiently(collected).await?.into_iter().filter_map(|answer| match answer.part {
            Some(Part::Row(row)) => Some(serde_json::from_str(&row).context("a row is JSON")),
            _ => None,
        });
        parts.collect()
    }

    /// Erases a person.
    pub async fn erase(&self, id: &str) -> anyhow::Result<EraseUserResponse> {
        let request = EraseUserRequest { user_id: id.into(), ..EraseUserRequest::default() };
        Ok(patiently(PrivacyServiceClient::new(self.gateway()).erase_user(request)).await?.into_inner())
    }
}
