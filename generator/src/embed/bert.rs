//! The sentence encoder: BERT, the mean of its last layer over a text's tokens, scaled to unit length.
//!
//! Reimers & Gurevych, Sentence-BERT (2019), section 3: mean pooling.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Module as _, VarBuilder, embedding, layer_norm};
use candle_transformers::models::bert::{BertEncoder, Config};
use tokenizers::{Encoding, Tokenizer};

use super::reading::{self, Unread};
use super::{EncoderCard, Vector};
use crate::models::named;

/// Tokens of a text at most, marks included, as sentence-transformers sets it for this family: the model takes more
/// but was never tuned on longer texts.
const CONTEXT: usize = 256;

/// A loaded encoder.
pub struct Bert {
    card: EncoderCard,
    words: Embedding,
    places: Embedding,
    /// What the one segment of a text adds to each of its tokens.
    segment: Tensor,
    norm: LayerNorm,
    /// One layer each, so that what stands between two can be looked at.
    layers: Vec<BertEncoder>,
    tokenizer: Tokenizer,
    unknown: u32,
}

/// A text as the model reads it.
pub struct Tokens(Vec<u32>);

impl Tokens {
    /// How many, marks included.
    #[expect(clippy::len_without_is_empty, reason = "the two marks are always there")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Bert {
    /// Reads the weights at `file`, and the tokenizer and the shape of the model beside it.
    pub fn load(file: &Path) -> anyhow::Result<Bert> {
        let shape = beside(file, "config.json");
        let config = std::fs::read(&shape).with_context(|| named(&shape))?;
        let config: Config =
            serde_json::from_slice(&config).with_context(|| format!("{} is no BERT", named(&shape)))?;
        let vocabulary = beside(file, "tokenizer.json");
        let mut tokenizer =
            Tokenizer::from_file(&vocabulary).map_err(|error| anyhow!("{}: {error}", named(&vocabulary)))?;
        tokenizer.with_truncation(None).map_err(|error| anyhow!(error))?.with_padding(None);
        let unknown = tokenizer.token_to_id("[UNK]").context("the tokenizer has no [UNK]")?;
        ensure!(
            tokenizer.get_vocab_size(true) <= config.vocab_size,
            "the tokenizer has more tokens than the model"
        );
        let weights = std::fs::read(file).with_context(|| named(file))?;
        let parameters = parameters(&weights).with_context(|| named(file))?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let (size, inputs) = (config.hidden_size, weights.pp("embeddings"));
        let words = embedding(config.vocab_size, size, inputs.pp("word_embeddings"))?;
        let places = embedding(config.max_position_embeddings, size, inputs.pp("position_embeddings"))?;
        let segments = embedding(config.type_vocab_size, size, inputs.pp("token_type_embeddings"))?;
        let segment = segments.embeddings().get(0)?;
        let norm = layer_norm(size, config.layer_norm_eps, inputs.pp("LayerNorm"))?;
        let encoder = BertEncoder::load(weights.pp("encoder"), &config)?;
        let layers = (0..encoder.layers.len()).map(|index| only(&encoder, index)).collect();
        let card = EncoderCard {
            model_id: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            parameters,
            dimensions: config.hidden_size,
            context_length: CONTEXT.min(config.max_position_embeddings),
        };
        Ok(Bert { card, words, places, segment, norm, layers, tokenizer, unknown })
    }

    /// What it says of itself.
    pub fn card(&self) -> &EncoderCard {
        &self.card
    }

    /// The tokens of `text`, or why it cannot be embedded; `truncate` cuts what is too long at its end.
    pub fn read(&self, text: &str, truncate: bool) -> Result<Tokens, Unread> {
        let encoding = self.tokenizer.encode(text, true).map_err(|_| Unread::Empty)?;
        let most = self.card.context_length;
        match reading::fault(text, &encoding, self.unknown, (!truncate).then_some(most)) {
            Some(fault) => Err(fault),
            None => Ok(Tokens(cut(&encoding, most))),
        }
    }

