//! The forward pass of a decoder-only transformer over any mix of sequences.

use std::sync::Arc;

use anyhow::ensure;

use super::attention::{Attention, Rotary};
use super::hyper::{Architecture, Hyper};
use super::layer::Layer;
use super::linear::{Linear, Loader, Machine, Weights};
use super::matrix::Matrix;
use super::registers::{Add, Gate, Norm, Turn};
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

/// The weights of a model, and its forward pass.
pub struct Transformer {
    hyper: Hyper,
    /// Of many models the output's matrix too.
    embedding: Arc<Matrix>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Linear,
    rotary: Rotary,
    /// For layers with a window.
    near: Option<Rotary>,
    machine: Machine,
}

impl Transformer {
    /// Reads the weights, one tensor at a time.
    pub fn read(mut loader: Loader<'_>, hyper: &Hyper, machine: Machine) -> anyhow::Result<Transformer> {
        let (vocabulary, _) = loader.checkpoint.shape("token_embd.weight")?;
        let layers = (0..hyper.layers)
            .map(|index| Layer::read(&mut loader, hyper, index))
            .collect::<anyhow::Result<_>>()?;
        let norm = loader.vector("output_norm.weight", hyper.hidden)?;
        let named = |name: &str| [(name.to_owned(), vocabulary)];
        let (embedding, output) = (named("token_embd.weight"), named("output.weight"));
        let (head, embedding) = if loader.checkpoint.has(&output[0].0) {
            let head = loader.weights(&output, hyper.hidden)?;
            (head, Arc::new(loader.matrix(&embedding, hyper.hidden)?))
        } else {
            match loader.weights(&embedding, hyper.hidden)? {
                Weights::Here(both) => (Weights::Here(both.clone()), both),
                head @ Weights::There(_) => (head, Arc::new(loader.matrix(&embedding, hyper.hidden)?)),
            }
        };
        loader.end()?;
        Ok(Transformer {
            head: Linear::new(head, None),
            embedding,
            norm,
            rotary: Rotary::new(hyper, &hyper.rotation),
            near: hyper.window.as_ref().map(|window| Rotary::new(hyper, &window.rotation)),
            machine,
            layers,
            hyper: hyper.clone(),
        })
    }

    /// The shape of the model.
    pub fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    /// The registers everything is computed in.
    pub fn arch(&self) -> pulp::Arch {
        self.machine.arch
    }

    /// How many tokens it can say.
    pub fn vocabulary(&self) -> usize {
        self.head.weights().rows()
    }

    /// Reads the weights that a token goes through, but for what lies on a device, and returns how many bytes all of
    /// them are: the floor under the time a token takes.
    pub fn touch(&self) -> u64 {
        let layers = self.layers.iter().flat_map(Layer::linears);
        layers.chain([&self.head]).map(Linear::weights).fold(0, |bytes, weights| {
            if let Weights::Here(matrix) = weights {
                std::hint::black_box(matrix.touch(&self.machine.workers));
            }
            bytes + weights.bytes() as u64
        })
    }

    /// Takes rows in, in order, each at the end of its sequence; returns the logits of those rows that ask for
    /// them. A row's result does not depend on the other sequences' rows.
    pub fn forward(&self, rows: &[Row], sequences: &mut [&mut Sequence]) -> anyhow::Result<Vec<f32>> {
        let positions = self.positions(rows, sequences)?;
        for (row, position) in rows.iter().zip(&positions) {
            sequences[row.sequence].prepare(position + 1);
        }
        self.machine.workers.within(|| self.pass(rows, &positions, sequences))
    }

    fn pass(
        &self,
        rows: &[Row],
        positions: &[usize],
        sequences: &mut [&mut Sequence],
    ) -> anyhow::Result<Vec<f32>> {
        let (hidden, machine) = (self.hyper.hidden, &self.machine);
        let mut stream = self.embed(rows);
        for (index, layer) in self.layers.iter().enumerate() {
            let mut heads = layer.heads.forward(machine, &self.normed(&stream, &layer.attention_norm))?;
            self.place(index, rows, positions, &mut heads, sequences);
            let mixed = self.attend(index, rows, positions, &heads, sequences);
            let out = layer.output.forward(machine, &mixed)?;
            self.join(&mut stream, out, layer.post_norms.as_ref().map(|norms| &norms.0));
            let both = layer.gate_up.forward(machine, &self.normed(&stream, &layer.feed_norm))?;
            let out = layer.down.forward(machine, &self.gated(&both))?;
            self.join(&mut stream, out, layer.post_norms.as_ref().map(|norms| &norms.1));
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
        self.head.forward(machine, &self.normed(&asked, &self.norm))
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

    fn embed(&self, rows: &[Row]) -> Vec<f32> {
        let scale = self.hyper.embedding_scale();
        let mut out = vec![0.0; rows.len() * self.hyper.hidden];
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.hyper.hidden)) {
            self.embedding.read(row.token as usize, out);
            for value in out {
                *value *= scale;
            }
        }
        out
    }

