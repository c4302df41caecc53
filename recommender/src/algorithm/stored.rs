//! Models as bytes: the tensors they serve with as safetensors, what they were fitted with as JSON in its header.
//!
//! Each algorithm has one form; a blend holds its parts' tensors under the place of each. A model that comes back
//! scores as before, bit for bit.

use std::collections::HashMap;

use ndarray::Array2;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;

use super::{Als, Blend, Model, Neighbours, Popularity, Settings};
use crate::matrix::Csr;
use crate::taste::Taste;

/// The entry of the header, and the name and version of the layout in it.
const ENTRY: &str = "model";
const FORMAT: &str = "bespoke.model.v1";
/// What models of tastes were stored as when there were no others: the same tensors.
const OLD_ENTRY: &str = "taste";
const OLD_FORMAT: &str = "bespoke.taste.v1";

/// The bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a model: {0}")]
pub struct NotAModel(String);

fn refused(error: impl std::fmt::Display) -> NotAModel {
    NotAModel(error.to_string())
}

/// The tensors of a model that is being stored.
#[derive(Debug, Default)]
pub struct Tensors {
    /// What names begin with.
    under: String,
    all: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Tensors {
    fn add<const N: usize>(
        &mut self,
        name: &str,
        dtype: Dtype,
        shape: Vec<usize>,
        values: impl Iterator<Item = [u8; N]>,
    ) {
        self.all.push((format!("{}{name}", self.under), dtype, shape, values.flatten().collect()));
    }

    pub(crate) fn vector(&mut self, name: &str, values: &[f32]) {
        self.add(name, Dtype::F32, vec![values.len()], values.iter().map(|x| x.to_le_bytes()));
    }

    pub(crate) fn matrix(&mut self, name: &str, values: &Array2<f32>) {
        let shape = vec![values.nrows(), values.ncols()];
        self.add(name, Dtype::F32, shape, values.iter().map(|x| x.to_le_bytes()));
    }

    /// A sparse matrix as three vectors: `starts`, `columns`, `values`.
    pub(crate) fn sparse(&mut self, name: &str, matrix: &Csr) {
        let (starts, columns, values) = matrix.parts();
        let part = |part: &str| format!("{name}.{part}");
        let wide = starts.iter().map(|&start| (start as u64).to_le_bytes());
        self.add(&part("starts"), Dtype::U64, vec![starts.len()], wide);
        self.add(&part("columns"), Dtype::U32, vec![columns.len()], columns.iter().map(|x| x.to_le_bytes()));
        self.vector(&part("values"), values);
    }

    /// All of them as safetensors, with `card` in the header; the same bytes for the same tensors.
    pub(crate) fn write(&self, card: &str) -> Result<Vec<u8>, NotAModel> {
        let views = self.all.iter().map(|(name, dtype, shape, data)| {
            Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?))
        });
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>().map_err(refused)?;
        // One entry: a map of more would be written in an order that changes from run to run.
        let header = HashMap::from([(ENTRY.to_owned(), card.to_owned())]);
        safetensors::serialize(views, Some(header)).map_err(refused)
    }

    /// The tensors that `write` adds, under the place of a part.
    pub(crate) fn part(&mut self, place: usize, write: impl FnOnce(&mut Self)) {
        let above = self.under.clone();
        self.under = format!("{above}{place}.");
        write(self);
        self.under = above;
    }
}

/// The tensors of a stored model.
#[derive(Debug)]
pub struct StoredTensors<'a> {
    under: String,
    tensors: &'a SafeTensors<'a>,
}

impl<'a> StoredTensors<'a> {
    pub(crate) fn of(tensors: &'a SafeTensors<'a>) -> Self {
        Self { under: String::new(), tensors }
    }
}

