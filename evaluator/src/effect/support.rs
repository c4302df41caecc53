//! Where a model has seen people.

use boost::Matrix;
use boost::linear::Cholesky;
use serde::{Deserialize, Serialize};

/// Where a model has seen people: outside it a prediction is a guess, and says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Support {
    means: Vec<f64>,
    deviations: Vec<f64>,
    factor: Option<Factor>,
    /// Largest squared distance that still counts as seen.
    most: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Factor(Vec<f64>);

/// Share of training rows allowed to lie outside.
const OUTSIDE: f64 = 0.001;
/// How much farther than those a row must lie.
const MARGIN: f64 = 1.5;
/// Rows the distances are taken from.
const LOOKED_AT: usize = 20_000;

impl Support {
    /// Learns means, deviations and correlations of the first `columns` of `features`. What tells of the time is none of
    /// them: a day of the week never seen makes nobody a stranger.
    pub fn new(features: &Matrix, columns: usize) -> Self {
        let (mut means, mut deviations) = (vec![0.0; columns], vec![0.0; columns]);
        for column in 0..columns {
            let known: Vec<f64> = features.column(column).filter(|value| !value.is_nan()).collect();
            let n = known.len().max(1) as f64;
            means[column] = known.iter().sum::<f64>() / n;
            deviations[column] =
                (known.iter().map(|value| (value - means[column]).powi(2)).sum::<f64>() / n).sqrt();
        }
        let step = (features.rows() / LOOKED_AT).max(1);
        let mut support = Self { means, deviations, factor: None, most: f64::INFINITY };
        let rows: Vec<Vec<f64>> =
            (0..features.rows()).step_by(step).map(|row| support.standard(features.row(row))).collect();
        let n = rows.len().max(1) as f64;
        let mut correlation = vec![0.0; columns * columns];
        for row in &rows {
            for i in 0..columns {
                for j in 0..columns {
                    correlation[i * columns + j] += row[i] * row[j] / n;
                }
            }
        }
        for i in 0..columns {
            correlation[i * columns + i] += 0.05;
        }
        // The inverse, so that a distance is one product at prediction.
        support.factor = Cholesky::new(&correlation, columns).map(|found| Factor(found.inverse()));
        let mut distances: Vec<f64> =
            (0..features.rows()).step_by(step).map(|row| support.distance(features.row(row))).collect();
        distances.sort_by(f64::total_cmp);
        let at = ((1.0 - OUTSIDE) * distances.len() as f64) as usize;
        support.most = distances.get(at.min(distances.len().saturating_sub(1))).copied().unwrap_or(0.0)
            * MARGIN
            * MARGIN
            + 1e-9;
        support
    }

    /// Whether a row lies outside what was seen: its Mahalanobis distance is half as far again as all but a thousandth of
    /// the training rows'. Where values are missing, the farthest of the others stands for the distance.
    pub fn is_outside(&self, row: &[f64]) -> bool {
        // A feature that never varied says nothing until it takes another value.
        let moved = row.iter().zip(self.means.iter().zip(&self.deviations)).any(|(value, (mean, sd))| {
            *sd <= 0.0 && !value.is_nan() && (value - mean).abs() > 1e-9 * mean.abs().max(1.0)
        });
        moved || self.distance(row) > self.most
    }

    /// Values that stand in for the features.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    fn standard(&self, row: &[f64]) -> Vec<f64> {
        row.iter()
            .zip(self.means.iter().zip(&self.deviations))
            .map(|(value, (mean, sd))| if value.is_nan() || *sd <= 0.0 { 0.0 } else { (value - mean) / sd })
            .collect()
    }

    fn distance(&self, row: &[f64]) -> f64 {
        let Some(Factor(inverse)) = &self.factor else { return 0.0 };
        let standard = self.standard(row);
        if row.iter().take(self.means.len()).any(|value| value.is_nan()) {
            return standard.iter().fold(0.0, |most, z| f64::max(most, z * z));
        }
        let n = standard.len();
        (0..n)
            .map(|i| {
                let along: f64 = inverse[i * n..(i + 1) * n].iter().zip(&standard).map(|(c, x)| c * x).sum();
                standard[i] * along
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_unlike_all_others_is_told_from_the_rest() {
        // Two features that always go together.
        let values: Vec<f64> = (0..4_000_u32)
            .flat_map(|i| {
                let a = f64::from(i * 7919 % 1_000) / 1_000.0;
                [a, a + f64::from(i * 31 % 100) / 2_000.0]
            })
            .collect();
        let support = Support::new(&Matrix::new(values, 4_000, 2).expect("finite"), 2);
        assert!(!support.is_outside(&[0.5, 0.52]) && !support.is_outside(&[f64::NAN, 0.9]));
        assert!(support.is_outside(&[9.0, 9.0]), "far away");
        assert!(support.is_outside(&[0.0, 1.0]), "each seen, never together");
    }
}
