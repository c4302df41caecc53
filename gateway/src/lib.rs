//! The one way in: a single `Personalise` call through all services, events that are durable before they are
//! acknowledged, privacy, and every other service passed through by its path.

pub mod cli;
pub mod config;
pub mod intake;
pub mod outbox;
pub mod personalise;
pub mod program;
pub mod proxy;
pub mod service;
pub mod store;
pub mod token;
pub mod upstream;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::auth::Pseudonymiser;
use chassis::launch::Running;
use chassis::server::Server;
use proto::gateway::v1::catalogue_service_server::CatalogueServiceServer;
use proto::gateway::v1::event_service_server::EventServiceServer;
use proto::gateway::v1::personalisation_service_server::PersonalisationServiceServer;
use proto::gateway::v1::privacy_service_server::PrivacyServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;

/// Serves on `listener` until `shutdown`; the outbox is open before the first call is taken.
///
/// Boxed, so that the service is compiled here and not again in every program that runs it.
pub fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Running {
    Box::pin(serve(config, listener, shutdown))
}

async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let store =
        store::Store::open(&config.store.url).await.context("the gateway's database cannot be opened")?;
    let upstream = upstream::Upstream::connect(&config).context("a service's address is wrong")?;
    let names = Arc::new(Pseudonymiser::new(&config.privacy));
    let tokens = Arc::new(token::Tokens::new(&config.token));

    let stop_relays = CancellationToken::new();
    let (outbox, writer) = outbox::Outbox::open(store.clone(), &config.outbox);
    let relays = outbox::relay::start(&store, &upstream, &outbox, &config.outbox, &stop_relays);

    let popular = personalise::popular::Popular::load(store.clone()).await?;
    let refresh = Duration::from_secs(config.popularity.refresh_seconds.into());
    let refreshing = personalise::popular::start(&popular, &upstream, refresh, &stop_relays);
    let (kept, list) = ((&outbox, &store), popular.clone());
    let personaliser = personalise::Personaliser::new(&config, &upstream, kept, &tokens, &names, list);
    let intake = intake::Intake::new(tokens, names.clone());
    let events = service::events::Events::new(outbox.clone(), store.clone(), intake);
    let catalogue = service::catalogue::Catalogue::new(upstream.clone(), popular.clone());
    let proxy = proxy::Proxy::new(&upstream, &store, &names, popular, config.server.max_request_bytes);
    let privacy = service::privacy::Privacy::new(store, upstream, names);
    let personalisation = service::personalisation::Personalisation::new(personaliser);

    let most = config.server.max_request_bytes;
    let served = Server::new(config.server.clone())
        .add(PersonalisationServiceServer::new(personalisation).max_decoding_message_size(most))
        .add(EventServiceServer::new(events).max_decoding_message_size(most))
        .add(CatalogueServiceServer::new(catalogue).max_decoding_message_size(most))
        .add(PrivacyServiceServer::new(privacy).max_decoding_message_size(most))
        .advertise(proxy::PASSED_THROUGH)
        .fallback(proxy)
        .descriptors(proto::FILE_DESCRIPTOR_SET)
        .serve(listener, shutdown)
        .await;

    // Nothing new comes in now: what was accepted is written, and the relays stop where their cursors are.
    drop(outbox);
    stop_relays.cancel();
    relays.await;
    refreshing.await.context("the refresh of the popularity list failed")?;
    writer.await.context("the outbox's writer failed")?;
    served.context("serving failed")
}
