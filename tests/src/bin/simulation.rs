//! `simulation`: the simulated shop's month on the four services, judged; one JSON object on standard output.

use std::io::Write as _;

use anyhow::ensure;
use bespoke_tests::sandbox::{Sandbox, Words};
use bespoke_tests::simulation::Settings;
use bespoke_tests::simulation::oracle::Month;
use bespoke_tests::simulation::play::play;
use bespoke_tests::simulation::score::score;
use bespoke_tests::simulation::speak::Line;
use bespoke_tests::simulation::world::World;
use clap::Parser;

#[derive(Parser)]
#[command(about = "A month of a simulated shop, decided by the product over gRPC")]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Arguments::parse().settings;
    let world = World::new(&settings);
    let month = Month::of(&world, settings.days);
    let budget = (settings.budget_share * month.wanted()) as i64;
    let sandbox = Sandbox::start(Words::Templates).await?;
    let line = Line::new(sandbox.gateway()?);
    let say = |text: String| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let played = play(&world, &settings, budget, &line, &say).await?;
    let score = score(&world, &settings, &month, budget, &played, &line).await?;
    gateway::cli::show::line(&serde_json::to_string(&score)?);
    ensure!(score.spent <= score.budget, "{} was spent of a budget of {}", score.spent, score.budget);
    Ok(())
}
