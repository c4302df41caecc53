//! Which goods for this person now, and why.

pub mod algorithm;
pub mod artefact;
pub mod catalogue;
pub mod chunks;
pub mod cold;
pub mod config;
pub mod evaluate;
pub mod factorise;
pub mod fold_in;
pub mod history;
pub mod intent;
pub mod lifetime;
pub mod live;
pub mod matrix;
pub mod people;
pub mod popularity;
pub mod price_band;
pub mod profile;
pub mod program;
pub mod rank;
pub mod search;
pub mod segment;
pub mod service;
pub mod shelf;
pub mod signals;
pub mod stand_in;
pub mod store;
pub mod taste;
pub mod texts;
pub mod tools;
pub mod train;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::auth::Pseudonymiser;
use chassis::launch::Running;
use chassis::server::{Health, Server};
use proto::recommender::v1::recommender_service_server::RecommenderServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;

async fn open(config: &Config) -> anyhow::Result<(service::Recommender, live::Live)> {
    let signals = Arc::new(config.events.clone());
    let store = store::Store::open(&config.store.url, signals.clone()).await;
    let store = store.context("the recommender's database cannot be opened")?;
    let artefacts = artefact::Artefacts::open(&config.models.folder).context("models.folder")?;
    let texts = texts::Texts::of(&config.generator).context("generator.address")?;
    let live = live::Live::new(store.clone(), artefacts.clone(), texts.clone(), config.catalogue.clone());
    let calendar = config.shop.calendar().context("shop.time_zone")?;
    let names = Pseudonymiser::new(&config.privacy);
    Ok((service::Recommender::new(store, artefacts, live.clone(), texts, names, signals, calendar), live))
}

/// Serves on `listener` until `shutdown`.
///
/// Boxed, so that the service is compiled here and not again in every program that runs it.
pub fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Running {
    Box::pin(serve(config, listener, shutdown))
}

async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (service, live) = open(&config).await?;
    let most = config.server.max_request_bytes;
    let server = Server::new(config.server.clone())
        .add(RecommenderServiceServer::new(service).max_decoding_message_size(most))
        .descriptors(proto::FILE_DESCRIPTOR_SET);
    let health = server.health();
    health.set_not_serving::<RecommenderServiceServer<service::Recommender>>().await;
    let stop = shutdown.child_token();
    let serving = async {
        let served = server.serve(listener, shutdown).await.context("serving failed");
        stop.cancel();
        served
    };
    tokio::try_join!(serving, follow(live, &config, health, stop.clone()))?;
    Ok(())
}

/// Loads what serves, says SERVING then, and follows what other replicas store and promote.
async fn follow(
    live: live::Live,
    config: &Config,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(loaded) = stop.run_until_cancelled(live.load()).await else { return Ok(()) };
    loaded?;
    health.set_serving::<RecommenderServiceServer<service::Recommender>>().await;
    let items = Duration::from_millis(config.catalogue.watch_ms);
    let models = Duration::from_millis(config.models.watch_ms);
    tokio::join!(live.clone().watch_items(items, stop.clone()), live.watch(models, stop));
    Ok(())
}

/// One training run in this process, as a scheduled job starts it: the model is promoted where it deserves to be.
pub async fn train_once(config: &Config) -> anyhow::Result<proto::recommender::v1::Model> {
    let (service, live) = open(config).await?;
    live.load().await?;
    service.train_once().await.map_err(|status| anyhow::anyhow!("{}", status.message()))
}
