//! Rows as learners want them.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::Sample;

/// Rows that a level's rate is drawn towards everyone's with.
const PRIOR: f64 = 10.0;

/// One column of [`Ranked`] or a group of columns of [`Spread`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Coding {
    /// A number: subtracted and divided by, after compression by the third.
    Number { mean: f64, deviation: f64, scale: f64 },
    /// A category: the value of each level.
    Levels(Vec<f64>),
}

/// For trees, a column a feature: numbers as they are, levels in order of how often it comes to pass with them, where
/// one threshold can cut any best subset (Fisher 1958).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ranked(Vec<Coding>);

impl Ranked {
    pub(super) fn of(sample: &Sample) -> Self {
        let rate = sample.rate();
        let columns = sample.features.iter().zip(sample.values.columns());
        let coding = columns.map(|(feature, column)| {
            if !feature.is_category() {
                return number(column.iter().copied());
            }
            let mut seen = vec![(PRIOR * rate, PRIOR); feature.levels.len()];
            for (level, came) in column.iter().zip(&sample.outcomes).filter(|(level, _)| level.is_finite()) {
                let (positives, rows) = &mut seen[*level as usize];
                *positives += f64::from(*came);
                *rows += 1.0;
            }
            Coding::Levels(seen.into_iter().map(|(positives, rows)| positives / rows).collect())
        });
        Self(coding.collect())
    }

    pub(super) fn encode(&self, rows: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut out = rows.to_owned();
        for (mut column, coding) in out.columns_mut().into_iter().zip(&self.0) {
            match coding {
                Coding::Number { mean, .. } => {
                    column.map_inplace(|x| *x = if x.is_finite() { *x } else { *mean });
                }
                Coding::Levels(rates) => {
                    let usual = rates.iter().sum::<f64>() / rates.len() as f64;
                    column.map_inplace(|x| *x = rates.get(place(*x)).copied().unwrap_or(usual));
                }
            }
        }
        out
    }
}

/// For linear models and networks: numbers compressed and standardised, a column a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread(Vec<Coding>);

impl Spread {
    pub(super) fn of(sample: &Sample) -> Self {
        let columns = sample.features.iter().zip(sample.values.columns());
        let coding = columns.map(|(feature, column)| {
            if feature.is_category() {
                Coding::Levels(vec![1.0; feature.levels.len()])
            } else {
                number(column.iter().copied())
            }
        });
        Self(coding.collect())
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        let of = |coding: &Coding| if let Coding::Levels(levels) = coding { levels.len() } else { 1 };
        self.0.iter().map(of).sum()
    }

    pub(super) fn encode(&self, rows: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut out = Array2::zeros((rows.nrows(), self.width()));
        for (row, mut encoded) in rows.rows().into_iter().zip(out.rows_mut()) {
            let mut at = 0;
            for (value, coding) in row.iter().zip(&self.0) {
                match coding {
                    Coding::Number { mean, deviation, scale } => {
                        let x = if value.is_finite() { compressed(*value, *scale) } else { *mean };
                        encoded[at] = (x - mean) / deviation;
                        at += 1;
                    }
                    Coding::Levels(levels) => {
                        if place(*value) < levels.len() {
                            encoded[at + place(*value)] = 1.0;
                        }
                        at += levels.len();
                    }
                }
            }
        }
        out
    }
}

/// Counts, times and money have long tails: logarithmic beyond their usual size, straight below it.
fn compressed(x: f64, scale: f64) -> f64 {
    (x / scale).asinh()
}

fn place(level: f64) -> usize {
    if level.is_finite() && level >= 0.0 { level as usize } else { usize::MAX }
}

fn number(values: impl Iterator<Item = f64>) -> Coding {
    let known: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let n = known.len().max(1) as f64;
    let not_zero = known.iter().filter(|x| **x != 0.0).count().max(1) as f64;
    let size = known.iter().map(|x| x.abs()).sum::<f64>() / not_zero;
    let scale = if size > 0.0 { size } else { 1.0 };
    let mean = known.iter().map(|x| compressed(*x, scale)).sum::<f64>() / n;
    let variance = known.iter().map(|x| (compressed(*x, scale) - mean).powi(2)).sum::<f64>() / n;
    let deviation = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
    Coding::Number { mean, deviation, scale }
}