    /// The vectors of `texts`, padded to the longest of them.
    pub fn encode(&self, texts: &[&Tokens]) -> anyhow::Result<Vec<Vector>> {
        let Some(mean) = self.means(texts)?.pop() else { return Ok(Vec::new()) };
        let length = mean.sqr()?.sum_keepdim(1)?.sqrt()?;
        let vectors = mean.broadcast_div(&length)?.to_vec2::<f32>()?;
        ensure!(vectors.iter().flatten().all(|value| value.is_finite()), "a vector is not finite");
        Ok(vectors.into_iter().map(Vector::from).collect())
    }

    /// The means over each text's tokens at every depth, (layers + 1) × texts × dimensions, the input first. How a
    /// text is put is plainer in the middle than at the end, which was tuned to tell only what it is about.
    pub fn depths(&self, texts: &[&Tokens]) -> anyhow::Result<Vec<Vec<Vec<f32>>>> {
        self.means(texts)?.iter().map(|mean| Ok(mean.to_vec2::<f32>()?)).collect()
    }

    /// Depths that [`Bert::depths`] gives.
    pub fn depth(&self) -> usize {
        self.layers.len() + 1
    }

    fn means(&self, texts: &[&Tokens]) -> anyhow::Result<Vec<Tensor>> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or_default();
        if longest == 0 {
            return Ok(Vec::new());
        }
        let shape = (texts.len(), longest);
        let padded = |value: &dyn Fn(u32) -> u32| {
            let row = |text: &Tokens| {
                let padding = std::iter::repeat_n(0, longest - text.len());
                text.0.iter().map(|&id| value(id)).chain(padding).collect::<Vec<u32>>()
            };
            Tensor::from_vec(texts.iter().flat_map(|text| row(text)).collect(), shape, &Device::Cpu)
        };
        let (ids, mask) = (padded(&|id| id)?, padded(&|_| 1)?.to_dtype(DType::F32)?);
        let places = self.places.forward(&Tensor::arange(0, longest as u32, &Device::Cpu)?)?;
        let inputs = self.words.forward(&ids)?.broadcast_add(&self.segment)?.broadcast_add(&places)?;
        let mut hidden = self.norm.forward(&inputs)?;
        // Added to the scores of attention: nothing for a token, as good as minus infinity for padding.
        let hide = mask.affine(-1.0, 1.0)?.affine(f64::from(f32::MIN), 0.0)?.unsqueeze(1)?.unsqueeze(1)?;
        let counts = mask.sum_keepdim(1)?;
        let mask = mask.unsqueeze(2)?;
        let mean = |hidden: &Tensor| hidden.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&counts);
        let mut means = vec![mean(&hidden)?];
        for layer in &self.layers {
            hidden = layer.forward(&hidden, &hide)?;
            means.push(mean(&hidden)?);
        }
        Ok(means)
    }
}

/// The first `most` tokens; the closing mark stays.
fn cut(encoding: &Encoding, most: usize) -> Vec<u32> {
    let ids = encoding.get_ids();
    if ids.len() <= most {
        return ids.to_vec();
    }
    ids[..most - 1].iter().chain(ids.last()).copied().collect()
}

/// An encoder of one of the layers of `encoder`; the weights are shared.
fn only(encoder: &BertEncoder, index: usize) -> BertEncoder {
    let mut single = encoder.clone();
    single.layers = vec![single.layers.swap_remove(index)];
    single
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    file.with_extension(ending)
}

fn parameters(weights: &[u8]) -> anyhow::Result<u64> {
    let tensors = safetensors::SafeTensors::deserialize(weights)?;
    // Whole numbers are counters of positions, not weights.
    let weights = tensors.iter().filter(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32);
    Ok(weights.map(|(_, tensor)| tensor.shape().iter().product::<usize>() as u64).sum())
}
