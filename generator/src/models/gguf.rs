//! A GGUF file: its metadata, and its tensors read a few rows at a time.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, bail};
use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

/// How many weights are held as floats at once while a matrix is converted.
const CHUNK: usize = 1 << 21;

/// An open model file.
pub struct Weights {
    content: Content,
    file: BufReader<File>,
}

impl Weights {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> anyhow::Result<Weights> {
        let file = File::open(path).with_context(|| format!("{}", path.display()))?;
        let mut file = BufReader::new(file);
        let content =
            Content::read(&mut file).with_context(|| format!("{} is no GGUF file", path.display()))?;
        Ok(Weights { content, file })
    }

    /// A metadata value, where there is one.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    /// A text that must be there.
    pub fn string(&self, key: &str) -> anyhow::Result<&str> {
        Ok(self.required(key)?.to_string().with_context(|| key.to_owned())?.as_str())
    }

    /// A count that must be there.
    pub fn count(&self, key: &str) -> anyhow::Result<usize> {
        count(self.required(key)?).with_context(|| key.to_owned())
    }

    /// A count that may be there.
    pub fn maybe_count(&self, key: &str) -> anyhow::Result<Option<usize>> {
        self.value(key).map(count).transpose().with_context(|| key.to_owned())
    }

    /// A number that must be there.
    pub fn number(&self, key: &str) -> anyhow::Result<f32> {
        self.required(key)?.to_f32().with_context(|| key.to_owned())
    }

    /// A list that must be there.
    pub fn list(&self, key: &str) -> anyhow::Result<&[Value]> {
        Ok(self.required(key)?.to_vec().with_context(|| key.to_owned())?)
    }

    fn required(&self, key: &str) -> anyhow::Result<&Value> {
        self.value(key).with_context(|| format!("the file has no {key}"))
    }

    /// Whether a tensor is in the file.
    pub fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// The rows and columns of a matrix, and how it is quantised.
    pub fn shape(&self, name: &str) -> anyhow::Result<(usize, usize, GgmlDType)> {
        let info = self.info(name)?;
        let (rows, columns) = info.shape.dims2().with_context(|| name.to_owned())?;
        Ok((rows, columns, info.ggml_dtype))
    }

    /// A vector, as floats.
    pub fn vector(&mut self, name: &str, length: usize) -> anyhow::Result<Vec<f32>> {
        let tensor = self.tensor(name)?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        anyhow::ensure!(tensor.len() == length, "{name} has {} values, not {length}", tensor.len());
        Ok(tensor)
    }

    /// A tensor just as it is stored.
    pub fn tensor(&mut self, name: &str) -> anyhow::Result<QTensor> {
        self.content.tensor(&mut self.file, name, &Device::Cpu).with_context(|| name.to_owned())
    }

    /// Hands the rows of a matrix on as floats, a few at a time, so a large one never stands in memory whole.
    pub fn each_rows(
        &mut self,
        name: &str,
        mut take: impl FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (rows, columns, dtype) = self.shape(name)?;
        anyhow::ensure!(columns.is_multiple_of(dtype.block_size()), "{name}: rows of {columns} cut a block");
        let offset = self.content.tensor_data_offset + self.info(name)?.offset;
        self.file.seek(SeekFrom::Start(offset))?;
        let row = columns / dtype.block_size() * dtype.type_size();
        let most = (CHUNK / columns).max(1);
        let mut done = 0;
        while done < rows {
            let now = most.min(rows - done);
            let mut bytes = vec![0; now * row];
            self.file.read_exact(&mut bytes).with_context(|| format!("{name} is cut short"))?;
            let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype)?;
            let floats = QTensor::new(storage, (now, columns))?.dequantize(&Device::Cpu)?;
            take(&floats.flatten_all()?.to_vec1::<f32>()?)?;
            done += now;
        }
        Ok(())
    }

    /// How many weights the file holds.
    pub fn parameters(&self) -> u64 {
        self.content.tensor_infos.values().map(|info| info.shape.elem_count() as u64).sum()
    }

    /// The name of the file's quantisation, else of the type most of its weights have.
    pub fn quantisation(&self) -> String {
        let named = self.value("general.file_type").and_then(|value| count(value).ok()).and_then(file_type);
        if let Some(name) = named {
            return name.to_owned();
        }
        let mut totals: Vec<(GgmlDType, usize)> = Vec::new();
        for info in self.content.tensor_infos.values() {
            let many = info.shape.elem_count();
            match totals.iter_mut().find(|(dtype, _)| *dtype == info.ggml_dtype) {
                Some((_, total)) => *total += many,
                None => totals.push((info.ggml_dtype, many)),
            }
        }
        totals
            .into_iter()
            .max_by_key(|(_, total)| *total)
            .map_or_else(String::new, |(dtype, _)| format!("{dtype:?}"))
    }

    fn info(&self, name: &str) -> anyhow::Result<&TensorInfo> {
        self.content.tensor_infos.get(name).with_context(|| format!("the file has no tensor {name}"))
    }
}

/// The name llama.cpp gives a `general.file_type`.
fn file_type(code: usize) -> Option<&'static str> {
    const NAMES: [(usize, &str); 15] = [
        (0, "F32"),
        (1, "F16"),
        (2, "Q4_0"),
        (3, "Q4_1"),
        (7, "Q8_0"),
        (8, "Q5_0"),
        (9, "Q5_1"),
        (10, "Q2_K"),
        (12, "Q3_K_M"),
        (14, "Q4_K_S"),
        (15, "Q4_K_M"),
        (16, "Q5_K_S"),
        (17, "Q5_K_M"),
        (18, "Q6_K"),
        (32, "BF16"),
    ];
    NAMES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

fn count(value: &Value) -> anyhow::Result<usize> {
    let number = match value {
        Value::U8(n) => u64::from(*n),
        Value::U16(n) => u64::from(*n),
        Value::U32(n) => u64::from(*n),
        Value::U64(n) => *n,
        Value::I32(n) => u64::try_from(*n)?,
        Value::I64(n) => u64::try_from(*n)?,
        other => bail!("{other:?} is no count"),
    };
    Ok(usize::try_from(number)?)
}
