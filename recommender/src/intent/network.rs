//! A small neural network: two hidden layers with SiLU, trained by candle with AdamW (Loshchilov and Hutter 2019) and
//! stopped where rows kept back are told best. Serving needs no candle: two small products a row.

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};
use ndarray::{Array1, Array2, ArrayView2};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use super::measure::log_loss;
use super::probability;

const HIDDEN: [usize; 2] = [32, 16];
const BATCH: usize = 256;
const EPOCHS: usize = 40;
/// Epochs without a better validation loss before training ends.
const PATIENCE: usize = 6;
const RATE: f64 = 4e-3;
const DECAY: f64 = 1e-2;

/// Weights (outputs × inputs) and biases of the layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Layers(Vec<(Vec<f32>, Vec<f32>)>);

impl Layers {
    pub(super) fn log_odds(&self, rows: ArrayView2<'_, f64>) -> Vec<f64> {
        let mut x: Array2<f32> = rows.mapv(|value| value as f32);
        for (depth, (weights, bias)) in self.0.iter().enumerate() {
            let Ok(weights) = ndarray::ArrayView2::from_shape((bias.len(), x.ncols()), weights) else {
                return vec![0.0; rows.nrows()];
            };
            x = x.dot(&weights.t()) + &Array1::from(bias.clone());
            if depth + 1 < self.0.len() {
                x.mapv_inplace(|value| value / (1.0 + (-value).exp()));
            }
        }
        x.iter().map(|value| f64::from(*value)).collect()
    }
}

/// Trains on one pair of rows and outcomes and stops by the other.
pub(super) fn fit(
    (rows, outcomes): (&Array2<f64>, &[bool]),
    (held, came): (&Array2<f64>, &[bool]),
    seed: u64,
) -> Result<Layers> {
    let mut random = StdRng::seed_from_u64(seed);
    let sizes = [rows.ncols(), HIDDEN[0], HIDDEN[1], 1];
    let vars = sizes
        .windows(2)
        .map(|pair| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let bound = (3.0 / inputs.max(1) as f32).sqrt();
            let weights: Vec<f32> =
                (0..inputs * outputs).map(|_| random.random_range(-bound..=bound)).collect();
            let weights = Var::from_vec(weights, (outputs, inputs), &Device::Cpu)?;
            Ok((weights, Var::zeros(outputs, candle_core::DType::F32, &Device::Cpu)?))
        })
        .collect::<Result<Vec<(Var, Var)>>>()?;
    let all: Vec<Var> = vars.iter().flat_map(|(weights, bias)| [weights.clone(), bias.clone()]).collect();
    let settings = ParamsAdamW { lr: RATE, weight_decay: DECAY, ..ParamsAdamW::default() };
    let mut optimiser = AdamW::new(all, settings)?;
    let mut order: Vec<usize> = (0..rows.nrows()).collect();
    let mut best = (f64::INFINITY, 0, layers(&vars)?);
    for epoch in 0..EPOCHS {
        order.shuffle(&mut random);
        for batch in order.chunks(BATCH) {
            let values: Vec<f32> =
                batch.iter().flat_map(|row| rows.row(*row).to_vec()).map(|value| value as f32).collect();
            let wanted: Vec<f32> = batch.iter().map(|row| f32::from(u8::from(outcomes[*row]))).collect();
            let x = Tensor::from_vec(values, (batch.len(), rows.ncols()), &Device::Cpu)?;
            let y = Tensor::from_vec(wanted, (batch.len(), 1), &Device::Cpu)?;
            optimiser.backward_step(&loss(&forward(&vars, x)?, &y)?)?;
        }
        let now = layers(&vars)?;
        let told: Vec<f64> = now.log_odds(held.view()).into_iter().map(probability).collect();
        let reached = log_loss(&told, came);
        if reached < best.0 {
            best = (reached, epoch, now);
        }
        if !reached.is_finite() || epoch >= best.1 + PATIENCE {
            break;
        }
    }
    Ok(best.2)
}

fn forward(vars: &[(Var, Var)], mut x: Tensor) -> Result<Tensor> {
    for (depth, (weights, bias)) in vars.iter().enumerate() {
        x = x.matmul(&weights.t()?)?.broadcast_add(bias)?;
        if depth + 1 < vars.len() {
            x = x.silu()?;
        }
    }
    Ok(x)
}

/// Mean of max(z, 0) − z·y + ln(1 + e^−|z|), the cross-entropy that no z overflows.
fn loss(z: &Tensor, y: &Tensor) -> Result<Tensor> {
    let tail = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((z.relu()? - (z * y)?)? + tail)?.mean_all()
}

fn layers(vars: &[(Var, Var)]) -> Result<Layers> {
    let of = |(weights, bias): &(Var, Var)| Ok((weights.flatten_all()?.to_vec1()?, bias.to_vec1()?));
    Ok(Layers(vars.iter().map(of).collect::<Result<_>>()?))
}
