//! What a row looks like to the model.

use boost::Matrix;
use serde::{Deserialize, Serialize};

/// 1, the standardised features of the person, their standardised products two by two where they are wanted, and the
/// standardised features of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Basis {
    /// Mean and standard deviation of each feature of the person.
    features: Vec<(f64, f64)>,
    /// The same of each product of standardised features; empty where there are none.
    products: Vec<(f64, f64)>,
    /// The same of each feature of the time; models of before they were learnt have none.
    #[serde(default)]
    of_time: Vec<(f64, f64)>,
}

impl Basis {
    /// Its length without what tells of the time, for a person of so many features.
    pub(super) fn width(features: usize, products: bool) -> usize {
        1 + features + if products { features * (features + 1) / 2 } else { 0 }
    }

    /// Of `features`, the last `of_time` of which tell of the time.
    pub(super) fn new(features: &Matrix, of_time: usize, products: bool) -> Self {
        let mut scales: Vec<(f64, f64)> =
            (0..features.columns()).map(|column| scale(features.column(column))).collect();
        let of_time = scales.split_off(features.columns() - of_time);
        let columns = scales.len();
        let mut basis = Self { features: scales, products: Vec::new(), of_time };
        if products {
            let plain = Self::width(columns, false);
            // A first look at the products as they are, to standardise them.
            basis.products = vec![(0.0, 1.0); Self::width(columns, true) - plain];
            let rows: Vec<Vec<f64>> = (0..features.rows()).map(|row| basis.of(features.row(row))).collect();
            let scale_of = |product: usize| scale(rows.iter().map(|row| row[plain + product]));
            basis.products = (0..basis.products.len()).map(scale_of).collect();
        }
        basis
    }

    /// The basis of a row. What is missing stands at its mean.
    pub(super) fn of(&self, row: &[f64]) -> Vec<f64> {
        let (person, time) = row.split_at(self.features.len().min(row.len()));
        let features = 1 + self.features.len();
        let mut basis = Vec::with_capacity(features + self.products.len() + self.of_time.len());
        basis.push(1.0);
        basis.extend(person.iter().zip(&self.features).map(|(value, scale)| standardised(*value, *scale)));
        let mut products = self.products.iter();
        'products: for i in 1..features {
            for j in i..features {
                let Some(scale) = products.next() else { break 'products };
                basis.push(standardised(basis[i] * basis[j], *scale));
            }
        }
        basis.extend(time.iter().zip(&self.of_time).map(|(value, scale)| standardised(*value, *scale)));
        basis
    }
}

fn standardised(value: f64, (mean, deviation): (f64, f64)) -> f64 {
    if value.is_nan() || deviation <= 0.0 { 0.0 } else { (value - mean) / deviation }
}

/// Mean and standard deviation of what is known; a deviation of 0 where it does not vary.
fn scale(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let known: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    let count = known.len().max(1) as f64;
    let mean = known.iter().sum::<f64>() / count;
    let variance = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    // What is left of a constant after rounding is no variation.
    (mean, if variance > 1e-18 * mean.powi(2).max(1e-12) { variance.sqrt() } else { 0.0 })
}
