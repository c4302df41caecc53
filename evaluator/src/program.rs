//! `evaluator serve`, `evaluator migrate` and the batch tools.
//!
//! Here and not in `main.rs`: what awaits a service is compiled with it, once.

use std::io::Write as _;
use std::process::ExitCode;

use chassis::config::Flags;
use clap::{Parser, Subcommand};

use crate::{Config, cli};

#[derive(Parser)]
#[command(version, about = "What it brought and what it will bring")]
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
    /// Build the experiments' sums anew from the log.
    Rebuild {
        #[command(flatten)]
        flags: Flags,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Tool(cli::Tool),
}

/// Does what the command line asks.
///
/// # Errors
/// What kept it from being done.
///
/// # Panics
/// The machine gives no threads to run on.
#[tokio::main]
pub async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Serve(flags) => {
            let config: Config = chassis::config::load("evaluator", &flags)?;
            let (server, telemetry) = (config.server.clone(), config.telemetry.clone());
            let run = |listener, stop| crate::run(config, listener, stop);
            chassis::launch::serve("evaluator", &server, &telemetry, run).await?;
        }
        Command::Migrate(flags) => {
            let config: Config = chassis::config::load("evaluator", &flags)?;
            crate::store::Store::open_in(&config.store.url, config.shop.calendar()?).await?;
        }
        Command::Rebuild { flags, json } => {
            let config: Config = chassis::config::load("evaluator", &flags)?;
            let store = crate::store::Store::open_in(&config.store.url, config.shop.calendar()?).await?;
            writeln!(std::io::stdout(), "{}", cli::print_rebuild(&store, json).await?)?;
        }
        Command::Tool(tool) => return Ok(cli::run(tool)),
    }
    Ok(ExitCode::SUCCESS)
}
