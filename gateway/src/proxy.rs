//! Every other service, passed through by its path.
//!
//! Bodies are not decoded: frames and trailers go on as they come, in both directions, with the caller's metadata,
//! remaining deadline and trace. The one exception is Recommend, which is given the person's events that the recommender
//! has not got yet.

mod recommend;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chassis::auth::Pseudonymiser;
use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use crate::personalise::popular::Popular;
use crate::store::Store;
use crate::upstream::Upstream;
use recommend::Recommend;

/// The services reflection lists though they live elsewhere.
pub const PASSED_THROUGH: [&str; 8] = [
    "bespoke.recommender.v1.RecommenderService",
    "bespoke.generator.v1.GeneratorService",
    "bespoke.evaluator.v1.ExperimentService",
    "bespoke.evaluator.v1.MetricService",
    "bespoke.evaluator.v1.AttributionService",
    "bespoke.evaluator.v1.EffectService",
    "bespoke.evaluator.v1.StrategyService",
    "bespoke.evaluator.v1.DecisionService",
];

/// Calls that change the catalogue past the gateway's own service.
const CATALOGUE_CHANGES: [&str; 3] = [
    "/bespoke.recommender.v1.RecommenderService/UpsertItems",
    "/bespoke.recommender.v1.RecommenderService/UpdateItems",
    "/bespoke.recommender.v1.RecommenderService/DeleteItems",
];

/// Sends a call to the service its path names.
#[derive(Clone)]
pub struct Proxy {
    upstream: Upstream,
    recommend: Recommend,
    popular: Popular,
}

impl Proxy {
    /// A proxy to `upstream`. A Recommend request may have `max_request_bytes`.
    pub fn new(
        upstream: &Upstream,
        store: &Store,
        names: &Arc<Pseudonymiser>,
        popular: Popular,
        max_request_bytes: usize,
    ) -> Self {
        let recommend = Recommend::new(upstream.clone(), store.clone(), names.clone(), max_request_bytes);
        Self { upstream: upstream.clone(), recommend, popular }
    }
}

impl Service<Request<Body>> for Proxy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if path == recommend::PATH {
            let recommend = self.recommend.clone();
            return Box::pin(async move { Ok(recommend.serve(request).await) });
        }
        let Some(mut channel) = self.upstream.channel_for(path) else {
            let path = path.to_owned();
            return Box::pin(async move { Ok(unknown(&path).into_http()) });
        };
        let changed = CATALOGUE_CHANGES.contains(&path).then(|| self.popular.clone());
        let call = channel.call(request);
        Box::pin(async move {
            let response = call.await.unwrap_or_else(|error| failed(error).into_http());
            if let Some(popular) = changed {
                popular.refresh_soon();
            }
            Ok(response)
        })
    }
}

fn unknown(path: &str) -> Status {
    let message = format!("there is no method {path}; `list` on reflection names all services");
    chassis::error::status(Code::Unimplemented, "UNKNOWN_METHOD", message)
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Status {
    match error.downcast::<Status>() {
        Ok(status) => *status,
        Err(error) => chassis::error::status(Code::Unavailable, "UNREACHABLE", error.to_string()),
    }
}
