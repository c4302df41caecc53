//! The numbers that shape a model.

use anyhow::ensure;

use super::maths::LANES;

/// No number that shapes a model is larger: a damaged file must not be taken at its word.
const MOST: usize = 1 << 20;

/// The families of models the forward pass knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama and its like: no biases.
    Llama,
    /// Qwen 2 and 2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen 3: each query and key head is normed.
    Qwen3,
    /// Gemma 3: the same, norms behind attention and feed-forward too, GELU, and most layers see a window only.
    Gemma3,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Architecture; 4] =
        [Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3, Architecture::Gemma3];

    /// The name GGUF uses.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
            Architecture::Gemma3 => "gemma3",
        }
    }

    /// The architecture of that name.
    pub fn named(name: &str) -> anyhow::Result<Architecture> {
        let known = Architecture::ALL.into_iter().find(|architecture| architecture.name() == name);
        let names = Architecture::ALL.map(Architecture::name).join(", ");
        known.ok_or_else(|| anyhow::anyhow!("architecture {name} is not supported: {names} are"))
    }

    /// Whether queries, keys and values have biases.
    pub fn biases(self) -> bool {
        self == Architecture::Qwen2
    }

    /// Whether query and key heads are normed.
    pub fn head_norms(self) -> bool {
        matches!(self, Architecture::Qwen3 | Architecture::Gemma3)
    }

    /// Whether what attention and feed-forward add to the stream is normed.
    pub fn post_norms(self) -> bool {
        self == Architecture::Gemma3
    }
}

/// How positions turn queries and keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// The base of the frequencies.
    pub base: f32,
    /// Positions are divided by this.
    pub stretch: f32,
    /// What each frequency is divided by, if anything.
    pub factors: Option<Vec<f32>>,
}

/// Layers that see the last so many positions only.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Positions seen, the row's own among them.
    pub size: usize,
    /// Every so manyth layer sees everything.
    pub period: usize,
    /// The rotation of the layers with a window.
    pub rotation: Rotation,
}

/// The shape of a model.
#[derive(Clone, Debug)]
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
    /// How it is rotated.
    pub rotation: Rotation,
    /// Whether rotary pairs lie side by side, as GGUF permutes those of llama, and not half a head apart.
    pub interleaved: bool,
    /// The layers that see a window only, if any.
    pub window: Option<Window>,
    /// What keeps a norm from dividing by nothing.
    pub epsilon: f32,
    /// The most tokens in a sequence.
    pub context: usize,
}

impl Hyper {
    /// Refuses shapes the forward pass cannot take.
    pub fn checked(self) -> anyhow::Result<Hyper> {
        let Hyper { layers, hidden, inner, heads, kv_heads, head, rotary, .. } = self;
        let sizes = [layers, hidden, inner, heads, kv_heads, head];
        ensure!(sizes.into_iter().all(|size| size <= MOST), "a shape no model has: {sizes:?}");
        ensure!(self.layers > 0 && self.hidden > 0 && self.inner > 0 && self.context > 1, "an empty model");
        ensure!(kv_heads > 0 && heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads over {kv_heads}");
        ensure!(head > 0 && head.is_multiple_of(LANES), "heads of {head} are not a multiple of {LANES}");
        ensure!(rotary > 0 && rotary <= head && rotary.is_multiple_of(2), "{rotary} rotary of {head}");
        ensure!(self.epsilon.is_finite() && self.epsilon > 0.0, "a norm's epsilon of {}", self.epsilon);
        ensure!(self.rotation.base > 0.0 && self.rotation.stretch > 0.0, "a rotation by nothing");
        if let Some(factors) = &self.rotation.factors {
            let fine = factors.len() == rotary / 2 && factors.iter().all(|factor| *factor > 0.0);
            ensure!(fine, "{} rotary factors for {rotary} dimensions", factors.len());
        }
        if let Some(window) = &self.window {
            ensure!(window.size > 0 && window.period > 0, "a window of nothing");
        }
        Ok(self)
    }

    /// The window of a layer, if it has one.
    pub fn window(&self, layer: usize) -> Option<&Window> {
        self.window.as_ref().filter(|window| !(layer + 1).is_multiple_of(window.period))
    }

    /// What a token's embedding is multiplied with.
    pub fn embedding_scale(&self) -> f32 {
        if self.architecture == Architecture::Gemma3 { (self.hidden as f32).sqrt() } else { 1.0 }
    }

    /// What the product of a query and a key is multiplied with.
    pub fn attention_scale(&self) -> f32 {
        // Gemma 3 27B divides by the root of the stream's share of a head, the others by that of the head.
        let wide = self.architecture == Architecture::Gemma3 && self.layers == 62;
        let width = if wide { self.hidden / self.heads } else { self.head };
        1.0 / (width as f32).sqrt()
    }
}
