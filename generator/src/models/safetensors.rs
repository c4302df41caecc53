//! A folder of safetensors as the model hub has them: `config.json`, `tokenizer.json` and the weights, in one file or
//! in several with an index.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use half::{bf16, f16};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::hyper::{Architecture, Hyper, Rotation, Window};
use super::template::Template;
use super::tokenizer::Tokenizer;
use super::{Parts, named};

/// How many weights are held as floats at once while a matrix is converted.
const CHUNK: usize = 1 << 21;

/// The longest header that is believed, bytes.
const HEADER: u64 = 100 << 20;

/// `config.json`, as far as the forward pass needs it.
#[derive(Debug, Deserialize)]
struct Config {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: Option<f32>,
    rope_scaling: Option<HashMap<String, Value>>,
    rope_local_base_freq: Option<f32>,
    sliding_window: Option<usize>,
    sliding_window_pattern: Option<usize>,
    #[serde(default)]
    tie_word_embeddings: Option<bool>,
    eos_token_id: Option<Value>,
}

/// A tensor's place.
#[derive(Debug)]
struct Place {
    file: usize,
    kind: Number,
    shape: Vec<usize>,
    start: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Number {
    F32,
    F16,
    BF16,
}

impl Number {
    fn bytes(self) -> usize {
        if self == Number::F32 { 4 } else { 2 }
    }

    fn floats(self, bytes: &[u8]) -> Vec<f32> {
        let halves = bytes.as_chunks::<2>().0.iter();
        match self {
            Number::F32 => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Number::F16 => halves.map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            Number::BF16 => halves.map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// The weights of a folder.
pub struct Folder {
    files: Vec<File>,
    places: HashMap<String, Place>,
    architecture: Architecture,
    tied: bool,
}

impl Folder {
    /// Opens a folder and reads all of it but the weights.
    pub(super) fn parts(path: &Path, context: usize) -> anyhow::Result<Parts> {
        let config: Config = json(&path.join("config.json"))?;
        let hyper = hyper(&config, context)?;
        let files = files(path)?;
        let folder = Folder::open(&files, hyper.architecture, config.tie_word_embeddings)?;
        let generation: Option<HashMap<String, Value>> = maybe(&path.join("generation_config.json"))?;
        let also = generation.as_ref().and_then(|generation| generation.get("eos_token_id"));
        let ends = config.eos_token_id.iter().chain(also).flat_map(ids).collect();
        let tokenizer = Tokenizer::of_file(&path.join("tokenizer.json"), ends).context("tokenizer.json")?;
        let about: Option<HashMap<String, Value>> = maybe(&path.join("tokenizer_config.json"))?;
        let own = std::fs::read_to_string(path.join("chat_template.jinja")).ok();
        let told = about.and_then(|about| Some(about.get("chat_template")?.as_str()?.to_owned()));
        let template = match own.or(told) {
            Some(source) => Template::new(&source).context("the chat template")?,
            None => Template::plain()?,
        };
        Ok(Parts {
            hyper,
            tokenizer,
            template,
            parameters: folder
                .places
                .values()
                .map(|place| place.shape.iter().product::<usize>() as u64)
                .sum(),
            quantisation: folder.quantisation(),
            checkpoint: Box::new(folder),
            files,
        })
    }

    fn open(paths: &[PathBuf], architecture: Architecture, tied: Option<bool>) -> anyhow::Result<Folder> {
        let mut folder = Folder { files: Vec::new(), places: HashMap::new(), architecture, tied: false };
        for path in paths {
            folder.add(path).with_context(|| named(path))?;
        }
        folder.tied = tied.unwrap_or(!folder.places.contains_key("lm_head.weight"));
        Ok(folder)
    }

    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut file = File::open(path)?;
        let there = file.metadata()?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).context("no safetensors")?;
        let length = u64::from_le_bytes(length);
        ensure!(length <= HEADER && length + 8 <= there, "no safetensors: a header of {length} bytes");
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header)?;
        let header: HashMap<String, Value> = serde_json::from_slice(&header).context("its header")?;
        for (name, value) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
            let Header { dtype, shape, data_offsets: (start, end) } = serde_json::from_value(value)?;
            let kind = serde_json::from_value(Value::String(dtype.clone()));
            let kind: Number =
                kind.with_context(|| format!("{name} is {dtype}; F32, F16 and BF16 are supported"))?;
            let bytes = shape.iter().product::<usize>() * kind.bytes();
            ensure!(end.checked_sub(start) == Some(bytes as u64), "{name} has another size than its shape");
            ensure!(8 + length + end <= there, "the file is cut short: {name} ends behind it");
            let place = Place { file: self.files.len(), kind, shape, start: 8 + length + start };
            self.places.insert(name, place);
        }
        self.files.push(file);
        Ok(())
    }

    fn quantisation(&self) -> String {
        let mut totals: BTreeMap<String, usize> = BTreeMap::new();
        for place in self.places.values() {
            *totals.entry(format!("{:?}", place.kind)).or_default() += place.shape.iter().product::<usize>();
        }
        totals.into_iter().max_by_key(|(_, total)| *total).map(|(kind, _)| kind).unwrap_or_default()
    }

    fn place(&self, name: &str) -> anyhow::Result<&Place> {
        let theirs = theirs(name, self.architecture);
        let found = self.places.get(&theirs).or_else(|| self.places.get(&format!("language_model.{theirs}")));
        found.with_context(|| format!("there is no tensor {theirs}"))
    }

    fn read(&mut self, name: &str, skip: usize, count: usize) -> anyhow::Result<Vec<f32>> {
        let place = self.place(name)?;
        let (file, kind) = (place.file, place.kind);
        let start = place.start + (skip * kind.bytes()) as u64;
        let mut bytes = vec![0; count * kind.bytes()];
        let file = &mut self.files[file];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes).with_context(|| format!("{name} is cut short"))?;
        Ok(kind.floats(&bytes))
    }
}

