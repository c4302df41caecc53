//! A model as safetensors bytes: the tensors it serves with, the settings as JSON in the header.

use std::collections::HashMap;

use ndarray::Array2;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Taste, TasteError, TasteSettings};

/// Name and version of the layout, in the header under `format`.
const FORMAT: &str = "bespoke.taste.v1";

fn refused(error: impl std::fmt::Display) -> TasteError {
    TasteError::Artefact(error.to_string())
}

impl Taste {
    /// The model as safetensors, the same bytes for the same model.
    ///
    /// # Errors
    /// The settings or the tensors could not be written.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, TasteError> {
        let settings = serde_json::to_string(&self.settings).map_err(refused)?;
        let (items, rank) = self.item_factors.dim();
        let tensors: [(&str, Vec<usize>, Vec<u8>); 5] = [
            ("input", vec![items], bytes(&self.input)),
            ("item_factors", vec![items, rank], bytes(&self.item_factors)),
            ("output", vec![items], bytes(&self.output)),
            ("popularity", vec![items], bytes(&self.popularity)),
            ("singular_values", vec![rank], bytes(&self.singular_values)),
        ];
        let views = tensors
            .iter()
            .map(|(name, shape, data)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(refused)?;
        // One entry: a map of more would be written in an order that changes from run to run.
        let card = format!("{{\"format\":\"{FORMAT}\",\"settings\":{settings}}}");
        safetensors::serialize(views, Some(HashMap::from([("taste".to_owned(), card)]))).map_err(refused)
    }

    /// The model in these bytes.
    ///
    /// # Errors
    /// Bytes that are no safetensors, another format, a tensor missing or of the wrong shape, a value that
    /// is not finite.
    pub fn from_safetensors(data: &[u8]) -> Result<Self, TasteError> {
        #[derive(serde::Deserialize)]
        struct Card {
            format: String,
            settings: TasteSettings,
        }
        let (_, header) = SafeTensors::read_metadata(data).map_err(refused)?;
        let card = header.metadata().as_ref().and_then(|entries| entries.get("taste"));
        let card = card.ok_or_else(|| refused("the header has no entry `taste`"))?;
        let card: Card = serde_json::from_str(card).map_err(refused)?;
        if card.format != FORMAT {
            return Err(refused(format!("format {}, wanted {FORMAT}", card.format)));
        }
        card.settings.check()?;
        let tensors = SafeTensors::deserialize(data).map_err(refused)?;
        let shape = tensors.tensor("item_factors").map_err(refused)?.shape().to_vec();
        let &[items, rank] = shape.as_slice() else {
            return Err(refused(format!("item_factors has {} dimensions, wanted 2", shape.len())));
        };
        let factors = floats(&tensors, "item_factors", &[items, rank])?;
        Ok(Self::assemble(
            card.settings,
            Array2::from_shape_vec((items, rank), factors).map_err(refused)?,
            floats(&tensors, "popularity", &[items])?,
            floats(&tensors, "singular_values", &[rank])?,
            floats(&tensors, "input", &[items])?,
            floats(&tensors, "output", &[items])?,
        ))
    }
}

fn bytes<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<u8> {
    values.into_iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(tensors: &SafeTensors, name: &str, shape: &[usize]) -> Result<Vec<f32>, TasteError> {
    let tensor = tensors.tensor(name).map_err(refused)?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        let found = (tensor.dtype(), tensor.shape());
        return Err(refused(format!("{name} is {found:?}, wanted F32 of {shape:?}")));
    }
    let (values, _) = tensor.data().as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(place) => Err(refused(format!("{name} has a value that is not finite at {place}"))),
        None => Ok(values),
    }
}
