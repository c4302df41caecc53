//! What a model remembers of one sequence: the keys and values of its tokens, in pages that sequences share.

use std::sync::Arc;

use super::hyper::Hyper;
use super::maths::LANES;

/// Positions to a page.
pub const PAGE: usize = LANES;

/// The keys and values of [`PAGE`] positions: every head of every layer is a plane.
///
/// The keys of a plane lie dimension by dimension, the positions of one side by side, so that the scores of all
/// positions are summed at once; its values lie position by position.
#[derive(Clone)]
pub struct Page {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Page {
    fn new(planes: usize, head: usize) -> Page {
        let size = planes * PAGE * head;
        Page { keys: vec![0.0; size], values: vec![0.0; size] }
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        (self.keys.len() + self.values.len()) * size_of::<f32>()
    }
}

/// The tokens of one sequence and the pages of their keys and values.
///
/// A fork shares its pages with what it was forked from; the one that is written to is copied first.
pub struct Sequence {
    tokens: Vec<u32>,
    pages: Vec<Arc<Page>>,
    capacity: usize,
    planes: usize,
    kv_heads: usize,
    head: usize,
}

impl Sequence {
    /// An empty sequence that can grow to `capacity` tokens.
    pub fn new(hyper: &Hyper, capacity: usize) -> Sequence {
        Sequence {
            tokens: Vec::with_capacity(capacity),
            pages: Vec::with_capacity(capacity.div_ceil(PAGE)),
            capacity,
            planes: hyper.layers * hyper.kv_heads,
            kv_heads: hyper.kv_heads,
            head: hyper.head,
        }
    }

    /// A sequence that starts with `pages`, which hold `tokens`; whole pages only.
    pub fn over(hyper: &Hyper, pages: Vec<Arc<Page>>, tokens: &[u32], capacity: usize) -> Sequence {
        let mut sequence = Sequence::new(hyper, capacity.max(tokens.len()));
        sequence.tokens.extend_from_slice(&tokens[..pages.len() * PAGE]);
        sequence.pages = pages;
        sequence
    }

    /// The first `length` tokens, with room for `capacity`.
    #[must_use]
    pub fn fork(&self, length: usize, capacity: usize) -> Sequence {
        let length = length.min(self.tokens.len());
        let capacity = capacity.max(length);
        let mut tokens = Vec::with_capacity(capacity);
        tokens.extend_from_slice(&self.tokens[..length]);
        let pages = self.pages[..length.div_ceil(PAGE)].to_vec();
        Sequence { tokens, pages, capacity, ..*self }
    }

    /// Forgets all but the first `length` tokens.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
        self.pages.truncate(length.div_ceil(PAGE));
    }

    /// The tokens so far.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens can still be added.
    pub fn room(&self) -> usize {
        self.capacity - self.tokens.len()
    }

    /// The pages; the last may be in part filled.
    pub fn pages(&self) -> &[Arc<Page>] {
        &self.pages
    }

    /// Adds pages for `length` tokens in all.
    pub(super) fn prepare(&mut self, length: usize) {
        while self.pages.len() < length.div_ceil(PAGE) {
            self.pages.push(Arc::new(Page::new(self.planes, self.head)));
        }
    }

    /// Takes a token in, once its keys and values are written.
    pub(super) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// Writes a position's keys and values, all heads of one layer; the position must be prepared.
    pub(super) fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let page = Arc::make_mut(&mut self.pages[position / PAGE]);
        let (lane, plane) = (position % PAGE, PAGE * self.head);
        let heads = keys.chunks_exact(self.head).zip(values.chunks_exact(self.head));
        for (index, (key, value)) in heads.enumerate() {
            let start = (layer * self.kv_heads + index) * plane;
            let column = page.keys[start + lane..start + plane].iter_mut().step_by(PAGE);
            column.zip(key).for_each(|(to, from)| *to = *from);
            page.values[start + lane * self.head..][..self.head].copy_from_slice(value);
        }
    }

    /// The width of a head.
    pub(super) fn head(&self) -> usize {
        self.head
    }

    /// The keys of a page, one plane of them.
    pub(super) fn keys(&self, page: usize, plane: usize) -> &[f32] {
        &self.pages[page].keys[plane * PAGE * self.head..][..PAGE * self.head]
    }

    /// The values of a page, one plane of them.
    pub(super) fn values(&self, page: usize, plane: usize) -> &[f32] {
        &self.pages[page].values[plane * PAGE * self.head..][..PAGE * self.head]
    }
}
