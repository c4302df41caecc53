//! Prompts share their beginnings: what was computed for one is copied for the next.

use crate::models::sequence::Sequence;

struct Entry {
    sequence: Sequence,
    used: u64,
}

/// Recent prompts with their keys and values, the least recently used forgotten first.
pub(super) struct Cache {
    entries: Vec<Entry>,
    most_bytes: usize,
    clock: u64,
}

impl Cache {
    pub(super) fn new(most_bytes: usize) -> Cache {
        Cache { entries: Vec::new(), most_bytes, clock: 0 }
    }

    /// A copy of the longest known beginning of a prompt, with room for `capacity` tokens.
    pub(super) fn find(&mut self, prompt: &[u32], capacity: usize) -> Option<Sequence> {
        self.clock += 1;
        let (shared, entry) = self
            .entries
            .iter_mut()
            .map(|entry| (common(entry.sequence.tokens(), prompt), entry))
            .max_by_key(|(shared, _)| *shared)
            .filter(|(shared, _)| *shared > 0)?;
        entry.used = self.clock;
        Some(entry.sequence.fork(shared, capacity))
    }

    /// Keeps the first `length` tokens of a sequence, in place of older ones that it repeats for the most part.
    pub(super) fn keep(&mut self, sequence: &Sequence, length: usize) {
        let length = length.min(sequence.tokens().len());
        if length == 0 {
            return;
        }
        self.clock += 1;
        self.entries.retain(|entry| {
            let known = entry.sequence.tokens();
            common(known, &sequence.tokens()[..length]) * 2 < known.len()
        });
        self.entries.push(Entry { sequence: sequence.fork(length, length), used: self.clock });
        while self.bytes() > self.most_bytes {
            let oldest = (0..self.entries.len()).min_by_key(|&index| self.entries[index].used);
            let Some(oldest) = oldest else { break };
            self.entries.swap_remove(oldest);
        }
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.sequence.bytes()).sum()
    }
}

fn common(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}
