//! `recommender serve | migrate | train | evaluate | factorise | als | nearest | intent | lifetime | cold`.
//!
//! Here and not in `main.rs`: what awaits a service is compiled with it, once.

use chassis::config::{Flags, load};
use clap::Parser;

use crate::{Config, tools};

#[derive(Parser)]
#[command(version, about = "Which goods for this person now, and why")]
enum Command {
    /// Serve until SIGTERM.
    Serve(Flags),
    /// Bring the database up to date and end.
    Migrate(Flags),
    /// Train once on what is stored, promote where the model deserves it, and end.
    Train(Flags),
    /// Measure an algorithm on a file of interactions.
    Evaluate(tools::EvaluateArgs),
    /// Factorise a sparse matrix.
    Factorise(tools::FactoriseArgs),
    /// Factorise implicit feedback by alternating least squares.
    Als(tools::AlsArgs),
    /// Find the rows with the largest inner products.
    Nearest(tools::NearestArgs),
    /// Choose, fit and measure a model of who will buy on a file of sessions.
    Intent(tools::IntentArgs),
    /// Tell what customers will bring from a file of orders or of summaries.
    Lifetime(tools::LifetimeArgs),
    /// Measure how items nobody has taken are ranked by their texts.
    Cold(tools::ColdArgs),
}

/// Does what the command line asks.
///
/// # Errors
/// What kept it from being done.
///
/// # Panics
/// The machine gives no threads to run on.
#[tokio::main]
pub async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Serve(flags) => {
            let config: Config = load("recommender", &flags)?;
            let (server, telemetry) = (config.server.clone(), config.telemetry.clone());
            let run = |listener, stop| crate::run(config, listener, stop);
            chassis::launch::serve("recommender", &server, &telemetry, run).await
        }
        Command::Migrate(flags) => {
            let config: Config = load("recommender", &flags)?;
            let signals = std::sync::Arc::new(config.events);
            crate::store::Store::open(&config.store.url, signals).await.map(drop).map_err(Into::into)
        }
        Command::Train(flags) => crate::train_once(&load("recommender", &flags)?).await.map(drop),
        Command::Evaluate(tool) => tokio::task::block_in_place(|| tool.run()),
        Command::Factorise(tool) => tokio::task::block_in_place(|| tool.run()),
        Command::Als(tool) => tokio::task::block_in_place(|| tool.run()),
        Command::Nearest(tool) => tokio::task::block_in_place(|| tool.run()),
        Command::Intent(tool) => tokio::task::block_in_place(|| tool.run()),
        Command::Lifetime(tool) => tokio::task::block_in_place(|| tool.run()),
        Command::Cold(tool) => tokio::task::block_in_place(|| tool.run()),
    }
}
