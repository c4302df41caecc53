//! What was learnt, and the file it is kept in: safetensors, the card as JSON in its header.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::features::{BUCKETS, Inputs};
use super::fit::{Row, Weights};
use super::judge::Judged;

/// Name and version of the layout.
const FORMAT: &str = "bespoke.words.v2";
/// The card's place in the header.
const CARD: &str = "words";
/// Weight of the n-grams, which are of unit length before, beside a depth of the encoder, whose mean square is 1.
const GRAM_SCALE: f32 = 2.0;
/// Standard deviation of a value of how a text is built.
const BUILD_SCALE: f32 = 0.15;

/// What a model was made from and how good it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// Name and version of the layout.
    pub format: String,
    /// The encoder it reads with.
    pub encoder: String,
    /// λ, chosen by cross-validation.
    pub ridge: f64,
    /// Log-odds of "clicked more often" a unit of difference in score.
    pub sharpness: f64,
    /// The mean score of the texts it was fitted on.
    pub average: f64,
    /// Trials it was fitted on.
    pub trials: usize,
    /// Of a model fitted on the training fold alone, judged once on the test fold.
    pub test: Option<Judged>,
}

/// How inputs are brought to one scale.
#[derive(Clone, Debug)]
pub(super) struct Scaling {
    mean: Vec<f32>,
    factor: Vec<f32>,
    rarity: Vec<f32>,
}

impl Scaling {
    /// Learnt from `inputs`: `depths` blocks of `size` values, then how the text is built.
    pub(super) fn learn(inputs: &[&Inputs], (size, depths): (usize, usize)) -> Self {
        let many = inputs.len().max(1) as f64;
        let columns = inputs.first().map_or(0, |input| input.dense.len());
        let (mut sum, mut squares) = (vec![0.0_f64; columns], vec![0.0_f64; columns]);
        let mut texts_with = vec![0_u32; BUCKETS];
        for input in inputs {
            for (column, value) in input.dense.iter().enumerate() {
                sum[column] += f64::from(*value);
                squares[column] += f64::from(*value).powi(2);
            }
            input.grams.iter().for_each(|(bucket, _)| texts_with[*bucket as usize] += 1);
        }
        let variance = |column: usize| (squares[column] / many - (sum[column] / many).powi(2)).max(0.0);
        let one_over = |root: f64| if root > 1e-9 { 1.0 / root } else { 0.0 };
        let factor = (0..columns).map(|column| {
            let block = column / size;
            if block < depths {
                one_over((block * size..(block + 1) * size).map(variance).sum::<f64>().sqrt()) as f32
            } else {
                BUILD_SCALE * one_over(variance(column).sqrt()) as f32
            }
        });
        // Smoothed inverse document frequency, as scikit-learn has it.
        let rarity = |with: u32| (((1.0 + many) / (1.0 + f64::from(with))).ln() + 1.0) as f32;
        Self {
            factor: factor.collect(),
            mean: sum.iter().map(|sum| (sum / many) as f32).collect(),
            rarity: texts_with.into_iter().map(rarity).collect(),
        }
    }

    pub(super) fn row(&self, input: &Inputs) -> Row {
        let dense = input.dense.iter().zip(&self.mean).zip(&self.factor).map(|((x, m), f)| (x - m) * f);
        let weigh = |&(bucket, count): &(u32, f32)| (bucket, count * self.rarity[bucket as usize]);
        let mut grams: Vec<(u32, f32)> = input.grams.iter().map(weigh).collect();
        let length = grams.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            for (_, value) in &mut grams {
                *value *= GRAM_SCALE / length;
            }
        }
        Row { dense: dense.collect(), grams }
    }
}

/// A model of which text is clicked.
#[derive(Clone)]
pub struct Model {
    /// What it was made from.
    pub card: Card,
    pub(super) scaling: Scaling,
    pub(super) weights: Weights,
    /// Numbers of the trials it was fitted on, upwards.
    pub(super) seen: Vec<u64>,
}

impl Model {
    /// Log-odds of a click, but for a constant that is the same for all texts.
    pub fn score(&self, input: &Inputs) -> f64 {
        self.weights.score(&self.scaling.row(input))
    }

