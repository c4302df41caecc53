//! The models the engine can run: a GGUF file read into weights, a tokenizer and a chat template.

pub mod activations;
pub mod attention;
pub mod gguf;
pub mod hyper;
pub mod kernel;
pub mod linear;
pub mod maths;
pub mod matrix;
pub mod sequence;
pub mod template;
pub mod tokenizer;
pub mod transformer;
pub mod workers;

use std::path::Path;

use anyhow::Context as _;

use crate::engine::ModelCard;
use gguf::Weights;
use hyper::Hyper;
use linear::Machine;
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
    pub tokenizer: Tokenizer,
    /// How it wants conversations written.
    pub template: Template,
}

impl Model {
    /// Reads a GGUF file; sequences will hold at most `context` tokens, and products are
    /// shared by `threads`.
    pub fn load(path: &Path, context: usize, threads: usize) -> anyhow::Result<Model> {
        let mut weights = Weights::open(path)?;
        let mut hyper = Hyper::read(&weights)?;
        hyper.context = hyper.context.min(context.max(2));
        let tokenizer = Tokenizer::read(&weights).context("the tokenizer")?;
        let template =
            Template::new(weights.string("tokenizer.chat_template")?).context("the chat template")?;
        let card = ModelCard {
            model_id: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            architecture: hyper.architecture.name().to_owned(),
            parameters: weights.parameters(),
            quantisation: weights.quantisation(),
            context_length: u32::try_from(hyper.context)?,
        };
        let transformer = Transformer::read(&mut weights, hyper, Machine::new(threads)?)?;
        anyhow::ensure!(
            tokenizer.len() <= transformer.vocabulary(),
            "the tokenizer has {} tokens, the model {}",
            tokenizer.len(),
            transformer.vocabulary()
        );
        Ok(Model { card, transformer, tokenizer, template })
    }
}

#[cfg(test)]
pub(crate) mod tests;
