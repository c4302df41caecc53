//! Items nobody has taken yet: what is said of an item, mapped into the space of factors.
//!
//! One ridge regression of the factors on the vectors of the texts, over items the model knows (Gantner and others
//! 2010 learn such a map from attributes to factors). An item counts as its factor is trusted: n / (n + 5) for n
//! people who took it. λ is what predicts the factors of a tenth of the items best that the regression did not see.

mod ngrams;

pub use ngrams::{DIMENSIONS, NgramMap};

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use proto::common::v1::Item;
use safetensors::SafeTensors;

use crate::algorithm::{FitError, NotAModel, StoredTensors, Tensors};
use crate::factorise::Watch;
use crate::matrix::Inverse;

/// λ that are tried, in items.
const RIDGES: [f32; 6] = [0.1, 0.5, 2.0, 8.0, 32.0, 128.0];
/// One item in so many is kept back to choose λ.
const KEPT_BACK: usize = 10;
/// People after whom an item's factor is half trusted.
const TRUST: f32 = 5.0;
/// Name and version of the layout of a stored map.
const FORMAT: &str = "bespoke.texts.v1";
/// Items wanted at least.
pub const LEAST: usize = 50;

/// A map from texts' vectors to factors.
#[derive(Debug, Clone, PartialEq)]
pub struct TextMap {
    /// Dimensions of a text × factors.
    weights: Array2<f32>,
    text_mean: Array1<f32>,
    factor_mean: Array1<f32>,
    /// Share of the factors' variance that texts tell of items kept back; below 0: less than their mean does.
    pub explained: f64,
}

impl TextMap {
    /// Learns from `texts`, items × dimensions, the `factors` of the same items, and how many `people` took each.
    ///
    /// # Errors
    /// Fewer than [`LEAST`] items, or arithmetic that breaks down.
    pub fn fit(texts: ArrayView2<f32>, factors: ArrayView2<f32>, people: &[f32]) -> Result<Self, FitError> {
        if texts.nrows() < LEAST {
            let what = format!("{} items with a text and a factor", texts.nrows());
            return Err(FitError::TooLittle {
                what,
                needed: "at least 50 are needed to map texts to factors",
            });
        }
        let (mut seen, mut kept): (Vec<usize>, Vec<usize>) = Default::default();
        (0..texts.nrows()).for_each(|row| if row % KEPT_BACK == 0 { kept.push(row) } else { seen.push(row) });
        let trust = Array1::from_iter(people.iter().map(|n| n / (n + TRUST)));
        let pick = |rows: &[usize]| {
            let part = |all: ArrayView2<f32>| all.select(Axis(0), rows);
            (part(texts), part(factors), trust.select(Axis(0), rows))
        };
        let ((x, y, w), (x_kept, y_kept, w_kept)) = (pick(&seen), pick(&kept));
        let mut best: Option<(f64, f32)> = None;
        let equations = Normal::new(x.view(), y.view(), &w);
        for ridge in RIDGES {
            let map = equations.solve(ridge)?;
            let explained = map.explains(x_kept.view(), y_kept.view(), &w_kept);
            if best.is_none_or(|(most, _)| explained > most) {
                best = Some((explained, ridge));
            }
        }
        let (explained, ridge) = best.unwrap_or((0.0, RIDGES[0]));
        Ok(Self { explained, ..Normal::new(texts, factors, &trust).solve(ridge)? })
    }

    /// 1 − the squared error of `factors` over that of their mean, weighted by trust.
    fn explains(&self, texts: ArrayView2<f32>, factors: ArrayView2<f32>, trust: &Array1<f32>) -> f64 {
        let squares = |difference: Array2<f32>| {
            let rows = difference.rows().into_iter().zip(trust);
            rows.map(|(row, trust)| f64::from(trust * row.dot(&row))).sum::<f64>()
        };
        let (error, all) = (squares(&factors - &self.map(texts)), squares(&factors - &self.factor_mean));
        if all > 0.0 { 1.0 - error / all } else { 0.0 }
    }

    /// Number of factors.
    pub fn factors(&self) -> usize {
        self.weights.ncols()
    }

    /// Dimensions of a text.
    pub fn dimensions(&self) -> usize {
        self.weights.nrows()
    }

    /// The factors that `texts` tell, a row each.
    ///
    /// # Panics
    /// A text has another number of dimensions than those learnt from.
    pub fn map(&self, texts: ArrayView2<f32>) -> Array2<f32> {
        (&texts - &self.text_mean).dot(&self.weights) + &self.factor_mean
    }

    /// The factors that one text tells.
    ///
    /// # Panics
    /// The text has another number of dimensions than those learnt from.
    pub fn map_one(&self, text: &[f32]) -> Vec<f32> {
        let text = &ArrayView1::from(text) - &self.text_mean;
        (text.dot(&self.weights) + &self.factor_mean).to_vec()
    }
}

/// Weighted normal equations of the regression, which every λ shares.
struct Normal {
    gram: Array2<f32>,
    cross: Array2<f32>,
    text_mean: Array1<f32>,
    factor_mean: Array1<f32>,
}

