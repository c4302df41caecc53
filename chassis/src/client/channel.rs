use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use rand::Rng as _;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::{Code, Status};
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::{Service, ServiceExt as _};
use tracing::Instrument as _;

use super::ClientConfig;
use super::replay::{Outgoing, body_of};
use crate::deadline::{self, Deadline, GRPC_TIMEOUT};
use crate::observe::{self, Call, Watched};
use crate::telemetry::{context, names};

/// The longest pause before the second sending; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// A clonable connection to one service, to build generated clients on.
#[derive(Clone)]
pub struct Channel {
    inner: tonic::transport::Channel,
    shared: Arc<Shared>,
}

struct Shared {
    attempts: u32,
    budget: TpsBudget,
    duration: Histogram<f64>,
    retries: Counter<u64>,
}

impl Channel {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, tonic::transport::Error> {
        let inner = super::resolve::channel(config)?;
        let meter = opentelemetry::global::meter("bespoke");
        let duration = meter
            .f64_histogram(names::RPC_CLIENT_DURATION)
            .with_unit("s")
            .with_boundaries(observe::SECONDS.to_vec())
            .build();
        let retries = meter.u64_counter(names::RPC_CLIENT_RETRIES).build();
        let budget = TpsBudget::new(Duration::from_secs(10), 1, config.retry_ratio);
        Ok(Self { inner, shared: Arc::new(Shared { attempts: config.attempts, budget, duration, retries }) })
    }

    async fn send(self, request: Request<Body>, call: &mut Call) -> Result<Response<Body>, Status> {
        let (head, body) = request.into_parts();
        let head = Head { method: head.method, uri: head.uri, version: head.version, headers: head.headers };
        self.shared.budget.deposit();
        let frames = match Outgoing::look(body) {
            Outgoing::Once(body) => return self.attempt(&head, body).await,
            Outgoing::Whole(frames) => frames,
        };
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(&head, body_of(&frames)).await;
            if !is_unavailable(&outcome) || attempt >= self.shared.attempts {
                return outcome;
            }
            let pause = jitter(FIRST_PAUSE * 2_u32.saturating_pow(attempt - 1));
            if deadline::remaining().is_some_and(|left| left <= pause) || !self.shared.budget.withdraw() {
                return outcome;
            }
            self.shared.retries.add(1, &[KeyValue::new(names::RPC_METHOD, observe::method(head.uri.path()))]);
            call.span().in_scope(|| tracing::debug!(attempt, "unavailable, sent again"));
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, head: &Head, body: Body) -> Result<Response<Body>, Status> {
        let mut request = head.request(body);
        if let Some(left) = deadline::remaining() {
            if left.is_zero() {
                return Err(observe::exceeded());
            }
            if let Ok(value) = HeaderValue::try_from(deadline::format_timeout(left)) {
                request.headers_mut().insert(GRPC_TIMEOUT, value);
            }
        }
        let mut inner = self.inner.clone();
        let ready = inner.ready().await.map_err(|error| transport(&error))?;
        ready.call(request).await.map_err(|error| transport(&error))
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, StdError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        // Readiness is awaited inside the call, where the deadline bounds it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = observe::method(request.uri().path());
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = "client",
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.status_code = tracing::field::Empty,
        );
        context::send_on(&span, request.headers_mut());
        let mut call = Call::start(span.clone(), self.shared.duration.clone(), method);
        let channel = self.clone();
        let deadline = deadline::current();
        let work = async move {
            let sent = channel.send(request, &mut call);
            let outcome = match deadline {
                None => sent.await,
                Some(deadline) => bounded(deadline, sent).await,
            };
            match outcome {
                Ok(response) => {
                    if let Some(code) = observe::code_in(response.headers()) {
                        call.finish(code);
                    }
                    Ok(response.map(|body| Body::new(Watched::new(body, call, deadline))))
                }
                Err(status) => {
                    call.finish(status.code());
                    Err(status.into())
                }
            }
        };
        Box::pin(work.instrument(span))
    }
}

async fn bounded<F>(deadline: Deadline, work: F) -> Result<Response<Body>, Status>
where
    F: Future<Output = Result<Response<Body>, Status>>,
{
    tokio::time::timeout_at(deadline.instant(), work).await.unwrap_or_else(|_| Err(observe::exceeded()))
}

struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
}

impl Head {
    fn request(&self, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

fn is_unavailable(outcome: &Result<Response<Body>, Status>) -> bool {
    match outcome {
        Ok(response) => observe::code_in(response.headers()) == Some(Code::Unavailable),
        Err(status) => status.code() == Code::Unavailable,
    }
}

/// A transport failure is UNAVAILABLE to the caller: the service was not reached or went away.
fn transport(error: &tonic::transport::Error) -> Status {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    crate::error::status(Code::Unavailable, "UNREACHABLE", format!("the service was not reached: {cause}"))
}

fn jitter(most: Duration) -> Duration {
    most.mul_f64(rand::rng().random_range(0.0..1.0))
}
