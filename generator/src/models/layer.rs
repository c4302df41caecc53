//! The weights of one block of attention and feed-forward.

use super::hyper::Hyper;
use super::linear::{Linear, Loader};

/// A block. Matrices that multiply the same rows lie one below the other.
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    /// Queries, keys and values.
    pub(super) heads: Linear,
    /// The norms of a query head and of a key head, in families that have them.
    pub(super) head_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub(super) output: Linear,
    pub(super) feed_norm: Vec<f32>,
    /// The gate and what it lets through.
    pub(super) gate_up: Linear,
    pub(super) down: Linear,
    /// The norms of what attention and feed-forward add, in families that have them.
    pub(super) post_norms: Option<(Vec<f32>, Vec<f32>)>,
}

impl Layer {
    pub(super) fn read(loader: &mut Loader<'_>, hyper: &Hyper, index: usize) -> anyhow::Result<Layer> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let weight = |part: &str, rows: usize| (name(&format!("{part}.weight")), rows);
        let (wide, narrow) = (hyper.heads * hyper.head, hyper.kv_heads * hyper.head);
        let (hidden, inner) = (hyper.hidden, hyper.inner);
        let parts = [("attn_q", wide), ("attn_k", narrow), ("attn_v", narrow)];
        let heads = loader.weights(&parts.map(|(part, rows)| weight(part, rows)), hidden)?;
        let bias = if hyper.architecture.biases() {
            let biases = parts.map(|(part, rows)| loader.vector(&name(&format!("{part}.bias")), rows));
            Some(biases.into_iter().collect::<anyhow::Result<Vec<_>>>()?.concat())
        } else {
            None
        };
        let pair = |loader: &mut Loader<'_>, names: [&str; 2], length: usize| {
            let [first, second] = names.map(|part| loader.vector(&name(part), length));
            anyhow::Ok((first?, second?))
        };
        let head_norms = if hyper.architecture.head_norms() {
            Some(pair(loader, ["attn_q_norm.weight", "attn_k_norm.weight"], hyper.head)?)
        } else {
            None
        };
        let post_norms = if hyper.architecture.post_norms() {
            Some(pair(loader, ["post_attention_norm.weight", "post_ffw_norm.weight"], hidden)?)
        } else {
            None
        };
        Ok(Layer {
            attention_norm: loader.vector(&name("attn_norm.weight"), hidden)?,
            heads: Linear::new(heads, bias),
            head_norms,
            output: Linear::new(loader.weights(&[weight("attn_output", hidden)], wide)?, None),
            feed_norm: loader.vector(&name("ffn_norm.weight"), hidden)?,
            gate_up: Linear::new(
                loader.weights(&[weight("ffn_gate", inner), weight("ffn_up", inner)], hidden)?,
                None,
            ),
            down: Linear::new(loader.weights(&[weight("ffn_down", hidden)], inner)?, None),
            post_norms,
        })
    }

    pub(super) fn linears(&self) -> [&Linear; 4] {
        [&self.heads, &self.output, &self.gate_up, &self.down]
    }
}
