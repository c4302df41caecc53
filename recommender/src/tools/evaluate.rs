//! `recommender evaluate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{advance, bar, print};
use crate::algorithm::Algorithm;
use crate::evaluate::log::Log;
use crate::evaluate::{Measures, Plan, Protocol, evaluate};

/// An algorithm, or the best of them.
#[derive(Debug, Clone, Copy)]
struct Wanted(Option<Algorithm>);

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "auto" {
            Ok(Self(None))
        } else {
            <Algorithm as clap::ValueEnum>::from_str(name, false).map(Some).map(Self)
        }
    }
}

/// Chooses parameters on validation items, tests once on held-out items, and prints the measures.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Columns user, item, timestamp and, for last-basket, basket: .csv, .csv.gz or .parquet.
    #[arg(long, value_name = "FILE")]
    interactions: PathBuf,
    /// auto, svd, als, ease, item-knn, transition, popularity or blend.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    algorithm: Wanted,
    /// Which items are held out.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Seed of everything random.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Seconds to look for better parameters; every algorithm is tried once whatever this says.
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    budget: u64,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

impl EvaluateArgs {
    /// Evaluates and prints.
    ///
    /// # Errors
    /// The file cannot be read, nobody can be tested, or a fit fails.
    pub fn run(&self) -> anyhow::Result<()> {
        let log = Log::read(&self.interactions)?;
        let bar = bar("evaluate")?;
        let plan = Plan {
            algorithm: self.algorithm.0,
            protocol: self.protocol,
            seed: self.seed,
            budget: Duration::from_secs(self.budget),
        };
        let tell = |line: String| bar.suspend(|| eprintln!("{line}"));
        let report = evaluate(&log, plan, &tell, &|share| advance(&bar, share))?;
        bar.finish_and_clear();
        if self.json {
            return print(&serde_json::to_string(&report)?);
        }
        let line = |name: &str, x: &Measures| {
            let Measures { hit_rate, ndcg, recall, coverage } = x;
            format!("{name:<12}{hit_rate:>8.4}{ndcg:>9.4}{recall:>11.4}{coverage:>13.4}")
        };
        print(&format!(
            "{} on {} people, {} items, {} interactions ({})\nparameters  {}\n\
             {:<12}{:>8}{:>9}{:>11}{:>13}\n{}\n{}\nfit {:.2} s, rank {:.2} s",
            report.algorithm,
            report.users,
            report.items,
            report.interactions,
            self.protocol,
            report.parameters,
            "",
            "HR@10",
            "NDCG@10",
            "Recall@20",
            "coverage@10",
            line("validation", &report.validation),
            line("test", &report.test),
            report.fit_seconds,
            report.rank_seconds,
        ))
    }
}
