//! The server's edge and the client's channel, over real sockets, with the health service as the one served.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chassis::client::{ClientConfig, connect};
use chassis::deadline;
use chassis::server::{Server, ServerConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Fails UNAVAILABLE for the first `failures` calls; the service named `slow` never answers.
#[derive(Clone)]
struct Probe {
    failures: u32,
    calls: Arc<AtomicU32>,
}

// The health service under another name, so that it can stand beside the server's own.
#[derive(Clone)]
struct Renamed<S>(S);

impl<S> NamedService for Renamed<S> {
    const NAME: &'static str = "test.Probe";
}

impl<S> tower::Service<http::Request<tonic::body::Body>> for Renamed<S>
where
    S: tower::Service<http::Request<tonic::body::Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path().replace("/test.Probe/", "/grpc.health.v1.Health/");
        parts.uri = path.parse().expect("a path");
        self.0.call(http::Request::from_parts(parts, body))
    }
}

#[tonic::async_trait]
impl tonic_health::pb::health_server::Health for Probe {
    type WatchStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if request.into_inner().service == "slow" {
            std::future::pending::<()>().await;
        }
        if call < self.failures {
            return Err(chassis::error::status(Code::Unavailable, "STARTING", "not yet"));
        }
        Ok(Response::new(HealthCheckResponse { status: 1 }))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::pending())))
    }
}

struct Running {
    address: String,
    calls: Arc<AtomicU32>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), chassis::server::Error>>,
}

async fn start(failures: u32) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let probe = Probe { failures, calls: Arc::default() };
    let calls = probe.calls.clone();
    let service = tonic_health::pb::health_server::HealthServer::new(probe);
    let config = ServerConfig { drain_ms: 200, ..ServerConfig::default() };
    let stop = CancellationToken::new();
    let server = Server::new(config).add(Renamed(service));
    let served = tokio::spawn(server.serve(listener, stop.clone()));
    Running { address, calls, stop, served }
}

fn probe(
    address: &str,
) -> HealthClient<
    impl Clone
    + tonic::client::GrpcService<
        tonic::body::Body,
        ResponseBody = tonic::body::Body,
        Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        Future: Send,
    > + Send,
> {
    let channel = connect(&ClientConfig::to(address)).expect("an address");
    let renamed = tower::util::MapRequest::new(channel, |request: http::Request<tonic::body::Body>| {
        let (mut parts, body) = request.into_parts();
        let uri = parts.uri.to_string().replace("/grpc.health.v1.Health/", "/test.Probe/");
        parts.uri = uri.parse().expect("a path");
        http::Request::from_parts(parts, body)
    });
    HealthClient::new(renamed)
}

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.into() }
}

#[tokio::test]
async fn unavailable_is_sent_again_and_succeeds() {
    let server = start(2).await;
    let answer = probe(&server.address).check(named("")).await.expect("the third sending succeeds");
    assert_eq!(answer.into_inner().status, 1);
    assert_eq!(server.calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn calls_are_spread_over_all_listed_addresses() {
    let (one, other) = (start(0).await, start(0).await);
    let addresses = format!("{},{}", one.address, other.address);
    let mut client = probe(&addresses);
    for _ in 0..200 {
        client.check(named("")).await.expect("answered");
    }
    let calls = [one, other].map(|server| server.calls.load(Ordering::SeqCst));
    assert_eq!(calls[0] + calls[1], 200);
    assert!(calls.iter().all(|calls| *calls > 20), "{calls:?}");
}

#[test]
fn every_listed_address_needs_a_port() {
    let problems = |address: &str| {
        let mut problems = chassis::config::Problems::default();
        ClientConfig::to(address).validate("recommender", &mut problems);
        format!("{problems:?}")
    };
    assert!(!problems("http://127.0.0.1:1,http://127.0.0.1:2").contains("recommender.address"));
    assert!(problems("http://127.0.0.1:1,http://127.0.0.1").contains("recommender.address"));
    assert!(problems("http://127.0.0.1:1,").contains("recommender.address"));
}

#[tokio::test]
async fn retries_end_after_the_configured_attempts() {
    let server = start(u32::MAX).await;
    let status = probe(&server.address).check(named("")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(server.calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_passed_deadline_is_deadline_exceeded_on_both_sides() {
    let server = start(0).await;
    // The client's own channel bounds the call …
    let mut client = probe(&server.address);
    let ours = deadline::within(Duration::from_secs(5), async {
        deadline::within(Duration::from_millis(50), client.check(named("slow"))).await
    });
    assert!(matches!(ours.await, Ok(Err(deadline::Exceeded) | Ok(Err(_)))));
    // … and a caller who only sends grpc-timeout is answered by the server, not left with CANCELLED.
    let mut raw = HealthClient::new(
        tonic::transport::Endpoint::new(server.address.clone()).expect("uri").connect_lazy(),
    );
    let mut request = Request::new(named(""));
    request.set_timeout(Duration::from_millis(100));
    raw.check(request).await.expect("a quick answer fits its deadline");
    let mut request = Request::new(named("slow"));
    request.metadata_mut().insert("grpc-timeout", "50m".parse().expect("ascii"));
    let status = probe(&server.address).check(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn streams_end_at_the_deadline_too() {
    let server = start(0).await;
    let mut request = Request::new(named(""));
    request.metadata_mut().insert("grpc-timeout", "80m".parse().expect("ascii"));
    let started = Instant::now();
    let mut stream = probe(&server.address).watch(request).await.expect("a stream").into_inner();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(started.elapsed() >= Duration::from_millis(70));
}

#[tokio::test]
async fn the_drain_is_bounded_even_with_an_idle_stream() {
    let server = start(0).await;
    let _stream = probe(&server.address).watch(named("")).await.expect("a stream");
    server.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), server.served).await;
    ended.expect("the drain ends by itself").expect("no panic").expect("no transport error");
}

#[tokio::test]
async fn overall_health_follows_the_services() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let service =
        tonic_health::pb::health_server::HealthServer::new(Probe { failures: 0, calls: Arc::default() });
    let server = Server::new(ServerConfig::default()).add(Renamed(service));
    let health = server.health();
    health.set_not_serving::<Renamed<()>>().await;
    let stop = CancellationToken::new();
    tokio::spawn(server.serve(listener, stop.clone()));
    let mut client = HealthClient::new(connect(&ClientConfig::to(address)).expect("an address"));
    let mut status = async |name: &str| client.check(named(name)).await.expect("known").into_inner().status;
    assert_eq!(status("").await, 2, "not serving while the service loads");
    health.set_serving::<Renamed<()>>().await;
    assert_eq!((status("").await, status("test.Probe").await), (1, 1));
    stop.cancel();
}
