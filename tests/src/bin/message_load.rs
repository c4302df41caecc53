//! Messages over `GenerateCopy`: one generator of its own on 127.0.0.1, asked for nothing twice, then for everybody.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    bespoke_tests::messages::Arguments::parse().run().await
}
