//! The forward pass of a decoder-only transformer over any mix of sequences.

use anyhow::ensure;
use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use super::attention::{Rotary, attend};
use super::gguf::Weights;
use super::hyper::{Architecture, Hyper};
use super::linear::{Linear, Machine};
use super::maths::{add, rms_norm, swiglu};
use super::sequence::Sequence;

/// One token to take in.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The token.
    pub token: u32,
    /// Which of the sequences it comes next in.
    pub sequence: usize,
    /// Whether to say what follows it.
    pub logits: bool,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// The weights of a model, and its forward pass.
pub struct Transformer {
    hyper: Hyper,
    /// None where the output's matrix is the embedding too.
    embedding: Option<QTensor>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Linear,
    rotary: Rotary,
    machine: Machine,
}

impl Transformer {
    /// Reads the weights, one tensor at a time.
    pub fn read(weights: &mut Weights, hyper: Hyper, machine: Machine) -> anyhow::Result<Transformer> {
        let (vocabulary, _, _) = weights.shape("token_embd.weight")?;
        let layers = (0..hyper.layers)
            .map(|index| Layer::read(weights, &machine, &hyper, index))
            .collect::<anyhow::Result<_>>()?;
        let tied = !weights.has("output.weight");
        let head = if tied { "token_embd.weight" } else { "output.weight" };
        Ok(Transformer {
            head: Linear::read(weights, &machine, head, vocabulary, hyper.hidden)?,
            embedding: if tied { None } else { Some(weights.tensor("token_embd.weight")?) },
            norm: weights.vector("output_norm.weight", hyper.hidden)?,
            rotary: Rotary::new(&hyper),
            machine,
            layers,
            hyper,
        })
    }

    /// The shape of the model.
    pub fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    /// How many tokens it can say.
    pub fn vocabulary(&self) -> usize {
        self.head.matrix().rows()
    }

    /// Takes rows in, in order, each at the end of its sequence; returns the logits of those rows that ask for
    /// them. A row's result does not depend on the other sequences' rows.
    pub fn forward(&self, rows: &[Row], sequences: &mut [&mut Sequence]) -> anyhow::Result<Vec<f32>> {
        let positions = self.positions(rows, sequences)?;
        let hidden = self.hyper.hidden;
        let (wide, narrow) = (self.hyper.heads * self.hyper.head, self.hyper.kv_heads * self.hyper.head);
        let machine = &self.machine;
        let mut stream = self.embed(rows)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = machine.activations(&self.normed(&stream, &layer.attention_norm), hidden);
            let mut queries = layer.query.forward(machine, &normed);
            let mut keys = layer.key.forward(machine, &normed);
            let values = layer.value.forward(machine, &normed);
            machine.arch.dispatch(|| {
                for (at, row) in rows.iter().enumerate() {
                    let key = &mut keys[at * narrow..][..narrow];
                    self.rotary.turn(&mut queries[at * wide..][..wide], positions[at]);
                    self.rotary.turn(key, positions[at]);
                    sequences[row.sequence].write(
                        index,
                        positions[at],
                        key,
                        &values[at * narrow..][..narrow],
                    );
                }
            });
            let read: Vec<&Sequence> = sequences.iter().map(|sequence| &**sequence).collect();
            let mut mixed = vec![0.0; queries.len()];
            machine.workers.each(&mut mixed, wide, |at, out| {
                let query = &queries[at * wide..][..wide];
                let sequence = read[rows[at].sequence];
                machine.arch.dispatch(|| attend(&self.hyper, sequence, index, positions[at] + 1, query, out));
            });
            add(&mut stream, &layer.output.forward(machine, &machine.activations(&mixed, wide)));
            let normed = machine.activations(&self.normed(&stream, &layer.feed_norm), hidden);
            let mut gate = layer.gate.forward(machine, &normed);
            let up = layer.up.forward(machine, &normed);
            machine.arch.dispatch(|| swiglu(&mut gate, &up));
            add(&mut stream, &layer.down.forward(machine, &machine.activations(&gate, self.hyper.inner)));
        }
        for row in rows {
            sequences[row.sequence].push(row.token);
        }
        let asked: Vec<f32> = rows
            .iter()
            .zip(stream.chunks_exact(hidden))
            .filter(|(row, _)| row.logits)
            .flat_map(|(_, values)| values.iter().copied())
            .collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.head.forward(machine, &machine.activations(&self.normed(&asked, &self.norm), hidden)))
    }

    fn positions(&self, rows: &[Row], sequences: &[&mut Sequence]) -> anyhow::Result<Vec<usize>> {
        let mut lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.tokens().len()).collect();
        let mut positions = Vec::with_capacity(rows.len());
        for row in rows {
            ensure!((row.token as usize) < self.vocabulary(), "no token {}", row.token);
            ensure!(row.sequence < lengths.len(), "no sequence {}", row.sequence);
            let next = &mut lengths[row.sequence];
            let room = sequences[row.sequence].tokens().len() + sequences[row.sequence].room();
            ensure!(*next < room.min(self.hyper.context), "the sequence is full at {next} tokens");
            positions.push(*next);
            *next += 1;
        }
        Ok(positions)
    }

    fn embed(&self, rows: &[Row]) -> anyhow::Result<Vec<f32>> {
        let Some(embedding) = &self.embedding else {
            let mut out = vec![0.0; rows.len() * self.hyper.hidden];
            for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.hyper.hidden)) {
                self.head.matrix().read(row.token as usize, out);
            }
            return Ok(out);
        };
        let tokens: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let tokens = Tensor::from_vec(tokens, rows.len(), &Device::Cpu)?;
        Ok(embedding.embedding(&tokens)?.flatten_all()?.to_vec1()?)
    }

    fn normed(&self, stream: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; stream.len()];
        self.machine.arch.dispatch(|| {
            for (row, out) in stream.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
                rms_norm(row, weight, self.hyper.epsilon, out);
            }
        });
        out
    }
}

impl Layer {
    fn read(weights: &mut Weights, machine: &Machine, hyper: &Hyper, index: usize) -> anyhow::Result<Layer> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let (wide, narrow) = (hyper.heads * hyper.head, hyper.kv_heads * hyper.head);
        let (hidden, inner) = (hyper.hidden, hyper.inner);
        let biased = |weights: &mut Weights, part: &str, outputs: usize| -> anyhow::Result<Linear> {
            let linear = Linear::read(weights, machine, &name(&format!("{part}.weight")), outputs, hidden)?;
            match hyper.architecture {
                Architecture::Llama => Ok(linear),
                Architecture::Qwen2 => {
                    Ok(linear.with_bias(weights.vector(&name(&format!("{part}.bias")), outputs)?))
                }
            }
        };
        let query = biased(weights, "attn_q", wide)?;
        let key = biased(weights, "attn_k", narrow)?;
        let value = biased(weights, "attn_v", narrow)?;
        Ok(Layer {
            attention_norm: weights.vector(&name("attn_norm.weight"), hidden)?,
            query,
            key,
            value,
            output: Linear::read(weights, machine, &name("attn_output.weight"), hidden, wide)?,
            feed_norm: weights.vector(&name("ffn_norm.weight"), hidden)?,
            gate: Linear::read(weights, machine, &name("ffn_gate.weight"), inner, hidden)?,
            up: Linear::read(weights, machine, &name("ffn_up.weight"), inner, hidden)?,
            down: Linear::read(weights, machine, &name("ffn_down.weight"), hidden, inner)?,
        })
    }
}
