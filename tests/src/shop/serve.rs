//! `shop run`: the shop stays open.

use std::path::Path;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{move_in, say};

/// Serves on the default ports until `stop`; every start moves in afresh.
pub async fn run(stop: &CancellationToken) -> anyhow::Result<()> {
    let folder = Path::new("runs/run");
    if folder.exists() {
        std::fs::remove_dir_all(folder).context("runs/run cannot be cleared")?;
    }
    let moved = stop.run_until_cancelled(move_in(folder, [7000, 7001, 7002, 7003], false)).await;
    let Some(moved) = moved else { return Ok(()) };
    let (shop, services) = moved?;
    let (address, person) =
        (services.address().to_owned(), shop.busiest().first().map_or("1", |(id, _)| id).to_owned());
    say(&format!(
        r#"
The shop is open. From another terminal:

  grpcurl -plaintext {address} list
  grpcurl -plaintext -max-time 20 -d '{{"user_id":"{person}","limit":5,"copy_count":2,"locale":"zh-CN","channel":"CHANNEL_APP"}}' {address} bespoke.gateway.v1.PersonalisationService/Personalise
  grpcurl -plaintext -d '{{"user_id":"{person}"}}' {address} bespoke.recommender.v1.RecommenderService/GetProfile
  grpcurl -plaintext -d '{{"metrics":["CTR","REVENUE"]}}' {address} bespoke.evaluator.v1.MetricService/QueryMetrics
  target/release/bespoke ask {person} --deadline-ms 20000

Ctrl-C ends it."#
    ));
    stop.cancelled().await;
    services.stop().await
}
