//! `recommender cold`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::print;
use crate::algorithm::Algorithm;
use crate::evaluate::log::Log;
use crate::evaluate::{Measures, evaluate_cold};

/// Withholds a random share of the items from training and ranks them by their texts in the full catalogue.
#[derive(Debug, Args)]
pub struct ColdArgs {
    /// Columns user, item, timestamp: .csv, .csv.gz or .parquet.
    #[arg(long, value_name = "FILE")]
    interactions: PathBuf,
    /// Columns item and text: .csv or .csv.gz.
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,
    /// svd or als: an algorithm with factors.
    #[arg(long, value_enum, default_value_t = Algorithm::Svd)]
    algorithm: Algorithm,
    /// Share of the items that are withheld.
    #[arg(long, default_value_t = 0.1)]
    share: f64,
    /// Seed of everything random.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

fn texts(path: &Path) -> anyhow::Result<HashMap<String, String>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let zipped = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let reader: Box<dyn std::io::Read> =
        if zipped { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut rows = csv::Reader::from_reader(reader);
    let headers = rows.headers()?.clone();
    let place = |name: &str| {
        let found = headers.iter().position(|header| header.trim() == name);
        found.with_context(|| format!("{}: no column `{name}` among {headers:?}", path.display()))
    };
    let (item, text) = (place("item")?, place("text")?);
    let mut texts = HashMap::new();
    for row in rows.records() {
        let row = row?;
        if let (Some(item), Some(text)) = (row.get(item), row.get(text)) {
            texts.insert(item.to_owned(), text.to_owned());
        }
    }
    Ok(texts)
}

impl ColdArgs {
    /// Evaluates and prints.
    ///
    /// # Errors
    /// A file cannot be read, the share is none, or a fit fails.
    pub fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.share > 0.0 && self.share < 1.0, "--share must be above 0 and below 1");
        let log = Log::read(&self.interactions)?;
        let texts = texts(&self.texts)?;
        let report = evaluate_cold(&log, &texts, self.algorithm, self.share, self.seed)?;
        if self.json {
            return print(&serde_json::to_string(&report)?);
        }
        let line = |name: &str, x: &Measures| {
            format!("{name:<28}{:>8.4}{:>9.4}{:>11.4}", x.hit_rate, x.ndcg, x.recall)
        };
        print(&format!(
            "{} of {} items withheld, {} people, texts of {} dimensions tell {:.3} of the factors' variance\n\
             {:<28}{:>8}{:>9}{:>11}\n{}\n{}\n{}\n{}",
            report.withheld,
            report.items,
            report.people,
            report.dimensions,
            report.explained,
            "",
            "HR@10",
            "NDCG@10",
            "Recall@20",
            line("texts, full catalogue", &report.texts),
            line("popularity, full catalogue", &report.popularity),
            line("texts, withheld items", &report.texts_among_cold),
            line("random, withheld items", &report.random_among_cold),
        ))
    }
}
