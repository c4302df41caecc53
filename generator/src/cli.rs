//! The command line: `serve`, `migrate` and the batch tools that need no server.

mod batch;
mod warm;
mod words;

use std::path::PathBuf;

use chassis::config::Flags;
use clap::{Parser, Subcommand};

use crate::engine::EngineConfig;
use crate::engine::bench::Plan;
use crate::models::offload::Place;
use crate::{Config, fetch};

/// What the program is asked to do.
#[derive(Debug, Parser)]
#[command(name = "generator", version, about = "In which words")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM.
    Serve(Flags),
    /// Bring the database up to date and end.
    Migrate(Flags),
    /// Fetch and verify the weights of the known models.
    Fetch {
        /// Where they are put.
        #[arg(long, value_name = "DIR", default_value = ".cache/models", env = "BESPOKE_MODELS")]
        into: PathBuf,
        /// Only this one; may be given again.
        #[arg(long = "model", value_name = "ID")]
        models: Vec<String>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Write copy for briefs, without a server.
    Write {
        /// A brief a line, as JSON.
        #[arg(long, value_name = "FILE")]
        briefs: PathBuf,
        /// Copies of each.
        #[arg(long, value_name = "N", default_value_t = 1)]
        variants: u32,
        /// Seed of all chance.
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        /// One JSON answer a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Write ahead of a campaign into the service's own database, without a server: each item with each offer that is
    /// good for it, in each channel, locale, angle and segment. May be ended and started again at any time.
    Warm(Box<Warm>),
    /// Measure how fast a model reads and writes on this machine.
    Bench {
        /// The GGUF file.
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
        /// Where products are computed: cpu, cuda or cuda:NUMBER.
        #[arg(long, value_name = "DEVICE", default_value_t = Place::Processor)]
        device: Place,
        /// Threads the model may use.
        #[arg(long, value_name = "N", default_value_t = 1)]
        threads: usize,
        /// Tokens of each prompt.
        #[arg(long, value_name = "N", default_value_t = 128)]
        prompt: usize,
        /// Tokens of each answer.
        #[arg(long, value_name = "N", default_value_t = 64)]
        output: usize,
        /// Sequences worked on at once, one measurement each.
        #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 4, 8])]
        batches: Vec<usize>,
        /// Measurements of each; the best one counts.
        #[arg(long, value_name = "N", default_value_t = 1)]
        runs: usize,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Which of two texts is clicked: learn it, judge it, ask it.
    #[command(subcommand)]
    Words(words::Words),
    /// Check copies against their briefs, without a server.
    Check {
        /// A `{"text", "brief"}` a line, as JSON.
        #[arg(long, value_name = "FILE")]
        copies: PathBuf,
        /// One JSON answer a line.
        #[arg(long)]
        json: bool,
    },
}

/// A campaign.
#[derive(Debug, clap::Args)]
struct Warm {
    /// An item a line, as JSON, the likeliest first.
    #[arg(long, value_name = "FILE")]
    items: PathBuf,
    /// An offer a line, as JSON.
    #[arg(long, value_name = "FILE")]
    offers: Option<PathBuf>,
    /// A channel, such as CHANNEL_PUSH; may be given again.
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// A locale, such as zh-CN; may be given again.
    #[arg(long = "locale", value_name = "LOCALE")]
    locales: Vec<String>,
    /// An angle, such as price; may be given again.
    #[arg(long = "angle", value_name = "ANGLE")]
    angles: Vec<String>,
    /// People in a few words, as profile_summary has them; may be given again.
    #[arg(long = "segment", value_name = "WORDS")]
    segments: Vec<String>,
    /// Wordings of each text; 0 means all that are kept.
    #[arg(long, value_name = "N", default_value_t = 0)]
    wordings: u32,
    /// The last state as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Does what the command line asks; here and not in `main.rs`, so that the service is compiled once.
///
/// # Errors
/// What kept it from being done.
///
/// # Panics
/// The machine gives no threads to run on.
#[tokio::main]
pub async fn main() -> anyhow::Result<()> {
    Arguments::parse().run().await
}

impl Arguments {
    async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(flags) => {
                let config: Config = chassis::config::load("generator", &flags)?;
                let (server, telemetry) = (config.server.clone(), config.telemetry.clone());
                chassis::launch::serve("generator", &server, &telemetry, |listener, stop| {
                    crate::run(config, listener, stop)
                })
                .await
            }
            Command::Migrate(flags) => {
                let config: Config = chassis::config::load("generator", &flags)?;
                crate::store::Store::open(&config.store.url).await?;
                Ok(())
            }
            Command::Fetch { into, models, flags } => {
                let config: Config = chassis::config::load("generator", &flags)?;
                let fetching = move || fetch::fetch(&fetch::known(&models)?, &into, &config.hub);
                tokio::task::spawn_blocking(fetching).await?
            }
            Command::Write { briefs, variants, seed, json, flags } => {
                let config: Config = chassis::config::load("generator", &flags)?;
                batch::write(&config, &briefs, variants, seed, json).await
            }
            Command::Warm(warm) => warm::run(*warm).await,
            Command::Bench { model, device, threads, prompt, output, batches, runs, json } => {
                let context = prompt + output + 1;
                let engine = EngineConfig { device, threads, context, batch: 128, ..EngineConfig::of(model) };
                let plan = Plan { prompt, output, batches, runs };
                tokio::task::spawn_blocking(move || batch::bench(&engine, &plan, json)).await?
            }
            Command::Words(words) => tokio::task::spawn_blocking(move || words::run(words)).await?,
            Command::Check { copies, json } => batch::check(&copies, json),
        }
    }
}
