//! `recommender als`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::{advance, bar, peak_bytes, print};
use crate::factorise::{AlsFactors, AlsPlan, Factors, Watch, als_loss, alternating_least_squares};
use crate::matrix::file;

/// Factors of implicit feedback by alternating least squares, with the loss after each iteration.
#[derive(Debug, Args)]
pub struct AlsArgs {
    /// scipy's `save_npz` of a CSR matrix (.npz) or `MatrixMarket` coordinates (.mtx); its entries are r.
    #[arg(long, value_name = "FILE")]
    matrix: PathBuf,
    /// Factors.
    #[arg(long, default_value_t = 64)]
    rank: usize,
    /// α: confidence is 1 + α·r.
    #[arg(long, default_value_t = 10.0)]
    alpha: f32,
    /// λ.
    #[arg(long, default_value_t = 3.0)]
    ridge: f32,
    /// Times both sides are solved for.
    #[arg(long, default_value_t = 15)]
    iterations: usize,
    /// Seed of the random start.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Where to write u (rows) and v (columns) as safetensors.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

impl AlsArgs {
    /// Factorises, writes the factors where asked to, and prints. Seconds are the iterations' own: reading and losses
    /// do not count.
    ///
    /// # Errors
    /// The matrix cannot be read or factorised, or the factors not written.
    pub fn run(&self) -> anyhow::Result<()> {
        let matrix = file::read(&self.matrix)?;
        let (most, rank) = (matrix.rows().min(matrix.cols()), self.rank);
        if !(1..=most).contains(&rank) || self.iterations == 0 || !(self.alpha >= 0.0 && self.ridge > 0.0) {
            bail!("rank is 1 to {most} here, iterations at least 1, alpha at least 0, ridge above 0");
        }
        let plan = AlsPlan {
            rank,
            alpha: self.alpha,
            ridge: self.ridge,
            iterations: self.iterations,
            seed: self.seed,
        };
        let bar = bar("als")?;
        let (mut losses, mut aside, started) = (Vec::new(), Duration::ZERO, Instant::now());
        let mut each = |iteration: usize, factors: &AlsFactors| {
            let seconds = started.elapsed().saturating_sub(aside).as_secs_f64();
            let began = Instant::now();
            losses.push((iteration + 1, seconds, als_loss(&matrix, plan, factors)));
            aside += began.elapsed();
        };
        let watch = Watch { report: &|share| advance(&bar, share), cancelled: &|| false };
        let AlsFactors { rows, columns } = alternating_least_squares(&matrix, plan, watch, &mut each)?;
        bar.finish_and_clear();
        if let Some(path) = &self.output {
            let factors = Factors { u: rows, s: vec![1.0; rank], v: columns, passes: 2 * self.iterations };
            std::fs::write(path, factors.to_safetensors()?).with_context(|| path.display().to_string())?;
        }
        if self.json {
            let losses = losses.iter().map(|(iteration, seconds, loss)| {
                json!({ "iteration": iteration, "seconds": seconds, "loss": loss })
            });
            let losses: Vec<_> = losses.collect();
            let told = json!({ "losses": losses, "peak_bytes": peak_bytes(), "seed": self.seed });
            return print(&told.to_string());
        }
        print(&format!("{} x {}, {} entries", matrix.rows(), matrix.cols(), matrix.nnz()))?;
        losses.iter().try_for_each(|(iteration, seconds, loss)| {
            print(&format!("{iteration:>5}  {seconds:>8.2} s  loss {loss:.6e}"))
        })
    }
}
