//! The leading singular directions of the scaled matrix: what many models of one data set share.

use ndarray::{Array2, Axis, s};

use super::{Taste, TasteSettings};
use crate::algorithm::{self, FitError};
use crate::factorise::{Road, Settings, Watch, truncated_svd};
use crate::matrix::Csr;

/// Below this share of the largest a singular value is rounding error, and its direction says nothing.
const NOISE: f32 = 1e-4;

/// Leading right singular vectors and values of X·D⁻ˢ.
#[derive(Debug, Clone)]
pub struct Spectrum {
    item_scale: f64,
    seed: u64,
    /// The square of an item's popularity norm: the sum of its column's squares.
    squares: Vec<f32>,
    popularity: Vec<f32>,
    singular_values: Vec<f32>,
    directions: Array2<f32>,
    /// Mean squared norm of a column of the scaled matrix, over columns that are not empty.
    mean_square: f64,
}

impl Spectrum {
    /// Factorises with `item_scale`, `rank` and `seed` of the settings.
    ///
    /// # Errors
    /// A setting out of range, an empty matrix, values that overflow, or cancellation.
    pub fn of(matrix: &Csr, settings: &TasteSettings, watch: Watch) -> Result<Self, FitError> {
        algorithm::Settings::Svd(settings.clone()).check()?;
        let mut squares = vec![0.0_f32; matrix.cols()];
        for (item, value) in (0..matrix.rows()).flat_map(|user| matrix.row(user)) {
            squares[item] += value * value;
        }
        let scales = powers(&squares, -settings.item_scale);
        let taken = squares.iter().filter(|&&square| square > 0.0).count();
        let energy: f64 = squares.iter().zip(&scales).map(|(q, f)| f64::from(q * f * f)).sum();
        let rank = settings.rank.min(matrix.rows()).min(matrix.cols()).max(1);
        let wanted = Settings { rank, seed: settings.seed, road: Road::Fast };
        let factors = truncated_svd(&matrix.scale_columns(&scales), wanted, watch)?;
        Ok(Self {
            item_scale: settings.item_scale,
            seed: settings.seed,
            popularity: matrix.column_counts().into_iter().map(|count| count as f32).collect(),
            squares,
            singular_values: factors.s,
            directions: factors.v,
            mean_square: energy / taken.max(1) as f64,
        })
    }

    /// The model these directions make with the other settings; a rank below the spectrum's takes the
    /// leading ones. The settings' `item_scale` and `seed` must be those of the spectrum.
    ///
    /// # Errors
    /// A setting out of range or not the spectrum's.
    pub fn taste(&self, settings: &TasteSettings) -> Result<Taste, FitError> {
        algorithm::Settings::Svd(settings.clone()).check()?;
        let ours = TasteSettings { item_scale: self.item_scale, seed: self.seed, ..settings.clone() };
        if ours != *settings {
            let (field, value) = ("item_scale".to_owned(), settings.item_scale);
            return Err(FitError::Setting { field, value, range: "those of the spectrum".into() });
        }
        let rank = settings.rank.min(self.singular_values.len());
        let singular_values = self.singular_values[..rank].to_vec();
        let lambda = settings.ridge * self.mean_square;
        let floor = singular_values.first().map_or(0.0, |largest| largest * NOISE);
        let mut item_factors = self.directions.slice(s![.., ..rank]).to_owned();
        for (mut direction, &sigma) in item_factors.axis_iter_mut(Axis(1)).zip(&singular_values) {
            let square = f64::from(sigma) * f64::from(sigma);
            let kept = if sigma > floor { (square / (square + lambda)).sqrt() } else { 0.0 };
            direction *= kept as f32;
        }
        let mut output = powers(&self.squares, settings.popular);
        if settings.leverage {
            for (scale, row) in output.iter_mut().zip(item_factors.rows()) {
                // An item only its own history predicts has leverage 1 but for rounding.
                *scale /= (1.0 - row.dot(&row)).max(0.01);
            }
        }
        let input = vec![1.0; item_factors.nrows()];
        Ok(Taste::assemble(
            settings.clone(),
            item_factors,
            self.popularity.clone(),
            singular_values,
            input,
            output,
        ))
    }
}

/// (norm relative to the mean norm)^exponent an item; 0 for an item without a norm.
fn powers(squares: &[f32], exponent: f64) -> Vec<f32> {
    let taken: Vec<f64> = squares.iter().filter(|&&q| q > 0.0).map(|&q| f64::from(q)).collect();
    let mean = taken.iter().sum::<f64>() / taken.len().max(1) as f64;
    let power = |q: f32| (f64::from(q) / mean).powf(exponent / 2.0) as f32;
    squares.iter().map(|&q| if q > 0.0 { power(q) } else { 0.0 }).collect()
}
