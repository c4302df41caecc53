//! In which words: a transformer hosted by candle, and the guard that checks what it wrote.

pub mod brief;
pub mod cli;
pub mod config;
pub mod engine;
pub mod fetch;
pub mod guard;
pub mod models;
pub mod store;
pub mod template;

use anyhow::Context as _;
use chassis::server::Server;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;

/// Serves on `listener` until `shutdown`. Templates answer while the model is being loaded.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let _store =
        store::Store::open(&config.store.url).await.context("the generator's database cannot be opened")?;
    let served = Server::new(config.server.clone())
        .descriptors(proto::FILE_DESCRIPTOR_SET)
        .serve(listener, shutdown)
        .await;
    served.context("serving failed")
}
