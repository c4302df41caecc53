//! The numbers that shape a model, as its file states them.

use anyhow::{bail, ensure};

use super::gguf::Weights;
use super::maths::LANES;

/// The families of models the forward pass knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Qwen 2 and 2.5: biases on queries, keys and values; rotary pairs half a head apart.
    Qwen2,
    /// Llama and its like: no biases; rotary pairs side by side, as GGUF permutes them.
    Llama,
}

impl Architecture {
    /// The name GGUF uses.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Qwen2 => "qwen2",
            Architecture::Llama => "llama",
        }
    }
}

/// The shape of a model.
#[derive(Clone, Copy, Debug)]
pub struct Hyper {
    /// Its family.
    pub architecture: Architecture,
    /// Blocks of attention and feed-forward.
    pub layers: usize,
    /// The width of the residual stream.
    pub hidden: usize,
    /// The width inside the feed-forward.
    pub inner: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, each shared by several query heads.
    pub kv_heads: usize,
    /// The width of a head.
    pub head: usize,
    /// How much of a head is rotated.
    pub rotary: usize,
    /// The base of the rotary frequencies.
    pub base: f32,
    /// What keeps a norm from dividing by nothing.
    pub epsilon: f32,
    /// The most tokens in a sequence.
    pub context: usize,
}

impl Hyper {
    /// Reads and checks the shape.
    pub fn read(weights: &Weights) -> anyhow::Result<Hyper> {
        let name = weights.string("general.architecture")?;
        let architecture = match name {
            "qwen2" => Architecture::Qwen2,
            "llama" => Architecture::Llama,
            other => bail!("architecture {other} is not supported: qwen2 and llama are"),
        };
        let key = |part: &str| format!("{name}.{part}");
        if let Ok(scaling) = weights.string(&key("rope.scaling.type")) {
            ensure!(scaling == "none", "rotary scaling {scaling} is not supported");
        }
        ensure!(!weights.has("rope_freqs.weight"), "rotary frequency factors are not supported");
        ensure!(weights.maybe_count(&key("expert_count"))?.unwrap_or(0) == 0, "experts are not supported");
        let hidden = weights.count(&key("embedding_length"))?;
        let heads = weights.count(&key("attention.head_count"))?;
        ensure!(heads > 0, "a model without heads");
        let head = weights.maybe_count(&key("attention.key_length"))?.unwrap_or(hidden / heads);
        let base = if weights.value(&key("rope.freq_base")).is_some() {
            weights.number(&key("rope.freq_base"))?
        } else {
            10_000.0
        };
        let hyper = Hyper {
            architecture,
            layers: weights.count(&key("block_count"))?,
            hidden,
            inner: weights.count(&key("feed_forward_length"))?,
            heads,
            kv_heads: weights.maybe_count(&key("attention.head_count_kv"))?.unwrap_or(heads),
            head,
            rotary: weights.maybe_count(&key("rope.dimension_count"))?.unwrap_or(head),
            base,
            epsilon: weights.number(&key("attention.layer_norm_rms_epsilon"))?,
            context: weights.count(&key("context_length"))?,
        };
        ensure!(
            hyper.kv_heads > 0 && heads.is_multiple_of(hyper.kv_heads),
            "{heads} heads over {}",
            hyper.kv_heads
        );
        ensure!(head > 0 && head.is_multiple_of(LANES), "heads of {head} are not a multiple of {LANES}");
        ensure!(hyper.rotary <= head && hyper.rotary.is_multiple_of(2), "{} rotary of {head}", hyper.rotary);
        ensure!(hidden > 0 && hyper.inner > 0 && hyper.context > 1, "an empty model");
        Ok(hyper)
    }
}
