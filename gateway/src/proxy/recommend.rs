//! Recommend with the person's events that the recommender has not got yet, so that what was acknowledged is felt at
//! once.

use std::pin::Pin;
use std::sync::Arc;

use chassis::auth::Pseudonymiser;
use chassis::error;
use proto::recommender::v1::{RecommendRequest, RecommendResponse};
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::personalise::known::{self, Consent, Person};
use crate::store::{self, Store};
use crate::upstream::Upstream;

/// Path of the call.
pub(super) const PATH: &str = "/bespoke.recommender.v1.RecommenderService/Recommend";

/// Serves Recommend through the recommender.
#[derive(Clone)]
pub(super) struct Recommend {
    upstream: Upstream,
    store: Store,
    names: Arc<Pseudonymiser>,
    max_request_bytes: usize,
}

impl Recommend {
    pub(super) fn new(
        upstream: Upstream,
        store: Store,
        names: Arc<Pseudonymiser>,
        max_request_bytes: usize,
    ) -> Self {
        Self { upstream, store, names, max_request_bytes }
    }

    /// Answers an HTTP request for [`PATH`].
    pub(super) async fn serve(self, request: http::Request<Body>) -> http::Response<Body> {
        let codec = ProstCodec::<RecommendResponse, RecommendRequest>::default();
        let mut grpc = Grpc::new(codec).apply_max_message_size_config(Some(self.max_request_bytes), None);
        grpc.unary(self, request).await
    }

    async fn answer(
        &self,
        request: Request<RecommendRequest>,
    ) -> Result<Response<RecommendResponse>, Status> {
        let (metadata, extensions, mut message) = request.into_parts();
        self.complete(&mut message).await.map_err(|failure| error::internal(&failure))?;
        self.upstream.recommender().recommend(Request::from_parts(metadata, extensions, message)).await
    }

    /// Names the person whom the request is from and adds the events that are on their way, where the person agrees to
    /// content chosen by past behaviour.
    async fn complete(&self, request: &mut RecommendRequest) -> Result<(), store::Error> {
        let (user_id, visitor_id) = (&request.user_id, &request.visitor_id);
        let person = Person::resolve(&self.store, &self.names, user_id, visitor_id).await?;
        if person.unit().is_empty() || !Consent::read(&self.store, person.unit(), &[]).await?.personalisation
        {
            return Ok(());
        }
        let undelivered = known::undelivered(&self.store, person.unit()).await?;
        (request.user_id, request.visitor_id) = (person.user, person.visitor);
        known::fold(request, undelivered);
        Ok(())
    }
}

impl UnaryService<RecommendRequest> for Recommend {
    type Response = RecommendResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<RecommendResponse>, Status>> + Send>>;

    fn call(&mut self, request: Request<RecommendRequest>) -> Self::Future {
        let recommend = self.clone();
        Box::pin(async move { recommend.answer(request).await })
    }
}
