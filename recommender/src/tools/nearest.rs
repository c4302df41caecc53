//! `recommender nearest`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use ndarray::{Array2, ArrayView1};
use serde_json::json;

use super::print;
use crate::matrix::{Compact, Panels};

/// How rows are searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Precision {
    /// Every row's product in 32-bit floats.
    #[default]
    F32,
    /// In eight bits first, and what leads there once more in floats.
    I8,
}

/// The rows with the largest inner products with each query, and how long one query takes on one thread.
#[derive(Debug, Args)]
pub struct NearestArgs {
    /// Rows to search: a .npy of 32-bit floats, rows × dimensions.
    #[arg(long, value_name = "FILE")]
    rows: PathBuf,
    /// Queries: a .npy of the same width.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Rows wanted of each query.
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// How rows are searched.
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

fn read(path: &Path) -> anyhow::Result<Array2<f32>> {
    let matrix: Array2<f32> = ndarray_npy::read_npy(path).with_context(|| path.display().to_string())?;
    let whole = matrix.iter().all(|value| value.is_finite());
    ensure!(whole, "{}: has values that are not finite", path.display());
    Ok(matrix.as_standard_layout().into_owned())
}

/// The nearest rows of a query with their inner products, the best first.
type Search<'a> = dyn Fn(ArrayView1<f32>) -> Vec<(u32, f32)> + 'a;

impl NearestArgs {
    /// Searches, one query after the other, and prints.
    ///
    /// # Errors
    /// A file cannot be read, or the widths differ.
    pub fn run(&self) -> anyhow::Result<()> {
        let (rows, queries) = (read(&self.rows)?, read(&self.queries)?);
        let (count, width) = rows.dim();
        ensure!(width == queries.ncols(), "rows are {width} wide, queries {}", queries.ncols());
        ensure!(queries.nrows() > 0, "there are no queries");
        let search: Box<Search<'_>> = match self.precision {
            Precision::F32 => {
                let panels = Panels::new(&rows, &vec![1.0; count]);
                Box::new(move |query| panels.top(&query.to_vec(), self.limit))
            }
            Precision::I8 => {
                let compact = Compact::new(rows);
                Box::new(move |query| compact.top(query, self.limit))
            }
        };
        let mut took = Vec::with_capacity(queries.nrows());
        let found = queries.rows().into_iter().map(|query| {
            let began = Instant::now();
            let best = search(query);
            took.push(began.elapsed().as_secs_f64() * 1e6);
            best
        });
        let found: Vec<Vec<(u32, f32)>> = found.collect();
        took.sort_unstable_by(f64::total_cmp);
        let median = took[took.len() / 2];
        if self.json {
            let rows: Vec<Vec<u32>> =
                found.iter().map(|best| best.iter().map(|one| one.0).collect()).collect();
            return print(&json!({ "rows": rows, "median_microseconds": median }).to_string());
        }
        print(&format!("{count} rows x {width}: {median:.1} µs a query (median of {})", took.len()))?;
        found.iter().enumerate().try_for_each(|(number, best)| {
            let best: Vec<String> = best.iter().map(|(row, score)| format!("{row} {score:.4}")).collect();
            print(&format!("{number:>6}: {}", best.join("  ")))
        })
    }
}
