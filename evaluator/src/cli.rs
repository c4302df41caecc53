//! Batch tools that need no server. Exit codes: 0 done, 1 refused, 2 usage.

mod analyse;
mod credits;
mod encode;
mod policy;
mod rebuild;
mod simulate;
mod table;
mod uplift;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

pub use rebuild::{digest, print_rebuild};

use crate::experiment::bucket::{HashVersion, bucket};
use crate::experiment::simulate::Plan;

/// A batch tool.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Print the bucket of a unit, in [0, 1).
    Bucket {
        /// Recipe of the hash.
        #[arg(long, value_parser = clap::value_parser!(i32).range(1..=2))]
        hash_version: i32,
        /// Seed of the bucketing.
        #[arg(long)]
        seed: String,
        /// The unit.
        #[arg(long)]
        unit: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Share the conversions of journeys among channels.
    Attribute(credits::Arguments),
    /// Compare the arms of an experiment with the control.
    Analyse(analyse::Arguments),
    /// Simulate experiments without an effect: false-positive rates and coverage of every interval.
    Simulate {
        /// Experiments of each kind of metric.
        #[arg(long, default_value_t = 2_000)]
        experiments: u32,
        /// Looks at each.
        #[arg(long, default_value_t = 100)]
        looks: u32,
        /// Units an arm that arrive between two looks.
        #[arg(long, default_value_t = 100)]
        units: u32,
        /// Error level.
        #[arg(long, default_value_t = 0.05)]
        alpha: f64,
        /// Seed of every draw.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a randomised campaign brought, and whom it moves.
    Uplift(uplift::Arguments),
    /// Say what a policy would have brought, from a log.
    Policy(policy::Arguments),
}

/// Runs a tool.
pub fn run(tool: Tool) -> ExitCode {
    let done = match tool {
        Tool::Bucket { hash_version, seed, unit, json } => print_bucket(hash_version, &seed, &unit, json),
        Tool::Attribute(arguments) => credits::print_credits(arguments),
        Tool::Analyse(arguments) => analyse::print_analysis(&arguments),
        Tool::Simulate { experiments, looks, units, alpha, seed, json } => {
            simulate::print_simulation(&Plan { experiments, looks, units, alpha, seed }, json)
        }
        Tool::Uplift(arguments) => uplift::print_uplift(&arguments),
        Tool::Policy(arguments) => policy::print_policy(&arguments),
    };
    match done {
        Ok(text) => match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_bucket(version: i32, seed: &str, unit: &str, json: bool) -> anyhow::Result<String> {
    let version = HashVersion::from_number(version).context("--hash-version must be 1 or 2")?;
    let bucket = bucket(version, seed, unit);
    Ok(if json { json!({ "bucket": bucket }).to_string() } else { bucket.to_string() })
}

/// A CSV file, gzipped where it ends in `.gz`.
fn open_csv(file: &Path) -> anyhow::Result<csv::Reader<Box<dyn std::io::Read>>> {
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let source: Box<dyn std::io::Read> = if file.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(opened))
    } else {
        Box::new(opened)
    };
    Ok(csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source))
}