impl Checkpoint for Folder {
    fn has(&self, name: &str) -> bool {
        !(name == "output.weight" && self.tied) && self.place(name).is_ok()
    }

    fn shape(&self, name: &str) -> anyhow::Result<(usize, usize)> {
        match self.place(name)?.shape[..] {
            [rows, columns] => Ok((rows, columns)),
            ref other => bail!("{name} is no matrix: {other:?}"),
        }
    }

    fn vector(&mut self, name: &str, length: usize) -> anyhow::Result<Vec<f32>> {
        let found: usize = self.place(name)?.shape.iter().product();
        ensure!(found == length, "{name} has {found} values, not {length}");
        let mut values = self.read(name, 0, length)?;
        // Gemma's norms are kept as what they differ from 1; GGUF has them whole.
        if self.architecture == Architecture::Gemma3 {
            for value in &mut values {
                *value += 1.0;
            }
        }
        Ok(values)
    }

    fn each_rows(
        &mut self,
        name: &str,
        take: &mut dyn FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (rows, columns) = self.shape(name)?;
        let most = (CHUNK / columns.max(1)).max(1);
        for first in (0..rows).step_by(most) {
            let values = self.read(name, first * columns, most.min(rows - first) * columns)?;
            take(&values)?;
        }
        Ok(())
    }
}

/// The hub's name of what GGUF names so.
pub(super) fn theirs(name: &str, architecture: Architecture) -> String {
    let whole = match name {
        "token_embd.weight" => "model.embed_tokens.weight",
        "output_norm.weight" => "model.norm.weight",
        "output.weight" => "lm_head.weight",
        _ => "",
    };
    let Some((index, part)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        return whole.to_owned();
    };
    let (part, ending) = part.rsplit_once('.').unwrap_or((part, ""));
    let part = match part {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "attn_output" => "self_attn.o_proj",
        "ffn_norm" if architecture.post_norms() => "pre_feedforward_layernorm",
        // Gemma norms what attention adds; the others have that name for the norm in front of the feed-forward.
        "ffn_norm" | "post_attention_norm" => "post_attention_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        "post_ffw_norm" => "post_feedforward_layernorm",
        other => other,
    };
    format!("model.layers.{index}.{part}.{ending}")
}

fn hyper(config: &Config, context: usize) -> anyhow::Result<Hyper> {
    let architecture = Architecture::named(match config.model_type.as_str() {
        "gemma3_text" => "gemma3",
        other => other,
    })?;
    ensure!(config.num_attention_heads > 0, "a model without heads");
    let head = config.head_dim.unwrap_or(config.hidden_size / config.num_attention_heads);
    let base = config.rope_theta.unwrap_or(if architecture == Architecture::Gemma3 { 1e6 } else { 1e4 });
    let mut rotation = Rotation { base, stretch: 1.0, factors: None };
    if let Some(scaling) = &config.rope_scaling {
        scale(&mut rotation, scaling, head)?;
    }
    let windowed = architecture == Architecture::Gemma3;
    let near = Rotation { base: config.rope_local_base_freq.unwrap_or(1e4), stretch: 1.0, factors: None };
    let period = config.sliding_window_pattern.unwrap_or(6);
    let window =
        config.sliding_window.filter(|_| windowed).map(|size| Window { size, period, rotation: near });
    Hyper {
        architecture,
        layers: config.num_hidden_layers,
        hidden: config.hidden_size,
        inner: config.intermediate_size,
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads.unwrap_or(config.num_attention_heads),
        head,
        rotary: head,
        rotation,
        interleaved: false,
        window,
        epsilon: config.rms_norm_eps,
        context: config.max_position_embeddings.min(context.max(2)),
    }
    .checked()
}

/// Stretches a rotation as `rope_scaling` asks: `linear`, or by wavelength as Llama 3.1 does.
fn scale(rotation: &mut Rotation, scaling: &HashMap<String, Value>, head: usize) -> anyhow::Result<()> {
    let number = |key: &str| {
        let found = scaling.get(key).and_then(Value::as_f64);
        found.with_context(|| format!("rope_scaling has no {key}"))
    };
    let kind = scaling.get("rope_type").or(scaling.get("type")).and_then(Value::as_str).unwrap_or("default");
    match kind {
        "default" => {}
        "linear" => rotation.stretch = number("factor")? as f32,
        "llama3" => {
            let (factor, trained) = (number("factor")?, number("original_max_position_embeddings")?);
            let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
            let factors = (0..head / 2).map(|pair| {
                let frequency = f64::from(rotation.base).powf(-2.0 * pair as f64 / head as f64);
                // How many turns the training context saw.
                let turns = trained * frequency / std::f64::consts::TAU;
                let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            });
            rotation.factors = Some(factors.collect());
        }
        other => bail!("rotary scaling {other} is not supported: linear and llama3 are"),
    }
    Ok(())
}

/// The files of weights in a folder.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let single = path.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index: Index = json(&path.join("model.safetensors.index.json"))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    let inside = |name: &String| Path::new(name).components().count() == 1 && !name.contains("..");
    ensure!(!names.is_empty() && names.iter().all(inside), "the index names no files of this folder");
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}

fn ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    value
        .as_array()
        .map_or_else(|| id(value).into_iter().collect(), |all| all.iter().filter_map(id).collect())
}

fn json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| named(path))?;
    serde_json::from_slice(&text).with_context(|| named(path))
}

fn maybe<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    if path.is_file() { json(path).map(Some) } else { Ok(None) }
}
