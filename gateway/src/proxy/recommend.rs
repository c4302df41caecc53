//! Recommend with the person's events that the recommender has not got yet, so that what was acknowledged is felt at
//! once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chassis::auth::Pseudonymiser;
use chassis::deadline;
use proto::common::v1::{Degradation, DegradationCause, DegradationStage, Substitute};
use proto::recommender::v1::{RecommendRequest, RecommendResponse};
use proto::validate::Violations;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::personalise::known::{self, Consent, Person};
use crate::service::refuse;
use crate::store::{self, Store};
use crate::upstream::Upstream;

/// Path of the call.
pub(super) const PATH: &str = "/bespoke.recommender.v1.RecommenderService/Recommend";

/// Time that reading the gateway's own database may take; a quarter of the deadline where that is less.
const LOOK_UP: Duration = Duration::from_millis(200);

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
        let mut found = Violations::new();
        for (index, event) in message.recent_events.iter().enumerate() {
            let violation = known::check_recent(event);
            found.add_within(&format!("recent_events[{index}]"), violation.into_iter().collect());
        }
        refuse(found.into_vec())?;
        let mut withheld = false;
        let share = deadline::remaining().map_or(LOOK_UP, |left| LOOK_UP.min(left / 4));
        match deadline::within(share, self.complete(&message)).await {
            Ok(Ok(Completed::Known(completed))) => message = *completed,
            Ok(Ok(Completed::NoConsent)) => {
                withheld = true;
                message.user_id.clear();
                message.visitor_id.clear();
                message.recent_events.clear();
            }
            Ok(Ok(Completed::Nobody)) => {}
            // The recommender can answer without this database: events that are on their way are then missing.
            Ok(Err(error)) => {
                tracing::warn!(%error, "Recommend is sent on without events that are on their way");
            }
            Err(late) => tracing::warn!(%late, "Recommend is sent on without events that are on their way"),
        }
        let request = Request::from_parts(metadata, extensions, message);
        let mut response = self.upstream.recommender().recommend(request).await?;
        if withheld {
            response.get_mut().degradations = vec![Degradation {
                stage: DegradationStage::Recommend.into(),
                cause: DegradationCause::NoConsent.into(),
                substitute: Substitute::Popularity.into(),
            }];
        }
        Ok(response)
    }

    /// The request with the person it is from and the events that are on their way.
    async fn complete(&self, request: &RecommendRequest) -> Result<Completed, store::Error> {
        let (user_id, visitor_id) = (&request.user_id, &request.visitor_id);
        let person = Person::resolve(&self.store, &self.names, user_id, visitor_id).await?;
        if person.unit().is_empty() {
            return Ok(Completed::Nobody);
        }
        if !Consent::read(&self.store, person.unit(), &[]).await?.personalisation {
            return Ok(Completed::NoConsent);
        }
        let undelivered = known::undelivered(&self.store, person.unit()).await?;
        let mut completed =
            RecommendRequest { user_id: person.user, visitor_id: person.visitor, ..request.clone() };
        known::fold(&mut completed, undelivered);
        Ok(Completed::Known(Box::new(completed)))
    }
}

/// What this gateway knows of the person behind a request.
enum Completed {
    /// The request with all of it.
    Known(Box<RecommendRequest>),
    /// The person does not agree to content chosen by past behaviour.
    NoConsent,
    /// The request names nobody.
    Nobody,
}

impl UnaryService<RecommendRequest> for Recommend {
    type Response = RecommendResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<RecommendResponse>, Status>> + Send>>;

    fn call(&mut self, request: Request<RecommendRequest>) -> Self::Future {
        let recommend = self.clone();
        Box::pin(async move { recommend.answer(request).await })
    }
}
