//! `recommender intent`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{advance, bar, print};
use crate::intent::{Compared, Intent, Learner, Quality, Sample, choose, read};

/// Rows whose drivers are averaged.
const ROWS: usize = 200;

/// Compares learners by cross-validation, calibrates the best, and prints how good it is.
#[derive(Debug, Args)]
pub struct IntentArgs {
    /// One row a session, with a header: .csv or .csv.gz.
    #[arg(long, value_name = "FILE")]
    sessions: PathBuf,
    /// The column that tells whether it came to pass: yes/no, true/false or 1/0.
    #[arg(long, default_value = "revenue")]
    target: String,
    /// Columns whose numbers are names of categories.
    #[arg(long, value_delimiter = ',')]
    categories: Vec<String>,
    /// Columns to leave out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// What to try; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    learners: Vec<Learner>,
    /// Parts of the cross-validation.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=20))]
    folds: u32,
    /// Seed of everything random.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

impl IntentArgs {
    /// Compares, fits and prints.
    ///
    /// # Errors
    /// The file cannot be read, or there is too little to learn from.
    pub fn run(&self) -> anyhow::Result<()> {
        let sample = self.sample()?;
        let learners = if self.learners.is_empty() { &Learner::ALL[..] } else { &self.learners };
        let bar = bar("intent")?;
        let done = std::sync::atomic::AtomicUsize::new(0);
        let told = |_: &Compared| {
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            advance(&bar, done as f64 / learners.len() as f64);
            true
        };
        let (intent, report) = choose(&sample, learners, self.folds, self.seed, &told)?;
        bar.finish_and_clear();
        let drivers = mean_drivers(&intent, &sample);
        if self.json {
            let drivers: Vec<_> = drivers
                .iter()
                .map(|(feature, contribution)| json!({"feature": feature, "mean_absolute_contribution": contribution}))
                .collect();
            let mut told = serde_json::to_value(&report)?;
            let Quality { auc, log_loss, average_precision, calibration_error } = report.calibrated;
            let top = json!({
                "auc": auc, "log_loss": log_loss, "average_precision": average_precision,
                "calibration_error": calibration_error, "drivers": drivers,
            });
            if let (Some(told), serde_json::Value::Object(top)) = (told.as_object_mut(), top) {
                told.extend(top);
            }
            return print(&serde_json::to_string(&told)?);
        }
        print(&format!(
            "{} rows, {} came to pass; {} folds, seed {}\n{:<12}{:>8}{:>10}{:>11}{:>13}{:>9}",
            report.rows,
            report.positives,
            report.folds,
            report.seed,
            "",
            "AUC",
            "log-loss",
            "precision",
            "calibration",
            "s"
        ))?;
        let line = |name: &str, quality: &Quality, seconds: String| {
            let Quality { auc, log_loss, average_precision, calibration_error } = quality;
            print(&format!(
                "{name:<12}{auc:>8.4}{log_loss:>10.4}{average_precision:>11.4}{calibration_error:>13.4}{seconds:>9}"
            ))
        };
        for one in &report.learners {
            line(&one.learner.to_string(), &one.quality, format!("{:.1}", one.seconds))?;
        }
        line(
            "mean rate",
            &Quality { log_loss: report.base_log_loss, auc: 0.5, ..Quality::default() },
            String::new(),
        )?;
        print(&format!("chosen: {}, calibration {:?}", report.chosen, report.calibration))?;
        line("calibrated", &report.calibrated, String::new())?;
        drivers.iter().take(10).try_for_each(|(name, size)| print(&format!("  {name:<28}{size:>8.3}")))
    }

    fn sample(&self) -> anyhow::Result<Sample> {
        let mut sample = read(&self.sessions, &self.target, &self.categories)?;
        for name in &self.without {
            let place = sample.features.iter().position(|feature| feature.name == *name);
            let place = place.ok_or_else(|| anyhow::anyhow!("--without {name}: there is no such column"))?;
            sample.features.remove(place);
            sample.values.remove_index(ndarray::Axis(1), place);
        }
        anyhow::ensure!(!sample.features.is_empty(), "no column is left to learn from");
        Ok(sample)
    }
}

/// Mean size of each feature's contribution to the log-odds, the largest first.
fn mean_drivers(intent: &Intent, sample: &Sample) -> Vec<(String, f64)> {
    let stride = (sample.outcomes.len() / ROWS).max(1);
    let rows: Vec<Vec<f64>> =
        sample.values.rows().into_iter().step_by(stride).map(|row| row.to_vec()).collect();
    let mut sums = vec![0.0; sample.features.len()];
    for row in &rows {
        for (sum, part) in sums.iter_mut().zip(intent.drivers(row)) {
            *sum += part.abs() / rows.len() as f64;
        }
    }
    let names = sample.features.iter().map(|feature| feature.name.clone());
    let mut all: Vec<(String, f64)> = names.zip(sums).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}
