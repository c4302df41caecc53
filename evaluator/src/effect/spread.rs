//! How far effects may be off.

use serde::{Deserialize, Serialize};

use super::panel::Panel;

/// How far effects may be off, for people of like prediction.
///
/// In every bin the mean pseudo-outcome measures the effect with a standard error s. How much the model misses beyond
/// those errors (method of moments over the bins) is τ²; a prediction's variance is that of the average effect plus
/// the posterior τ²s²/(τ² + s²) of its bin. It speaks of the mean effect on people alike, which is what sums are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Predictions up to each of these lie in the bin of the same place; those above all in the last.
    cuts: Vec<f64>,
    /// Standard error of predictions in each bin.
    errors: Vec<f64>,
    /// Mean prediction and mean pseudo-outcome in each bin: what calibration is judged by.
    pub bins: Vec<(f64, f64)>,
}

/// Most bins.
const BINS: usize = 10;
/// What a model is thought to miss at least, as a share of the measurement's variance: ten bins alone do not show that
/// it misses nothing.
const LEAST_MISS: f64 = 0.1;
/// Least rows in a bin.
const LEAST: usize = 100;

impl Spread {
    /// From predictions and pseudo-outcomes of rows no model had seen.
    pub fn new(predicted: &[f64], pseudo: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..predicted.len()).collect();
        order.sort_by(|&a, &b| predicted[a].total_cmp(&predicted[b]));
        let bins = (order.len() / LEAST).clamp(1, BINS);
        let (mut cuts, mut errors, mut means) = (Vec::new(), Vec::new(), Vec::new());
        for bin in 0..bins {
            let rows = &order[bin * order.len() / bins..(bin + 1) * order.len() / bins];
            let n = rows.len().max(1) as f64;
            let mean = rows.iter().map(|&row| pseudo[row]).sum::<f64>() / n;
            let variance =
                rows.iter().map(|&row| (pseudo[row] - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
            means.push((rows.iter().map(|&row| predicted[row]).sum::<f64>() / n, mean));
            errors.push((variance / n).sqrt());
            if let Some(&last) = rows.last().filter(|_| bin + 1 < bins) {
                cuts.push(predicted[last]);
            }
        }
        let within = |at: usize| errors[at] * errors[at];
        let count = errors.len() as f64;
        let noise = (0..errors.len()).map(within).sum::<f64>() / count;
        let missed = means.iter().map(|(guess, found)| (found - guess).powi(2)).sum::<f64>() / count;
        let missed = (missed - noise).max(LEAST_MISS * noise);
        let of_average = noise / count;
        let error = |at: usize| {
            let own = missed + within(at);
            let posterior = if own > 0.0 { missed * within(at) / own } else { 0.0 };
            (of_average + posterior).sqrt()
        };
        let errors = (0..errors.len()).map(error).collect();
        Self { cuts, errors, bins: means }
    }

    /// Of what is expected without treatment, `guesses` being those of models that had not seen the rows.
    pub(super) fn of_control(panel: &Panel, values: &[f64], guesses: &[f64]) -> Self {
        let pseudo: Vec<f64> = guesses
            .iter()
            .enumerate()
            .map(|(row, guess)| {
                let seen = panel.action[row] == 0;
                guess + if seen { (values[row] - guess) / panel.propensity[row] } else { 0.0 }
            })
            .collect();
        Self::new(guesses, &pseudo)
    }

    /// Standard error of a prediction.
    pub fn error(&self, predicted: f64) -> f64 {
        self.errors[self.cuts.partition_point(|cut| *cut < predicted)]
    }

    /// Mean distance between prediction and measurement over the bins: the expected calibration error.
    pub fn calibration_error(&self) -> f64 {
        self.bins.iter().map(|(predicted, measured)| (predicted - measured).abs()).sum::<f64>()
            / self.bins.len().max(1) as f64
    }
}
