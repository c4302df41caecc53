//! The models the engine can run: files read into weights, a tokenizer and a chat template.

pub mod activations;
pub mod attention;
pub mod checkpoint;
pub mod gguf;
pub mod hyper;
pub mod kernel;
mod layer;
pub mod linear;
pub mod maths;
pub mod matrix;
pub mod offload;
pub mod pack;
pub(crate) mod registers;
pub mod safetensors;
pub mod sequence;
pub mod template;
pub mod tokenizer;
pub mod transformer;
pub mod workers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;

use crate::engine::{EngineConfig, ModelCard};
use checkpoint::Checkpoint;
use hyper::Hyper;
use linear::{Loader, Machine, Pack};
use pack::{Fingerprint, Reader, Writer};
use template::Template;
use tokenizer::Tokenizer;
use transformer::Transformer;

/// A model ready to run.
pub struct Model {
    /// What it is.
    pub card: ModelCard,
    /// Its forward pass.
    pub transformer: Transformer,
    /// Its tokens.
    pub tokenizer: Arc<Tokenizer>,
    /// How it wants conversations written.
    pub template: Template,
}

/// What a model is made of, read but for its weights.
struct Parts {
    hyper: Hyper,
    tokenizer: Tokenizer,
    template: Template,
    parameters: u64,
    quantisation: String,
    checkpoint: Box<dyn Checkpoint>,
    /// The files the weights are in.
    files: Vec<PathBuf>,
}

impl Model {
    /// Reads the model of `config`: a GGUF file, or a folder of safetensors with `config.json` and `tokenizer.json`.
    pub fn load(config: &EngineConfig) -> anyhow::Result<Model> {
        Model::load_on(config, config.device.open()?)
    }

    /// The same, with its products on `device` if there is one, wherever `config` would have them.
    fn load_on(config: &EngineConfig, device: Option<Device>) -> anyhow::Result<Model> {
        let (path, threads) = (&config.model, config.threads);
        let mut parts = if path.is_dir() {
            safetensors::Folder::parts(path, config.context)?
        } else {
            gguf::Weights::parts(path, config.context)?
        };
        // What is packed is laid out for the processor.
        let transformer = if config.pack && device.is_none() {
            packed(&mut parts, &pack::beside(path), threads)?
        } else {
            transformer(&mut parts, Pack::None, threads, device)?
        };
        let Parts { hyper, tokenizer, template, parameters, quantisation, .. } = parts;
        let known = tokenizer.len();
        let vocabulary = transformer.vocabulary();
        anyhow::ensure!(known <= vocabulary, "the tokenizer has {known} tokens, the model {vocabulary}");
        let card = ModelCard {
            model_id: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            architecture: hyper.architecture.name().to_owned(),
            parameters,
            quantisation,
            context_length: u32::try_from(hyper.context)?,
        };
        Ok(Model { card, transformer, tokenizer: Arc::new(tokenizer), template })
    }
}

/// A file's name without the folders it lies in: the reason why a model does not serve is told to callers, who need
/// not know this machine.
pub(crate) fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The transformer from its pack, which is made where there is none.
fn packed(parts: &mut Parts, path: &Path, threads: usize) -> anyhow::Result<Transformer> {
    let fingerprint = Fingerprint::of(&parts.files)?;
    if let Some(reader) = Reader::open(path, fingerprint) {
        match transformer(parts, Pack::Read(reader), threads, None) {
            Ok(transformer) => return Ok(transformer),
            Err(error) => {
                tracing::warn!(pack = %path.display(), error = format!("{error:#}"), "converted weights are unusable");
            }
        }
    }
    let pack = Writer::create(path, fingerprint).map_or_else(
        |error| {
            tracing::warn!(pack = %path.display(), error = format!("{error:#}"), "converted weights cannot be kept");
            Pack::None
        },
        Pack::Write,
    );
    transformer(parts, pack, threads, None)
}

fn transformer(
    parts: &mut Parts,
    pack: Pack,
    threads: usize,
    device: Option<Device>,
) -> anyhow::Result<Transformer> {
    let machine = Machine::new(threads)?;
    let loader = Loader { checkpoint: &mut *parts.checkpoint, pack, arch: machine.arch, device };
    Transformer::read(loader, &parts.hyper, machine)
}

#[cfg(test)]
pub(crate) mod tests;
