//! Products on a device of candle's: a card with CUDA.
//!
//! Only products go there, for nearly all the time goes into them: their rows travel to the device and back, and keys and
//! values stay here, so that prefixes are shared and sequences come and go as they do without a card.

use std::borrow::Cow;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{Device, Module as _, Tensor};
use serde::{Deserialize, Serialize};

/// How weights lie on a device: eight bits, as here.
const KIND: GgmlDType = GgmlDType::Q8_0;

/// Where a model's products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// On the processor, by kernels of our own.
    #[default]
    Processor,
    /// On the card of that number, by candle's.
    Card(usize),
}

impl Place {
    /// Whether this program was built to compute there.
    pub fn is_built(self) -> bool {
        self == Place::Processor || candle_core::utils::cuda_is_available()
    }

    /// The device; none for the processor.
    pub fn open(self) -> anyhow::Result<Option<Device>> {
        match self {
            Place::Processor => Ok(None),
            Place::Card(number) => {
                Ok(Some(Device::new_cuda(number).with_context(|| format!("the card {self} cannot be used"))?))
            }
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Place::Processor),
            None if text == "cuda" => Ok(Place::Card(0)),
            Some(("cuda", number)) => {
                number.parse().map(Place::Card).map_err(|_| format!("{number:?} is no number of a card"))
            }
            _ => Err(format!("{text:?} is no device: cpu, cuda and cuda:NUMBER are")),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Place, String> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.to_string()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Processor => f.write_str("cpu"),
            Place::Card(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// A matrix on its way to a device.
pub struct Gathered {
    columns: usize,
    bytes: Vec<u8>,
}

impl Gathered {
    /// Of no rows yet, of so many columns.
    pub fn new(columns: usize) -> anyhow::Result<Gathered> {
        let block = KIND.block_size();
        ensure!(
            columns.is_multiple_of(block),
            "a device takes rows of whole blocks of {block}, not of {columns}"
        );
        Ok(Gathered { columns, bytes: Vec::new() })
    }

    /// Quantises the next rows.
    pub fn fill(&mut self, rows: &[f32]) -> anyhow::Result<()> {
        let floats = Tensor::from_slice(rows, (rows.len() / self.columns, self.columns), &Device::Cpu)?;
        self.bytes.extend_from_slice(&QTensor::quantize(&floats, KIND)?.data()?);
        Ok(())
    }

    /// Puts all rows there.
    pub fn onto(self, device: &Device) -> anyhow::Result<Offloaded> {
        let blocks = self.bytes.len() / KIND.type_size();
        let rows = blocks / (self.columns / KIND.block_size());
        let bytes = self.bytes.len();
        let storage = QStorage::from_data(Cow::Owned(self.bytes), device, KIND)?;
        let weights = QMatMul::from_qtensor(QTensor::new(storage, (rows, self.columns))?)?;
        Ok(Offloaded { weights, device: device.clone(), rows, columns: self.columns, bytes })
    }
}

/// A matrix on a device.
pub struct Offloaded {
    weights: QMatMul,
    device: Device,
    rows: usize,
    columns: usize,
    bytes: usize,
}

impl Offloaded {
    /// How many rows there are: the values that come out for one row of activations.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Multiplies whole rows of activations.
    pub fn multiply(&self, rows: &[f32]) -> anyhow::Result<Vec<f32>> {
        let rows = Tensor::from_slice(rows, (rows.len() / self.columns, self.columns), &self.device)?;
        let out = self.weights.forward(&rows).context("a product on the device")?;
        Ok(out.flatten_all()?.to_vec1()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_as_it_is_written() {
        for (text, place) in [("cpu", Place::Processor), ("cuda", Place::Card(0)), ("cuda:3", Place::Card(3))]
        {
            assert_eq!(text.parse(), Ok(place));
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for (text, why) in
            [("gpu", "cuda:NUMBER"), ("cuda:", "no number"), ("cuda:-1", "no number"), ("", "no device")]
        {
            let error = text.parse::<Place>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn rows_that_cut_a_block_do_not_go_to_a_device() {
        let error = Gathered::new(48).err().unwrap().to_string();
        assert!(error.contains("32") && error.contains("48"), "{error}");
    }
}