    /// Norms and turns queries and keys to their positions, and writes keys and values into the sequences.
    fn place(
        &self,
        index: usize,
        rows: &[Row],
        positions: &[usize],
        heads: &mut [f32],
        sequences: &mut [&mut Sequence],
    ) {
        let (wide, narrow) = (self.hyper.heads * self.hyper.head, self.hyper.kv_heads * self.hyper.head);
        let rotary = if self.hyper.window(index).is_some() { self.near.as_ref() } else { None };
        let rotary = rotary.unwrap_or(&self.rotary);
        let norms = self.layers[index].head_norms.as_ref();
        let (arch, epsilon) = (self.machine.arch, self.hyper.epsilon);
        let turn = |heads: &mut [f32], norm: Option<&Vec<f32>>, position: usize| {
            arch.dispatch(Turn { heads, norm: norm.map(Vec::as_slice), epsilon, rotary, position });
        };
        for ((row, &position), heads) in
            rows.iter().zip(positions).zip(heads.chunks_exact_mut(wide + 2 * narrow))
        {
            let (queries, rest) = heads.split_at_mut(wide);
            let (keys, values) = rest.split_at_mut(narrow);
            turn(queries, norms.map(|(query, _)| query), position);
            turn(keys, norms.map(|(_, key)| key), position);
            sequences[row.sequence].write(index, position, keys, values);
        }
    }

    fn attend(
        &self,
        index: usize,
        rows: &[Row],
        positions: &[usize],
        heads: &[f32],
        sequences: &[&mut Sequence],
    ) -> Vec<f32> {
        let (hyper, machine) = (&self.hyper, &self.machine);
        let wide = hyper.heads * hyper.head;
        let (group, row) = (wide / hyper.kv_heads, wide + 2 * hyper.kv_heads * hyper.head);
        let (scale, window) = (hyper.attention_scale(), hyper.window(index).map(|window| window.size));
        let read: Vec<&Sequence> = sequences.iter().map(|sequence| &**sequence).collect();
        let mut mixed = vec![0.0; rows.len() * wide];
        machine.workers.each(&mut mixed, group, |piece, out| {
            let (at, head) = (piece / hyper.kv_heads, piece % hyper.kv_heads);
            let sequence = read[rows[at].sequence];
            let end = positions[at] + 1;
            let span = window.map_or(0, |window| end.saturating_sub(window))..end;
            let plane = index * hyper.kv_heads + head;
            let queries = &heads[at * row + head * group..][..group];
            machine.arch.dispatch(Attention { sequence, plane, span, scale, queries, out });
        });
        mixed
    }

    /// Each row's gate, bent, times what it lets through.
    fn gated(&self, both: &[f32]) -> Vec<f32> {
        let inner = self.hyper.inner;
        let mut fed = vec![0.0; both.len() / 2];
        let gelu = self.hyper.architecture == Architecture::Gemma3;
        self.machine.workers.each(&mut fed, inner, |index, out| {
            let both = &both[index * 2 * inner..][..2 * inner];
            self.machine.arch.dispatch(Gate { both, inner, gelu, out });
        });
        fed
    }

    /// Adds to the stream, normed first where there is a norm for it.
    fn join(&self, stream: &mut [f32], out: Vec<f32>, norm: Option<&Vec<f32>>) {
        let out = if let Some(norm) = norm { self.normed(&out, norm) } else { out };
        self.machine.arch.dispatch(Add { to: stream, row: &out });
    }

    fn normed(&self, stream: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; stream.len()];
        let epsilon = self.hyper.epsilon;
        self.machine.workers.each(&mut out, weight.len(), |index, out| {
            let rows = &stream[index * weight.len()..][..weight.len()];
            self.machine.arch.dispatch(Norm { rows, weight, epsilon, out });
        });
        out
    }
}
