//! What it brought and what it will bring: experiments, metrics, attribution and offers.

pub mod attribution;
pub mod cli;
pub mod config;
pub mod effect;
pub mod error;
pub mod experiment;
pub mod features;
pub mod metric;
pub mod policy;
pub mod pool;
pub mod program;
pub mod service;
pub mod stats;
pub mod stop;
pub mod store;
pub mod strategy;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::auth::Pseudonymiser;
use chassis::launch::Running;
use chassis::server::Server;
use proto::evaluator::v1::attribution_service_server::AttributionServiceServer;
use proto::evaluator::v1::decision_service_server::DecisionServiceServer;
use proto::evaluator::v1::effect_service_server::EffectServiceServer;
use proto::evaluator::v1::experiment_service_server::ExperimentServiceServer;
use proto::evaluator::v1::metric_service_server::MetricServiceServer;
use proto::evaluator::v1::strategy_service_server::StrategyServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;

/// Serves on `listener` until `shutdown`; the database is open and migrated before the first call is taken.
///
/// Boxed, so that the service is compiled here and not again in every program that runs it.
pub fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Running {
    Box::pin(serve(config, listener, shutdown))
}

async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let calendar = config.shop.calendar()?;
    let base = Arc::new(service::Shared {
        calendar,
        store: store::Store::open_in(&config.store.url, calendar)
            .await
            .context("the evaluator's database cannot be opened")?,
        names: Pseudonymiser::new(&config.privacy),
        pool: pool::Pool::new(&config.analysis),
        snapshots: service::Snapshots::new(config.strategy.cache_ms),
        deciding: service::Deciding::new(config.strategy.cache_ms),
        clock: service::Clock::new(&config.strategy),
        strategy: config.strategy.clone(),
    });
    let most = config.server.max_request_bytes;
    let experiments = service::Experiments(base.clone());
    let metrics = service::Metrics(base.clone());
    let attribution = service::Attributions(base.clone());
    let effects = service::Effects(base.clone());
    let strategies = service::Strategies(base.clone());
    let decisions = service::Decisions(base.clone());
    if config.strategy.judge_every_s > 0 {
        let every = Duration::from_secs(config.strategy.judge_every_s);
        tokio::spawn(service::watch(base, every, shutdown.clone()));
    }
    Server::new(config.server.clone())
        .add(ExperimentServiceServer::new(experiments).max_decoding_message_size(most))
        .add(MetricServiceServer::new(metrics).max_decoding_message_size(most))
        .add(AttributionServiceServer::new(attribution).max_decoding_message_size(most))
        .add(EffectServiceServer::new(effects).max_decoding_message_size(most))
        .add(StrategyServiceServer::new(strategies).max_decoding_message_size(most))
        .add(DecisionServiceServer::new(decisions).max_decoding_message_size(most))
        .descriptors(proto::FILE_DESCRIPTOR_SET)
        .serve(listener, shutdown)
        .await
        .context("serving failed")
}
