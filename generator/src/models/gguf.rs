//! A GGUF file: its metadata, and its tensors read a few rows at a time.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use super::checkpoint::Checkpoint;
use super::hyper::{Architecture, Hyper, Rotation, Window};
use super::template::Template;
use super::tokenizer::Tokenizer;
use super::{Parts, named};

/// What the rotary frequencies of Llama 3 are divided by.
const FACTORS: &str = "rope_freqs.weight";

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
        let file = File::open(path).with_context(|| named(path))?;
        let mut file = BufReader::new(file);
        let content = Content::read(&mut file).with_context(|| format!("{} is no GGUF file", named(path)))?;
        let there = file.get_ref().metadata()?.len();
        for (name, info) in &content.tensor_infos {
            let end = end(&content, info).with_context(|| format!("{name} is larger than any file"))?;
            ensure!(end <= there, "the file is cut short: it has {there} bytes, and {name} ends at {end}");
        }
        Ok(Weights { content, file })
    }

    /// Opens a file and reads all of it but the weights.
    pub(super) fn parts(path: &Path, context: usize) -> anyhow::Result<Parts> {
        let mut weights = Weights::open(path)?;
        let hyper = weights.hyper(context)?;
        let tokenizer = Tokenizer::of_gguf(&weights).context("the tokenizer")?;
        let template = match weights.string("tokenizer.chat_template") {
            Ok(source) => Template::new(source).context("the chat template")?,
            Err(_) => Template::plain()?,
        };
        let (parameters, quantisation) = (weights.parameters(), weights.quantisation());
        let (checkpoint, files) = (Box::new(weights), vec![path.to_owned()]);
        Ok(Parts { hyper, tokenizer, template, parameters, quantisation, checkpoint, files })
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

    /// The shape of the model, with sequences of at most `context` tokens.
    pub fn hyper(&mut self, context: usize) -> anyhow::Result<Hyper> {
        let name = self.string("general.architecture")?.to_owned();
        let architecture = Architecture::named(&name)?;
        let key = |part: &str| format!("{name}.{part}");
        ensure!(self.maybe_count(&key("expert_count"))?.unwrap_or(0) == 0, "experts are not supported");
        let hidden = self.count(&key("embedding_length"))?;
        let heads = self.count(&key("attention.head_count"))?;
        ensure!(heads > 0, "a model without heads");
        let head = self.maybe_count(&key("attention.key_length"))?.unwrap_or(hidden / heads);
        let rotary = self.maybe_count(&key("rope.dimension_count"))?.unwrap_or(head);
        let stretch = match self.string(&key("rope.scaling.type")) {
            Ok("linear") => self.number(&key("rope.scaling.factor"))?,
            Ok("none") | Err(_) => 1.0,
            Ok(other) => bail!("rotary scaling {other} is not supported: linear is"),
        };
        let has_base = self.value(&key("rope.freq_base")).is_some();
        let base = if has_base { self.number(&key("rope.freq_base"))? } else { 10_000.0 };
        let factors =
            if self.has(FACTORS) { Some(Checkpoint::vector(self, FACTORS, rotary / 2)?) } else { None };
        let window = if architecture == Architecture::Gemma3 {
            // The period and the base of the layers with a window are the family's; the file does not tell them.
            let rotation = Rotation { base: 10_000.0, stretch: 1.0, factors: None };
            let size = self.maybe_count(&key("attention.sliding_window"))?;
            size.map(|size| Window { size, period: 6, rotation })
        } else {
            None
        };
        Hyper {
            architecture,
            layers: self.count(&key("block_count"))?,
            hidden,
            inner: self.count(&key("feed_forward_length"))?,
            heads,
            kv_heads: self.maybe_count(&key("attention.head_count_kv"))?.unwrap_or(heads),
            head,
            rotary,
            rotation: Rotation { base, stretch, factors },
            interleaved: architecture == Architecture::Llama,
            window,
            epsilon: self.number(&key("attention.layer_norm_rms_epsilon"))?,
            context: self.count(&key("context_length"))?.min(context.max(2)),
        }
        .checked()
    }

    /// The names of all tensors.
    #[cfg(test)]
    pub(super) fn tensors(&self) -> Vec<String> {
        self.content.tensor_infos.keys().cloned().collect()
    }

    /// A tensor in full precision.
    #[cfg(test)]
    pub(super) fn dequantise(&mut self, name: &str) -> anyhow::Result<candle_core::Tensor> {
        Ok(self.content.tensor(&mut self.file, name, &Device::Cpu)?.dequantize(&Device::Cpu)?)
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

impl Checkpoint for Weights {
    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn shape(&self, name: &str) -> anyhow::Result<(usize, usize)> {
        self.info(name)?.shape.dims2().with_context(|| name.to_owned())
    }

    fn vector(&mut self, name: &str, length: usize) -> anyhow::Result<Vec<f32>> {
        let tensor =
            self.content.tensor(&mut self.file, name, &Device::Cpu).with_context(|| name.to_owned())?;
        let values = tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        ensure!(values.len() == length, "{name} has {} values, not {length}", values.len());
        Ok(values)
    }

    fn each_rows(
        &mut self,
        name: &str,
        take: &mut dyn FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let ((rows, columns), dtype) = (self.shape(name)?, self.info(name)?.ggml_dtype);
        ensure!(columns.is_multiple_of(dtype.block_size()), "{name}: rows of {columns} cut a block");
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
}

/// Where a tensor ends in its file, unless that is more than can be counted.
fn end(content: &Content, info: &TensorInfo) -> Option<u64> {
    let many = info.shape.dims().iter().try_fold(1usize, |many, side| many.checked_mul(*side))?;
    let bytes = (many / info.ggml_dtype.block_size()).checked_mul(info.ggml_dtype.type_size())?;
    content.tensor_data_offset.checked_add(info.offset)?.checked_add(bytes as u64)
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
