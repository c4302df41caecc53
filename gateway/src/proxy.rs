//! Every other service, passed through by its path.
//!
//! Bodies are not decoded: frames and trailers go on as they come, in both directions, with the caller's
//! metadata, remaining deadline and trace.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use crate::upstream::Upstream;

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

/// Sends a call to the service its path names.
#[derive(Clone)]
pub struct Proxy {
    upstream: Upstream,
}

impl Proxy {
    /// A proxy to `upstream`.
    pub fn new(upstream: &Upstream) -> Self {
        Self { upstream: upstream.clone() }
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
        let Some(mut channel) = self.upstream.channel_for(request.uri().path()) else {
            let path = request.uri().path().to_owned();
            return Box::pin(async move { Ok(unknown(&path).into_http()) });
        };
        let call = channel.call(request);
        Box::pin(async move { Ok(call.await.unwrap_or_else(|error| failed(error).into_http())) })
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