impl StoredTensors<'_> {
    fn get(&self, name: &str, dtype: Dtype, dimensions: usize) -> Result<TensorView<'_>, NotAModel> {
        let name = format!("{}{name}", self.under);
        let tensor = self.tensors.tensor(&name).map_err(refused)?;
        if tensor.dtype() != dtype || tensor.shape().len() != dimensions {
            let found = (tensor.dtype(), tensor.shape());
            return Err(refused(format!("{name} is {found:?}, wanted {dtype:?} in {dimensions} dimensions")));
        }
        Ok(tensor)
    }

    fn floats(&self, name: &str, tensor: &TensorView) -> Result<Vec<f32>, NotAModel> {
        let (values, _) = tensor.data().as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(place) => {
                Err(refused(format!("{}{name} has a value that is not finite at {place}", self.under)))
            }
            None => Ok(values),
        }
    }

    pub(crate) fn vector_of_any_length(&self, name: &str) -> Result<Vec<f32>, NotAModel> {
        self.floats(name, &self.get(name, Dtype::F32, 1)?)
    }

    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, NotAModel> {
        let values = self.vector_of_any_length(name)?;
        if values.len() != length {
            let found = values.len();
            return Err(refused(format!("{}{name} has {found} values, wanted {length}", self.under)));
        }
        Ok(values)
    }

    pub(crate) fn matrix(&self, name: &str) -> Result<Array2<f32>, NotAModel> {
        let tensor = self.get(name, Dtype::F32, 2)?;
        let shape = (tensor.shape()[0], tensor.shape()[1]);
        Array2::from_shape_vec(shape, self.floats(name, &tensor)?).map_err(refused)
    }

    /// A square sparse matrix.
    pub(crate) fn sparse(&self, name: &str) -> Result<Csr, NotAModel> {
        let part = |part: &str| format!("{name}.{part}");
        let starts = self.get(&part("starts"), Dtype::U64, 1)?;
        let (starts, _) = starts.data().as_chunks::<8>();
        let starts: Vec<usize> = starts.iter().map(|x| u64::from_le_bytes(*x) as usize).collect();
        let columns = self.get(&part("columns"), Dtype::U32, 1)?;
        let (columns, _) = columns.data().as_chunks::<4>();
        let columns: Vec<u32> = columns.iter().map(|x| u32::from_le_bytes(*x)).collect();
        let values = self.vector(&part("values"), columns.len())?;
        let width = starts.len().saturating_sub(1);
        Csr::of_parts(width, starts, columns, values)
            .ok_or_else(|| refused(format!("{}{name} is not a sparse matrix in compressed rows", self.under)))
    }

    fn part(&self, place: usize) -> StoredTensors<'_> {
        StoredTensors { under: format!("{}{place}.", self.under), tensors: self.tensors }
    }

    fn model(&self, settings: Settings) -> Result<Box<dyn Model>, NotAModel> {
        Ok(match settings {
            Settings::Svd(settings) => Box::new(Taste::read(settings, self)?),
            Settings::Als(settings) => Box::new(Als::read(settings, self)?),
            Settings::Popularity(_) => Box::new(Popularity::read(self)?),
            Settings::Blend(settings) => {
                let parts = settings.parts.into_iter().enumerate();
                let parts =
                    parts.map(|(place, part)| Ok((part.weight, self.part(place).model(part.settings)?)));
                Box::new(Blend::read(parts.collect::<Result<_, NotAModel>>()?)?)
            }
            table @ (Settings::Ease(_) | Settings::ItemKnn(_) | Settings::Transition(_)) => {
                Box::new(Neighbours::read(table, self)?)
            }
        })
    }
}

impl NotAModel {
    pub(crate) fn of(why: impl std::fmt::Display) -> Self {
        refused(why)
    }
}

/// The model as safetensors, the same bytes for the same model.
///
/// # Errors
/// The settings or the tensors could not be written.
pub fn to_safetensors(model: &dyn Model) -> Result<Vec<u8>, NotAModel> {
    let settings = serde_json::to_string(&model.settings()).map_err(refused)?;
    let mut tensors = Tensors::default();
    model.store(&mut tensors);
    tensors.write(&format!("{{\"format\":\"{FORMAT}\",\"settings\":{settings}}}"))
}

/// The model in these bytes.
///
/// # Errors
/// Bytes that are no safetensors, another format, settings out of range, a tensor missing or of the wrong shape, a
/// value that is not finite.
pub fn from_safetensors(data: &[u8]) -> Result<Box<dyn Model>, NotAModel> {
    #[derive(Deserialize)]
    struct Card<S> {
        format: String,
        settings: S,
    }
    let (_, header) = SafeTensors::read_metadata(data).map_err(refused)?;
    let entries = header.metadata().as_ref();
    let entry = |name: &str| entries.and_then(|entries| entries.get(name));
    let (format, wanted, settings) = if let Some(card) = entry(ENTRY) {
        let card: Card<Settings> = serde_json::from_str(card).map_err(refused)?;
        (card.format, FORMAT, card.settings)
    } else if let Some(card) = entry(OLD_ENTRY) {
        let card: Card<crate::taste::TasteSettings> = serde_json::from_str(card).map_err(refused)?;
        (card.format, OLD_FORMAT, Settings::Svd(card.settings))
    } else {
        return Err(refused(format!("the header has no entry `{ENTRY}`")));
    };
    if format != wanted {
        return Err(refused(format!("format {format}, wanted {wanted}")));
    }
    settings.check().map_err(refused)?;
    let tensors = SafeTensors::deserialize(data).map_err(refused)?;
    StoredTensors::of(&tensors).model(settings)
}
