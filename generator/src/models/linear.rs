//! A matrix that is multiplied with rows of activations, quantised to eight bits.

use std::borrow::Cow;

use anyhow::ensure;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{CpuStorage, Device, Storage, Tensor};

use super::gguf::Weights;

/// The tiled kernels want the inner dimension in whole blocks of this many.
const BLOCK: usize = 256;

/// y = W·x + b.
pub struct Linear {
    weight: QTensor,
    bias: Option<Vec<f32>>,
    inputs: usize,
    padded: usize,
    outputs: usize,
}

impl Linear {
    /// Reads a matrix of `outputs` × `inputs`, padding its rows with noughts to whole blocks. What is not in a
    /// form the fast kernels take is requantised to eight bits.
    pub fn read(weights: &mut Weights, name: &str, outputs: usize, inputs: usize) -> anyhow::Result<Linear> {
        let (rows, columns, dtype) = weights.shape(name)?;
        ensure!(
            (rows, columns) == (outputs, inputs),
            "{name} is {rows} × {columns}, not {outputs} × {inputs}"
        );
        let padded = inputs.next_multiple_of(BLOCK);
        let kept = padded == inputs && matches!(dtype, GgmlDType::Q4K | GgmlDType::Q8_0);
        let weight =
            if kept { weights.tensor(name)? } else { requantise(weights, name, outputs, inputs, padded)? };
        Ok(Linear { weight, bias: None, inputs, padded, outputs })
    }

    /// The same with a bias.
    pub fn with_bias(mut self, bias: Vec<f32>) -> Linear {
        self.bias = Some(bias);
        self
    }

    /// How many values come out for a row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Multiplies whole rows, `inputs` values each.
    pub fn forward(&self, rows: &[f32]) -> anyhow::Result<Vec<f32>> {
        let many = rows.len() / self.inputs;
        let mut padded = rows.to_vec();
        if self.padded != self.inputs {
            padded = vec![0.0; many * self.padded];
            for (to, from) in padded.chunks_exact_mut(self.padded).zip(rows.chunks_exact(self.inputs)) {
                to[..self.inputs].copy_from_slice(from);
            }
        }
        let rows = Tensor::from_vec(padded, (many, self.padded), &Device::Cpu)?;
        let product = rows.apply_op1_no_bwd(&self.weight)?;
        let (storage, _) = product.storage_and_layout();
        let Storage::Cpu(CpuStorage::F32(values)) = &*storage else {
            anyhow::bail!("a product that is not in memory as floats");
        };
        let mut out = values.clone();
        if let Some(bias) = &self.bias {
            out.chunks_exact_mut(self.outputs).for_each(|row| super::maths::add(row, bias));
        }
        Ok(out)
    }
}

fn requantise(
    weights: &mut Weights,
    name: &str,
    outputs: usize,
    inputs: usize,
    padded: usize,
) -> anyhow::Result<QTensor> {
    let dtype = GgmlDType::Q8_0;
    let mut bytes = Vec::with_capacity(outputs * padded / dtype.block_size() * dtype.type_size());
    weights.each_rows(name, |rows| {
        let many = rows.len() / inputs;
        let mut wide = vec![0.0; many * padded];
        for (to, from) in wide.chunks_exact_mut(padded).zip(rows.chunks_exact(inputs)) {
            to[..inputs].copy_from_slice(from);
        }
        let wide = Tensor::from_vec(wide, (many, padded), &Device::Cpu)?;
        bytes.extend_from_slice(&QTensor::quantize(&wide, dtype)?.data()?);
        Ok(())
    })?;
    let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype)?;
    Ok(QTensor::new(storage, (outputs, padded))?)
}
