//! `shop demo` and `shop run`: the bundled shop on four services of its own.

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "A real shop's year on the four services")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Import, train, personalise, learn from a click, measure; on free ports, then end.
    Demo,
    /// The same shop on 127.0.0.1:7000-7003 until Ctrl-C.
    Run,
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
    let command = Arguments::parse().command;
    let stop = chassis::launch::stop_signal()?;
    match command {
        // The services end with what started them.
        Command::Demo => match stop.run_until_cancelled(super::demo::run()).await {
            Some(outcome) => outcome,
            None => anyhow::bail!("ended by a signal"),
        },
        Command::Run => super::serve::run(&stop).await,
    }
}
