//! In which words: a transformer hosted by candle, and the guard that checks what it wrote.

pub mod brief;
pub mod cli;
pub mod config;
pub mod embed;
pub mod engine;
pub mod fetch;
pub mod guard;
pub mod models;
pub mod remote;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod words;
pub mod writing;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::launch::Running;
use chassis::server::{Health, Server};
use chrono::{TimeDelta, Utc};
use proto::generator::v1::generator_service_server::GeneratorServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use engine::Backend;

/// The name under which the health of the models that write is told.
const MODEL: &str = "bespoke.generator.model";

/// How often their states are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Serves on `listener` until `shutdown`. Templates answer while the model is being loaded.
///
/// Boxed, so that the service is compiled here and not again in every program that runs it.
pub fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Running {
    Box::pin(serve(config, listener, shutdown))
}

async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let store =
        store::Store::open(&config.store.url).await.context("the generator's database cannot be opened")?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(housekeeping(store.clone(), config.store.keep_hours, stop.clone()));
    let embedder = config.encoder().map(|encoder| embed::Embedder::start(&encoder));
    let words = words::Predictor::of(&config, embedder.as_ref());
    let (models, ended) = (backends(&config.model)?, stop.clone());
    let writer = writing::Writer::new(models.clone(), words, store, &config.writing, stop);
    let generator = service::Generator::new(writer, embedder, &config);
    let service = GeneratorServiceServer::new(generator)
        .max_decoding_message_size(config.server.max_request_bytes)
        .max_encoding_message_size(config.server.max_response_bytes);
    let server = Server::new(config.server.clone()).add(service).descriptors(proto::FILE_DESCRIPTOR_SET);
    let health = server.health();
    if !models.is_empty() {
        health.set_part(MODEL, false).await;
        tokio::spawn(async move { ended.run_until_cancelled(tell(models, health)).await });
    }
    server.serve(listener, shutdown).await.context("serving failed")
}

/// Says whether a model serves. The service itself does without one: it serves templates.
async fn tell(models: Vec<Arc<dyn Backend>>, health: Health) {
    let (mut looks, mut told) = (tokio::time::interval(LOOK), false);
    loop {
        looks.tick().await;
        let ready = models.iter().any(|model| matches!(model.state(), engine::State::Ready(_)));
        if ready != told {
            health.set_part(MODEL, ready).await;
            told = ready;
        }
    }
}

/// The models that write, started, the preferred one first: the server elsewhere, then the file's.
fn backends(config: &config::ModelConfig) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let mut backends: Vec<Arc<dyn Backend>> = Vec::new();
    if config.remote.is_set() {
        backends.push(Arc::new(remote::Remote::new(&config.remote)?));
    }
    if let Some(engine) = config.engine() {
        backends.push(Arc::new(engine::Engine::start(&engine)));
    }
    Ok(backends)
}

/// Forgets copy that has been kept long enough, every hour.
async fn housekeeping(store: store::Store, keep_hours: u32, stop: CancellationToken) {
    let mut hours = tokio::time::interval(Duration::from_hours(1));
    let work = async {
        loop {
            hours.tick().await;
            match store.forget_before(Utc::now() - TimeDelta::hours(i64::from(keep_hours))).await {
                Ok(forgotten) => tracing::debug!(forgotten, "old copy is forgotten"),
                Err(error) => tracing::warn!(%error, "old copy cannot be forgotten"),
            }
        }
    };
    stop.run_until_cancelled(work).await;
}
