//! What a model remembers of one sequence: the keys and values of its tokens.

use super::hyper::Hyper;
use super::maths::LANES;

/// The keys and values of one sequence, with room for all it may ever hold.
///
/// Keys lie in blocks of [`LANES`] positions, each dimension's lanes side by side, so that scores of several
/// positions are summed at once; values lie position by position.
pub struct Sequence {
    tokens: Vec<u32>,
    capacity: usize,
    planes: usize,
    kv_heads: usize,
    head: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Sequence {
    /// An empty sequence that can grow to `capacity` tokens.
    pub fn new(hyper: &Hyper, capacity: usize) -> Sequence {
        let capacity = capacity.next_multiple_of(LANES);
        let planes = hyper.layers * hyper.kv_heads;
        let size = planes * capacity * hyper.head;
        Sequence {
            tokens: Vec::with_capacity(capacity),
            capacity,
            planes,
            kv_heads: hyper.kv_heads,
            head: hyper.head,
            keys: vec![0.0; size],
            values: vec![0.0; size],
        }
    }

    /// A copy of the first `length` tokens with room for `capacity`.
    #[must_use]
    pub fn fork(&self, length: usize, capacity: usize) -> Sequence {
        let length = length.min(self.tokens.len());
        let capacity = capacity.max(length).next_multiple_of(LANES);
        let size = self.planes * capacity * self.head;
        let mut tokens = Vec::with_capacity(capacity);
        tokens.extend_from_slice(&self.tokens[..length]);
        let (mut keys, mut values) = (vec![0.0; size], vec![0.0; size]);
        let kept = length.next_multiple_of(LANES) * self.head;
        for plane in 0..self.planes {
            let (from, to) = (plane * self.capacity * self.head, plane * capacity * self.head);
            keys[to..to + kept].copy_from_slice(&self.keys[from..from + kept]);
            values[to..to + kept].copy_from_slice(&self.values[from..from + kept]);
        }
        Sequence { tokens, capacity, keys, values, ..*self }
    }

    /// The tokens so far.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens can still be added.
    pub fn room(&self) -> usize {
        self.capacity - self.tokens.len()
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        (self.keys.len() + self.values.len()) * size_of::<f32>()
    }

    /// Takes a token in, once its keys and values are written.
    pub(super) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// Writes a position's keys and values, all heads of one layer.
    pub(super) fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let plane = self.capacity * self.head;
        for (index, (key, value)) in
            keys.chunks_exact(self.head).zip(values.chunks_exact(self.head)).enumerate()
        {
            let start = (layer * self.kv_heads + index) * plane;
            let block = start + position / LANES * LANES * self.head + position % LANES;
            for (to, from) in self.keys[block..].iter_mut().step_by(LANES).zip(key) {
                *to = *from;
            }
            let at = start + position * self.head;
            self.values[at..at + self.head].copy_from_slice(value);
        }
    }

    /// The keys and values of one head of one layer.
    pub(super) fn head(&self, layer: usize, head: usize) -> (&[f32], &[f32]) {
        let plane = self.capacity * self.head;
        let start = (layer * self.kv_heads + head) * plane;
        (&self.keys[start..start + plane], &self.values[start..start + plane])
    }
}
