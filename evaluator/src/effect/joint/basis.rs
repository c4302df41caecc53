//! What a row looks like to the model.
//!
//! Amounts, counts and times have a long tail to the right: what doubles them matters, not what is added to them. Such a
//! feature stands as its logarithm, or a few people far out would decide the slopes of all (Box and Cox 1964).

use boost::Matrix;
use serde::{Deserialize, Serialize};

/// 1, the standardised features of the person, their standardised products two by two where they are wanted, and the
/// standardised features of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Basis {
    /// Mean and standard deviation of each feature of the person, as it stands in the basis.
    features: Vec<(f64, f64)>,
    /// Whether that is its logarithm.
    logarithms: Vec<bool>,
    /// The same of each product of standardised features; empty where there are none.
    products: Vec<(f64, f64)>,
    /// The same of each feature of the time.
    of_time: Vec<(f64, f64)>,
}

impl Basis {
    /// Its length without what tells of the time, for a person of so many features.
    pub(super) fn width(features: usize, products: bool) -> usize {
        1 + features + if products { features * (features + 1) / 2 } else { 0 }
    }

    /// Of `features`, the last `of_time` of which tell of the time.
    pub(super) fn new(features: &Matrix, of_time: usize, products: bool) -> Self {
        let columns = features.columns() - of_time;
        let of_time = (columns..features.columns()).map(|column| scale(features.column(column))).collect();
        let logarithms: Vec<bool> = (0..columns).map(|column| has_tail(features.column(column))).collect();
        let scale_of = |column: usize| {
            let as_it_stands = |value| if logarithms[column] { logarithm(value) } else { value };
            scale(features.column(column).map(as_it_stands))
        };
        let mut basis = Self {
            features: (0..columns).map(scale_of).collect(),
            logarithms,
            products: Vec::new(),
            of_time,
        };
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
        basis.extend(person.iter().zip(&self.features).enumerate().map(|(feature, (value, scale))| {
            let tailed = self.logarithms[feature];
            standardised(if tailed { logarithm(*value) } else { *value }, *scale)
        }));
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

/// Nobody lies further from the mean, in standard deviations: products of what a caller may say stay numbers.
const FURTHEST: f64 = 1e4;

fn standardised(value: f64, (mean, deviation): (f64, f64)) -> f64 {
    let known = !value.is_nan() && deviation > 0.0;
    if known { ((value - mean) / deviation).clamp(-FURTHEST, FURTHEST) } else { 0.0 }
}

/// Of 1 more, for counts begin at 0. What is missing stays missing.
fn logarithm(value: f64) -> f64 {
    value.clamp(0.0, f64::INFINITY).ln_1p()
}

/// Skewness from which on a tail is long: half that of an exponential distribution.
const TAIL: f64 = 1.0;

/// Whether what is known has a long tail to the right that its logarithm has not.
fn has_tail(values: impl Iterator<Item = f64>) -> bool {
    let known: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    if known.iter().any(|value| *value < 0.0) {
        return false;
    }
    let skewness = skewness(&known);
    let logarithms: Vec<f64> = known.into_iter().map(logarithm).collect();
    skewness > TAIL && self::skewness(&logarithms).abs() < skewness
}

/// Third standardised moment; 0 of what does not vary.
fn skewness(values: &[f64]) -> f64 {
    let (mean, deviation) = scale(values.iter().copied());
    let cubes = values.iter().map(|value| standardised(*value, (mean, deviation)).powi(3)).sum::<f64>();
    cubes / values.len().max(1) as f64
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders that double from one person to the next, a share, and balances that may be owed.
    #[test]
    fn a_long_tail_stands_as_its_logarithm() {
        let rows = 64_u32;
        let values = (0..rows).flat_map(|row| {
            let doubling = 2.0_f64.powi(row as i32 / 4);
            [doubling, f64::from(row) / f64::from(rows), doubling - 100.0]
        });
        let features = Matrix::new(values.collect(), rows as usize, 3).expect("rows");
        let basis = Basis::new(&features, 0, false);
        assert_eq!(basis.logarithms, [true, false, false]);
        let at = |row: usize| basis.of(features.row(row))[1];
        let step = at(63) - at(59);
        assert!((step - (at(59) - at(55))).abs() < 1e-3 * step, "what doubles moves alike");
        assert!(basis.of(&[f64::NAN, 0.5, -1.0])[1].abs() < 1e-12, "what is missing stands at the mean");
        assert!(basis.of(&[-5.0, 0.5, -1.0])[1].is_finite(), "below what was ever seen");
    }
}
