//! Prompts share their beginnings: pages computed for one are used by all that start the same way.

use std::collections::HashMap;
use std::sync::Arc;

use crate::models::sequence::{PAGE, Page, Sequence};

/// The page that begins every prompt has this for its parent.
const ROOT: u64 = 0;

/// The tokens of a page, and the page before it.
type Key = (u64, [u32; PAGE]);

struct Node {
    id: u64,
    page: Arc<Page>,
    /// When it was last used, and how deep it lies: a page is forgotten after those that follow it.
    used: (u64, std::cmp::Reverse<usize>),
}

/// Whole pages of recent prompts, the least recently used forgotten first.
pub(super) struct Cache {
    nodes: HashMap<Key, Node>,
    most_bytes: usize,
    bytes: usize,
    clock: u64,
    last: u64,
}

impl Cache {
    pub(super) fn new(most_bytes: usize) -> Cache {
        Cache { nodes: HashMap::new(), most_bytes, bytes: 0, clock: 0, last: ROOT }
    }

    /// The pages of the longest known beginning of a prompt.
    pub(super) fn find(&mut self, prompt: &[u32]) -> Vec<Arc<Page>> {
        self.clock += 1;
        let (mut parent, mut pages) = (ROOT, Vec::new());
        for tokens in prompt.as_chunks::<PAGE>().0 {
            let Some(node) = self.nodes.get_mut(&(parent, *tokens)) else { break };
            node.used.0 = self.clock;
            parent = node.id;
            pages.push(node.page.clone());
        }
        pages
    }

    /// Keeps the whole pages among the first `length` tokens of a sequence.
    pub(super) fn keep(&mut self, sequence: &Sequence, length: usize) {
        self.clock += 1;
        let tokens = &sequence.tokens()[..length.min(sequence.tokens().len())];
        let mut parent = ROOT;
        for (depth, (tokens, page)) in tokens.as_chunks::<PAGE>().0.iter().zip(sequence.pages()).enumerate() {
            let used = (self.clock, std::cmp::Reverse(depth));
            let node = self.nodes.entry((parent, *tokens)).or_insert_with(|| {
                self.bytes += page.bytes();
                self.last += 1;
                Node { id: self.last, page: page.clone(), used }
            });
            node.used = used;
            parent = node.id;
        }
        while self.bytes > self.most_bytes {
            let oldest = self.nodes.iter().min_by_key(|(_, node)| node.used).map(|(key, _)| *key);
            let Some(node) = oldest.and_then(|key| self.nodes.remove(&key)) else { break };
            self.bytes -= node.page.bytes();
        }
    }
}
