//! `simulation`: the simulated shop's month on the four services, judged; one JSON object on standard output.

use std::io::Write as _;

use super::Settings;
use super::oracle::Month;
use super::play::play;
use super::score::score;
use super::speak::Line;
use super::world::World;
use crate::sandbox::{Options, Sandbox, Words};
use anyhow::ensure;
use clap::Parser;

#[derive(Parser)]
#[command(about = "A month of a simulated shop, decided by the product over gRPC")]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Leave the four services running after the month until Ctrl-C, to be asked by hand: their address is told.
    #[arg(long)]
    stay: bool,
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
    let Arguments { settings, stay } = Arguments::parse();
    let world = World::new(&settings);
    let month = Month::of(&world, settings.days);
    let budget = (settings.budget_share * month.wanted()) as i64;
    let sandbox = Sandbox::start(Options { simulated_clock: true, ..Words::Templates.into() }).await?;
    let line = Line::new(sandbox.gateway()?);
    let say = |text: String| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let played = play(&world, &settings, budget, &line, &say).await?;
    let score = score(&world, &settings, &month, budget, &played, &line).await?;
    gateway::cli::show::line(&serde_json::to_string(&score)?);
    if stay {
        say(format!("the gateway answers at {} until Ctrl-C", sandbox.uri()));
        tokio::signal::ctrl_c().await?;
    }
    ensure!(score.spent <= score.budget, "{} was spent of a budget of {}", score.spent, score.budget);
    Ok(())
}
