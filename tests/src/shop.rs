//! The bundled shop, moved in.

mod chinese;
pub mod demo;
mod files;
pub mod program;
mod second_act;
pub mod serve;
mod services;

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use chrono::Utc;
use tokio::process::Command;

use crate::complete_journey::CompleteJourney;
use crate::processes::beside_this_program;
use services::Services;

/// Starts the services below `folder`, imports the sample through the command line and trains. With `simulated`, shoppers may
/// be played in the past.
async fn move_in(
    folder: &Path,
    ports: [u16; 4],
    simulated: bool,
) -> anyhow::Result<(CompleteJourney, Services)> {
    let shop = CompleteJourney::bundled(Utc::now())?;
    let (items, events, offers) = (shop.items.len(), shop.events.len(), shop.offers.len());
    say(&format!(
        "Complete Journey: {items} goods, {events} purchases, {offers} coupons, last purchase an hour ago"
    ));
    files::write(&shop, folder)?;
    let services = start_services(folder, ports, simulated).await?;
    for what in ["items", "offers", "events"] {
        let file = folder.join(format!("{what}.csv")).display().to_string();
        bespoke(&services, &["import", what, &file, "--constant", "currency=USD"]).await?;
    }
    bespoke(&services, &["explore", "--budget", "5000", "--currency", "USD", "--days", "14"]).await?;
    bespoke(&services, &["train", "--parameter", "budget_seconds=5"]).await?;
    Ok((shop, services))
}

/// Starts the four services on `folder`, which must exist, and prints where the gateway listens.
async fn start_services(folder: &Path, ports: [u16; 4], simulated: bool) -> anyhow::Result<Services> {
    let started = Instant::now();
    let services = Services::start(folder, ports, simulated).await?;
    say(&format!(
        "four services listen ({:.1} s); the gateway is {}",
        started.elapsed().as_secs_f64(),
        services.gateway()
    ));
    Ok(services)
}

/// Runs the command line as a person would.
async fn bespoke(services: &Services, arguments: &[&str]) -> anyhow::Result<()> {
    say(&format!("$ bespoke {}", arguments.join(" ")));
    let mut command = Command::new(beside_this_program("bespoke")?);
    let status = command.args(["--gateway", &services.gateway()]).args(arguments).status().await?;
    ensure!(status.success(), "bespoke {} ended with {status}", arguments[0]);
    Ok(())
}

/// A line of the story.
fn say(text: &str) {
    gateway::cli::show::line(text);
}
