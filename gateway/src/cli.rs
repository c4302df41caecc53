//! The command line: `bespoke import | train | explore | ask | report`, a client of the gateway.
//!
//! Exit codes: 0 done, 1 refused, 2 usage, 3 unreachable.

pub mod ask;
mod columns;
mod explore;
mod failure;
mod import;
mod log;
mod report;
mod rows;
pub mod show;
mod train;

use std::process::ExitCode;

use chassis::client::{Channel, ClientConfig, connect};
use clap::{Parser, Subcommand};

pub use failure::Failure;

/// `bespoke`'s arguments.
#[derive(Debug, Parser)]
#[command(name = "bespoke", version, about = "Talks to a Bespoke gateway")]
struct Arguments {
    /// The gateway.
    #[arg(long, global = true, env = "BESPOKE_GATEWAY", default_value = "http://127.0.0.1:7000")]
    gateway: String,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Store the rows of a CSV (plain or .gz) or Parquet file.
    Import(import::Arguments),
    /// Train the recommender and let the model serve where it is no worse.
    Train(train::Arguments),
    /// Make offers by chance, within a budget and a time, so that effects can be learnt.
    Explore(explore::Arguments),
    /// Ask what one person should see now.
    Ask(ask::Arguments),
    /// Show what was measured.
    Report(report::Arguments),
}

/// Does what the command line asks; messages go to standard error, results to standard output.
///
/// # Panics
/// The machine gives no threads to run on.
#[tokio::main]
pub async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match gateway(&arguments.gateway) {
        Ok(channel) => match arguments.command {
            Command::Import(command) => import::run(command, channel, arguments.json).await,
            Command::Train(command) => train::run(command, channel, arguments.json).await,
            Command::Explore(command) => explore::run(command, channel, arguments.json).await,
            Command::Ask(command) => ask::run(command, channel, arguments.json).await,
            Command::Report(command) => report::run(command, channel, arguments.json).await,
        },
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            show::note(&format!("bespoke: {failure}"));
            ExitCode::from(failure.code())
        }
    }
}

fn gateway(address: &str) -> Result<Channel, Failure> {
    let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    connect(&ClientConfig::to(&address))
        .map_err(|cause| Failure::Usage(format!("--gateway {address}: {cause}")))
}
