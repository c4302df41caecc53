//! `gateway serve` and `gateway migrate`.
//!
//! Here and not in `main.rs`: what awaits a service is compiled with it, once.

use chassis::config::Flags;
use clap::{Parser, Subcommand};

use crate::Config;

#[derive(Parser)]
#[command(version, about = "The one way into Bespoke")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM.
    Serve(Flags),
    /// Bring the database up to date and end.
    Migrate(Flags),
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
    match Arguments::parse().command {
        Command::Serve(flags) => {
            let config: Config = chassis::config::load("gateway", &flags)?;
            let (server, telemetry) = (config.server.clone(), config.telemetry.clone());
            chassis::launch::serve("gateway", &server, &telemetry, |listener, stop| {
                crate::run(config, listener, stop)
            })
            .await
        }
        Command::Migrate(flags) => {
            let config: Config = chassis::config::load("gateway", &flags)?;
            crate::store::Store::open(&config.store.url).await?;
            Ok(())
        }
    }
}
