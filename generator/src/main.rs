//! `generator serve`, `generator migrate`, and the batch tools.

use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    generator::cli::Arguments::parse().run().await
}
