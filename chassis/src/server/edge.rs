//! What happens to every call before and after its handler: trace, deadline, duration, one status mapping.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry::metrics::Histogram;
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::ServerConfig;
use crate::deadline::{self, Deadline, GRPC_TIMEOUT};
use crate::observe::{self, Call, Watched};
use crate::telemetry::{context, names};

/// Time kept back of a budget, so that our DEADLINE_EXCEEDED arrives before the caller's own clock strikes
/// and before tonic's timer, which ticks in milliseconds and would answer CANCELLED.
fn margin(budget: Duration) -> Duration {
    (budget / 20).clamp(Duration::from_millis(2), Duration::from_millis(10))
}

#[derive(Clone)]
pub(super) struct EdgeLayer {
    longest: Option<Duration>,
    duration: Histogram<f64>,
}

impl EdgeLayer {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let duration = opentelemetry::global::meter("bespoke")
            .f64_histogram(names::RPC_SERVER_DURATION)
            .with_unit("s")
            .with_boundaries(observe::SECONDS.to_vec())
            .build();
        let longest = (config.max_deadline_ms > 0).then(|| Duration::from_millis(config.max_deadline_ms));
        Self { longest, duration }
    }

    fn deadline(&self, headers: &HeaderMap) -> Option<Deadline> {
        let asked = headers.get(GRPC_TIMEOUT).and_then(|value| deadline::parse_timeout(value.to_str().ok()?));
        let budget = match (asked, self.longest) {
            (Some(asked), Some(longest)) => Some(asked.min(longest)),
            (asked, longest) => asked.or(longest),
        };
        budget.map(|budget| Deadline::after(budget.saturating_sub(margin(budget))))
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Edge<S> {
    inner: S,
    layer: EdgeLayer,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Edge<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ReqBody: Send + 'static,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<tonic::body::Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let method = observe::method(request.uri().path());
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = "server",
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.status_code = tracing::field::Empty,
        );
        context::continue_trace(&span, request.headers());
        let deadline = self.layer.deadline(request.headers());
        // Our own deadline takes over: tonic's would answer CANCELLED.
        request.headers_mut().remove(GRPC_TIMEOUT);
        let mut call = Call::start(span.clone(), self.layer.duration.clone(), method);

        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        let work = async move {
            let answer = deadline::scope(deadline, inner.call(request));
            let response = match deadline {
                None => answer.await?,
                Some(deadline) => {
                    if let Ok(response) = tokio::time::timeout_at(deadline.instant(), answer).await {
                        response?
                    } else {
                        call.finish(tonic::Code::DeadlineExceeded);
                        return Ok(observe::exceeded().into_http());
                    }
                }
            };
            if let Some(code) = observe::code_in(response.headers()) {
                call.finish(code);
            }
            Ok(response.map(|body| tonic::body::Body::new(Watched::new(body, call, deadline))))
        };
        Box::pin(work.instrument(span))
    }
}