    /// The probability that a text of score `first` is clicked more often than one of score `second`.
    pub fn probability(&self, first: f64, second: f64) -> f64 {
        1.0 / (1.0 + (-self.card.sharpness * (first - second)).exp())
    }

    /// The probability that a text of `score` is clicked more often than an average one of those it was fitted on.
    pub fn predicted_click(&self, score: f64) -> f64 {
        self.probability(score, self.card.average)
    }

    /// How many coefficients.
    pub fn parameters(&self) -> u64 {
        (self.weights.dense.len() + self.weights.grams.len()) as u64
    }

    /// Whether it has a coefficient for each value of `input`.
    pub(super) fn fits(&self, input: &Inputs) -> bool {
        self.weights.dense.len() == input.dense.len()
    }

    /// Whether it was fitted on the trial `id`.
    pub fn has_seen(&self, id: &str) -> bool {
        self.seen.binary_search(&super::number(id)).is_ok()
    }

    /// Writes it to `file`.
    pub fn save(&self, file: &Path) -> anyhow::Result<()> {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (scaling, weights) = (&self.scaling, &self.weights);
        let parts = [
            ("mean", &scaling.mean),
            ("factor", &scaling.factor),
            ("rarity", &scaling.rarity),
            ("dense", &weights.dense),
            ("grams", &weights.grams),
        ];
        let parts: Vec<_> = parts.iter().map(|(name, values)| (*name, values.len(), bytes(values))).collect();
        let seen: Vec<u8> = self.seen.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut views = vec![("seen", TensorView::new(Dtype::U64, vec![self.seen.len()], &seen)?)];
        for (name, length, data) in &parts {
            views.push((*name, TensorView::new(Dtype::F32, vec![*length], data)?));
        }
        let header = HashMap::from([(CARD.to_owned(), serde_json::to_string(&self.card)?)]);
        let data = safetensors::serialize(views, Some(header))?;
        std::fs::write(file, data).with_context(|| format!("{}", file.display()))
    }

    /// Reads it from `file`.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        let data = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        Self::parse(&data).with_context(|| format!("{} is no model of words", file.display()))
    }

    fn parse(data: &[u8]) -> anyhow::Result<Self> {
        let (_, header) = SafeTensors::read_metadata(data)?;
        let card = header.metadata().as_ref().and_then(|entries| entries.get(CARD));
        let card: Card = serde_json::from_str(card.context("it has no card")?)?;
        ensure!(card.format == FORMAT, "its format is {}, wanted is {FORMAT}", card.format);
        let tensors = SafeTensors::deserialize(data)?;
        let floats = |name: &str| -> anyhow::Result<Vec<f32>> {
            let tensor = tensors.tensor(name)?;
            ensure!(tensor.dtype() == Dtype::F32, "{name} is not of 32-bit floats");
            let values: Vec<f32> =
                tensor.data().as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
            ensure!(values.iter().all(|value| value.is_finite()), "{name} has a value that is not finite");
            Ok(values)
        };
        let scaling = Scaling { mean: floats("mean")?, factor: floats("factor")?, rarity: floats("rarity")? };
        let weights = Weights { dense: floats("dense")?, grams: floats("grams")? };
        let seen = tensors.tensor("seen")?.data().as_chunks::<8>().0;
        let seen = seen.iter().map(|number| u64::from_le_bytes(*number)).collect();
        let columns = weights.dense.len();
        let fits = scaling.mean.len() == columns && scaling.factor.len() == columns;
        ensure!(fits, "its parts are not of one length");
        ensure!(
            scaling.rarity.len() == BUCKETS && weights.grams.len() == BUCKETS,
            "its n-grams are not {BUCKETS}"
        );
        Ok(Self { card, scaling, weights, seen })
    }

    pub(super) fn card(encoder: &str, ridge: f64, sharpness: f64, average: f64, trials: usize) -> Card {
        Card { format: FORMAT.into(), encoder: encoder.into(), ridge, sharpness, average, trials, test: None }
    }
}
