//! The gRPC edge every service shows: health, reflection, limits, deadlines and a bounded drain.

mod config;
mod edge;
mod health;

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tower::{Service, ServiceExt};

pub use config::ServerConfig;
pub use health::Health;

/// Serving ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The transport failed.
    #[error("transport: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors given for reflection are not a file descriptor set.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A server being put together.
pub struct Server {
    config: ServerConfig,
    routes: Routes,
    names: Vec<String>,
    health: Health,
    descriptors: Option<&'static [u8]>,
}

impl Server {
    /// An empty server. Its overall health is NOT_SERVING until [`Server::serve`] accepts calls.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            config,
            routes: Routes::default(),
            names: Vec::new(),
            health: Health::new(),
            descriptors: None,
        }
    }

    /// Adds a service, lists it in reflection and gives it a health of its own.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a builder's verb, as in tower")]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME.to_owned());
        self.routes = self.routes.add_service(service);
        self
    }

    /// Lists services in reflection that are answered by the [`fallback`](Self::fallback).
    #[must_use]
    pub fn advertise(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.names.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// Answers every path no added service has.
    #[must_use]
    pub fn fallback<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let service =
            ServiceExt::<Request<Body>>::map_request(service, |request: Request<_>| request.map(Body::new));
        self.routes = self.routes.into_axum_router().fallback_service(service).into();
        self
    }

    /// The encoded file descriptor set reflection answers from.
    #[must_use]
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Self {
        self.descriptors = Some(encoded);
        self
    }

    /// A handle by which the service says when it can and cannot serve.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves on `listener` until `shutdown`, then drains for at most the configured time.
    ///
    /// On shutdown: every service turns NOT_SERVING, load balancers get `drain_delay_ms` to notice,
    /// no new connection is accepted, calls under way may finish, and what is left after `drain_ms` is cut.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
        let config = self.config.clone();
        let health = self.health.clone();
        let names = self.names.clone();
        let routes = self.with_infrastructure()?;
        health.open(&names).await;

        let draining = CancellationToken::new();
        let edge = edge::EdgeLayer::new(&config);
        let mut server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .max_concurrent_streams(config.max_streams_per_connection);
        if config.max_connection_age_ms > 0 {
            server = server
                .max_connection_age(Duration::from_millis(config.max_connection_age_ms))
                .max_connection_age_grace(Duration::from_millis(config.drain_ms));
        }
        let serving = server.layer(edge).add_routes(routes).serve_with_incoming_shutdown(
            // An answer of one frame must not wait for the acknowledgement of the one before.
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            draining.clone().cancelled_owned(),
        );
        let stop = async {
            shutdown.cancelled().await;
            health.close(&names).await;
            tokio::time::sleep(Duration::from_millis(config.drain_delay_ms)).await;
            draining.cancel();
            tokio::time::sleep(Duration::from_millis(config.drain_ms)).await;
        };
        tokio::select! {
            outcome = serving => outcome?,
            () = stop => tracing::warn!(drain_ms = config.drain_ms, "calls were still under way when the drain ended"),
        }
        Ok(())
    }

    fn with_infrastructure(self) -> Result<Routes, Error> {
        let mut routes = self.routes.add_service(self.health.service());
        if let Some(encoded) = self.descriptors {
            let builder = || {
                let builder = tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(encoded)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                    .with_service_name("grpc.health.v1.Health");
                self.names.iter().fold(builder, tonic_reflection::server::Builder::with_service_name)
            };
            routes = routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?);
        }
        Ok(routes.prepare())
    }
}
