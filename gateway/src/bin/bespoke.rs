//! `bespoke`: the command line, a client of the gateway.

use clap::Parser as _;
use gateway::cli::{Arguments, run};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    run(Arguments::parse()).await
}