impl Normal {
    fn new(texts: ArrayView2<f32>, factors: ArrayView2<f32>, trust: &Array1<f32>) -> Self {
        let total = trust.sum().max(f32::MIN_POSITIVE);
        let mean = |rows: ArrayView2<f32>| trust.dot(&rows) / total;
        let (text_mean, factor_mean) = (mean(texts), mean(factors));
        let roots = trust.mapv(f32::sqrt).insert_axis(Axis(1));
        let x = (&texts - &text_mean) * &roots;
        let y = (&factors - &factor_mean) * &roots;
        Self { gram: x.t().dot(&x), cross: x.t().dot(&y), text_mean, factor_mean }
    }

    fn solve(&self, ridge: f32) -> Result<TextMap, FitError> {
        let mut normal = self.gram.clone();
        normal.diag_mut().mapv_inplace(|value| value + ridge);
        let weights = Inverse::of(normal, Watch::idle())?.solve(&self.cross);
        let (text_mean, factor_mean) = (self.text_mean.clone(), self.factor_mean.clone());
        Ok(TextMap { weights, text_mean, factor_mean, explained: 0.0 })
    }
}

/// What is said of an item, as it is embedded; empty where nothing is.
pub fn text(item: &Item) -> String {
    let parts =
        [item.title.clone(), item.brand.clone(), item.categories.join(", "), item.description.clone()];
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(". ")
}

impl TextMap {
    /// The map as it is stored with a model.
    ///
    /// # Errors
    /// The tensors could not be laid out.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NotAModel> {
        let mut tensors = Tensors::default();
        self.add_to(&mut tensors);
        tensors.write(&format!("{{\"format\":\"{FORMAT}\"}}"))
    }

    /// Adds the map to tensors that are stored.
    fn add_to(&self, tensors: &mut Tensors) {
        tensors.matrix("weights", &self.weights);
        tensors.vector("text_mean", &self.text_mean.to_vec());
        tensors.vector("factor_mean", &self.factor_mean.to_vec());
    }

    /// The map in these bytes.
    ///
    /// # Errors
    /// Bytes that are no safetensors, a tensor missing or of the wrong shape, a value that is not finite.
    pub fn from_safetensors(data: &[u8]) -> Result<Self, NotAModel> {
        let tensors = SafeTensors::deserialize(data).map_err(NotAModel::of)?;
        Self::read(&StoredTensors::of(&tensors))
    }

    /// The map among stored tensors.
    fn read(stored: &StoredTensors<'_>) -> Result<Self, NotAModel> {
        let weights = stored.matrix("weights")?;
        let text_mean = stored.vector("text_mean", weights.nrows())?.into();
        let factor_mean = stored.vector("factor_mean", weights.ncols())?.into();
        Ok(Self { weights, text_mean, factor_mean, explained: 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    /// Texts of 6 dimensions and factors of 3 that are a linear map of them, with noise of `size`.
    fn items(count: usize, size: f32) -> (Array2<f32>, Array2<f32>) {
        let wave = |n: usize| ((n * 2_654_435_761) % 1_000) as f32 / 500.0 - 1.0;
        let texts = Array2::from_shape_fn((count, 6), |(i, j)| wave(i * 6 + j + 1));
        let map = Array2::from_shape_fn((6, 3), |(i, j)| wave(7_919 * (i * 3 + j + 5)));
        let noise = Array2::from_shape_fn((count, 3), |(i, j)| size * wave(104_729 * (i * 3 + j + 11)));
        let factors = texts.dot(&map) + noise + 0.5;
        (texts, factors)
    }

    #[test]
    fn a_linear_map_is_found_and_noise_is_not_mapped() {
        let (texts, factors) = items(400, 0.0);
        let map = TextMap::fit(texts.view(), factors.view(), &vec![50.0; 400]).expect("fits");
        assert!(map.explained > 0.99, "{}", map.explained);
        let worst = (&map.map(texts.view()) - &factors).iter().fold(0.0_f32, |worst, x| worst.max(x.abs()));
        assert!(worst < 0.05, "{worst}");
        let (texts, noise) = items(400, 50.0);
        let none = TextMap::fit(texts.view(), noise.view(), &vec![50.0; 400]).expect("fits");
        assert!(none.explained < 0.2, "{}", none.explained);
        let few = TextMap::fit(texts.slice(s![..20, ..]), noise.slice(s![..20, ..]), &[1.0; 20]);
        assert!(matches!(few, Err(FitError::TooLittle { .. })));
    }

    #[test]
    fn the_map_comes_back_from_its_bytes() {
        let (texts, factors) = items(100, 0.1);
        let map = TextMap::fit(texts.view(), factors.view(), &vec![5.0; 100]).expect("fits");
        let data = map.to_safetensors().expect("written");
        let back = TextMap::from_safetensors(&data).expect("read");
        assert_eq!(back.map(texts.view()), map.map(texts.view()));
        assert!(TextMap::from_safetensors(&data[..40]).is_err());
    }
}
