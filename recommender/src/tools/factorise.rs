//! `recommender factorise`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;

use super::{advance, bar, peak_bytes, print};
use crate::factorise::{Road, Settings, Watch, truncated_svd};
use crate::matrix::file;

/// Truncated singular value decomposition of a sparse matrix.
#[derive(Debug, Args)]
pub struct FactoriseArgs {
    /// scipy's `save_npz` of a CSR matrix (.npz) or `MatrixMarket` coordinates (.mtx).
    #[arg(long, value_name = "FILE")]
    matrix: PathBuf,
    /// Singular triplets wanted.
    #[arg(long)]
    rank: usize,
    /// Seed of the random start.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The algorithm.
    #[arg(long, value_enum, default_value_t)]
    method: Road,
    /// Where to write u, s and v as safetensors.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

impl FactoriseArgs {
    /// Factorises, writes the factors where asked to, and prints.
    ///
    /// # Errors
    /// The matrix cannot be read or factorised, or the factors not written.
    pub fn run(&self) -> anyhow::Result<()> {
        let matrix = file::read(&self.matrix)?;
        let bar = bar("factorise")?;
        let started = Instant::now();
        let settings = Settings { rank: self.rank, seed: self.seed, road: self.method };
        let report = |share| advance(&bar, share);
        let factors = truncated_svd(&matrix, settings, Watch { report: &report, cancelled: &|| false })?;
        let seconds = started.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let peak = peak_bytes();
        if let Some(path) = &self.output {
            let written = std::fs::write(path, factors.to_safetensors()?);
            written.with_context(|| path.display().to_string())?;
        }
        if self.json {
            return print(&serde_json::to_string(&serde_json::json!({
                "singular_values": factors.s,
                "seconds": seconds,
                "peak_bytes": peak,
                "passes": factors.passes,
                "seed": self.seed,
            }))?);
        }
        let (rows, cols, nnz) = (matrix.rows(), matrix.cols(), matrix.nnz());
        print(&format!("{rows} x {cols}, {nnz} entries; {seconds:.2} s, {} passes", factors.passes))?;
        if let Some(peak) = peak {
            print(&format!("peak memory {:.1} MB", peak as f64 / 1e6))?;
        }
        factors
            .s
            .iter()
            .enumerate()
            .try_for_each(|(place, value)| print(&format!("{:>5}  {value}", place + 1)))
    }
}
