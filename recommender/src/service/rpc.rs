//! The methods, each one line to where the work is.

use std::pin::Pin;

use futures::Stream;
use proto::recommender::v1::recommender_service_server::RecommenderService;
use proto::recommender::v1::{
    DeleteItemsRequest, DeleteItemsResponse, EraseUserRequest, EraseUserResponse, ExportUserRequest,
    GetItemRequest, GetItemResponse, GetProfileRequest, GetProfileResponse, IngestEventsRequest,
    IngestEventsResponse, ListItemsRequest, ListItemsResponse, ListModelsRequest, ListModelsResponse,
    ListSegmentsRequest, ListSegmentsResponse, PredictIntentRequest, PredictIntentResponse,
    PredictPreferenceRequest, PredictPreferenceResponse, PromoteModelRequest, PromoteModelResponse,
    RecommendRequest, RecommendResponse, SimilarItemsRequest, SimilarItemsResponse, TrainRequest,
    TrainResponse, UpdateItemsRequest, UpdateItemsResponse, UpsertItemsRequest, UpsertItemsResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use super::Recommender;
use super::people::Exported;

/// Messages that wait for a caller who reads slowly; more than a search tells.
const STEPS: usize = 1024;

#[tonic::async_trait]
impl RecommenderService for Recommender {
    type ExportUserStream = ReceiverStream<Exported>;
    type TrainStream = Pin<Box<dyn Stream<Item = Result<TrainResponse, Status>> + Send>>;

    async fn upsert_items(
        &self,
        request: Request<Streaming<UpsertItemsRequest>>,
    ) -> Result<Response<UpsertItemsResponse>, Status> {
        self.take_items(request.into_inner()).await.map(Response::new)
    }

    async fn update_items(
        &self,
        request: Request<UpdateItemsRequest>,
    ) -> Result<Response<UpdateItemsResponse>, Status> {
        self.update(request.get_ref()).await.map(Response::new)
    }

    async fn get_item(&self, request: Request<GetItemRequest>) -> Result<Response<GetItemResponse>, Status> {
        self.item(request.get_ref()).await.map(Response::new)
    }

    async fn list_items(
        &self,
        request: Request<ListItemsRequest>,
    ) -> Result<Response<ListItemsResponse>, Status> {
        self.items(request.get_ref()).await.map(Response::new)
    }

    async fn delete_items(
        &self,
        request: Request<DeleteItemsRequest>,
    ) -> Result<Response<DeleteItemsResponse>, Status> {
        self.drop_items(request.get_ref()).await.map(Response::new)
    }

    async fn ingest_events(
        &self,
        request: Request<Streaming<IngestEventsRequest>>,
    ) -> Result<Response<IngestEventsResponse>, Status> {
        self.take_events(request.into_inner()).await.map(Response::new)
    }

    async fn recommend(
        &self,
        request: Request<RecommendRequest>,
    ) -> Result<Response<RecommendResponse>, Status> {
        self.pick(request.into_inner()).await.map(Response::new)
    }

    async fn similar_items(
        &self,
        request: Request<SimilarItemsRequest>,
    ) -> Result<Response<SimilarItemsResponse>, Status> {
        self.alike(request.get_ref()).await.map(Response::new)
    }

    async fn predict_preference(
        &self,
        request: Request<PredictPreferenceRequest>,
    ) -> Result<Response<PredictPreferenceResponse>, Status> {
        self.preference(request.into_inner()).await.map(Response::new)
    }

    async fn predict_intent(
        &self,
        request: Request<PredictIntentRequest>,
    ) -> Result<Response<PredictIntentResponse>, Status> {
        self.intents(request.into_inner()).await.map(Response::new)
    }

    async fn get_profile(
        &self,
        request: Request<GetProfileRequest>,
    ) -> Result<Response<GetProfileResponse>, Status> {
        self.profile(&request.get_ref().user_id).await.map(Response::new)
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        self.segments(request.get_ref()).await.map(Response::new)
    }

    async fn train(&self, request: Request<TrainRequest>) -> Result<Response<Self::TrainStream>, Status> {
        let request = request.into_inner();
        Self::check_training(&request)?;
        let (steps, told) = mpsc::channel(STEPS);
        let service = self.clone();
        let work = async move {
            if let Err(status) = service.fit(request, &steps).await {
                let _ = steps.send(Err(status)).await;
            }
        };
        // The call's deadline does not reach a task of its own by itself.
        let work = chassis::deadline::scope(chassis::deadline::current(), work);
        tokio::spawn(work.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        self.list(request.get_ref()).await.map(Response::new)
    }

    async fn promote_model(
        &self,
        request: Request<PromoteModelRequest>,
    ) -> Result<Response<PromoteModelResponse>, Status> {
        let model = self.promote(&request.get_ref().model_id).await?;
        Ok(Response::new(PromoteModelResponse { model: Some(model) }))
    }

    async fn export_user(
        &self,
        request: Request<ExportUserRequest>,
    ) -> Result<Response<Self::ExportUserStream>, Status> {
        self.export(&request.get_ref().user_id).await.map(Response::new)
    }

    async fn erase_user(
        &self,
        request: Request<EraseUserRequest>,
    ) -> Result<Response<EraseUserResponse>, Status> {
        self.erase(&request.get_ref().user_id).await.map(Response::new)
    }
}
