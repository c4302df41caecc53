//! The tokenizer of SentencePiece models: neighbours are joined to the piece with the best score, until none is left.
//!
//! Kudo and Richardson 2018; GGUF files carry pieces and scores, and no list of merges.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use anyhow::Context as _;

/// What stands for a space.
pub(super) const SPACE: char = '▁';

/// Pieces with their scores.
pub(super) struct Pieces {
    ids: HashMap<String, u32>,
    scores: Vec<f32>,
    /// The tokens of single bytes, for what no piece has.
    bytes: Vec<u32>,
    /// Pieces that are never taken apart, by their first character, longest first.
    whole: HashMap<char, Vec<(String, u32)>>,
    prefixed: bool,
}

/// Two neighbours that make a piece.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    length: usize,
}

/// The best score first, then the leftmost.
impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

/// A stretch of text in the chain of stretches; one that was joined to its left neighbour is empty.
struct Symbol {
    start: usize,
    end: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl Pieces {
    /// Of all tokens in order; `whole` says which are never taken apart, `prefixed` whether a text begins with a
    /// space of its own.
    pub(super) fn new(
        tokens: &[String],
        scores: Vec<f32>,
        whole: impl Fn(usize) -> bool,
        prefixed: bool,
    ) -> anyhow::Result<Pieces> {
        anyhow::ensure!(scores.len() == tokens.len(), "{} tokens, {} scores", tokens.len(), scores.len());
        let ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
        let byte = |byte: u8| ids.get(&format!("<0x{byte:02X}>")).copied();
        let bytes = (0..=255).map(byte).collect::<Option<_>>().context("no tokens for single bytes")?;
        let mut apart: HashMap<char, Vec<(String, u32)>> = HashMap::new();
        for (id, token) in tokens.iter().enumerate().filter(|(id, _)| whole(*id)) {
            if let Some(first) = token.chars().next() {
                apart.entry(first).or_default().push((token.clone(), id as u32));
            }
        }
        for tokens in apart.values_mut() {
            tokens.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        }
        Ok(Pieces { ids, scores, bytes, whole: apart, prefixed })
    }

    /// The token that is written so.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// The tokens of a text.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        let (mut start, mut at) = (0, 0);
        while let Some(first) = text[at..].chars().next() {
            let here = &text[at..];
            let found =
                self.whole.get(&first).and_then(|all| all.iter().find(|(token, _)| here.starts_with(token)));
            let Some((token, id)) = found else {
                at += first.len_utf8();
                continue;
            };
            self.fragment(&text[start..at], start == 0, &mut tokens);
            tokens.push(*id);
            at += token.len();
            start = at;
        }
        self.fragment(&text[start..], start == 0, &mut tokens);
        tokens
    }

    fn fragment(&self, text: &str, first: bool, tokens: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let mut text = text.replace(' ', "▁");
        if first && self.prefixed {
            text.insert(0, SPACE);
        }
        let mut symbols: Vec<Symbol> = Vec::new();
        for (index, (start, character)) in text.char_indices().enumerate() {
            if let Some(last) = symbols.last_mut() {
                last.after = Some(index);
            }
            let end = start + character.len_utf8();
            symbols.push(Symbol { start, end, before: index.checked_sub(1), after: None });
        }
        let mut pairs = BinaryHeap::new();
        let pair = |symbols: &[Symbol], left: Option<usize>, right: Option<usize>| {
            let (left, right) = (left?, right?);
            let joined = &text[symbols[left].start..symbols[right].end];
            let score = self.scores[*self.ids.get(joined)? as usize];
            Some(Pair { score, left, right, length: joined.len() })
        };
        for right in 1..symbols.len() {
            pairs.extend(pair(&symbols, Some(right - 1), Some(right)));
        }
        while let Some(Pair { left, right, length, .. }) = pairs.pop() {
            let (from, to) = (&symbols[left], &symbols[right]);
            // One of the two was joined to something else meanwhile.
            if from.start == from.end || to.start == to.end || to.end - from.start != length {
                continue;
            }
            let (end, after, before) = (to.end, to.after, from.before);
            symbols[right].end = symbols[right].start;
            symbols[left].end = end;
            symbols[left].after = after;
            if let Some(after) = after {
                symbols[after].before = Some(left);
            }
            pairs.extend(pair(&symbols, before, Some(left)));
            pairs.extend(pair(&symbols, Some(left), after));
        }
        for symbol in symbols.iter().filter(|symbol| symbol.start < symbol.end) {
            let piece = &text[symbol.start..symbol.end];
            match self.ids.get(piece) {
                Some(id) => tokens.push(*id),
                None => tokens.extend(piece.bytes().map(|byte| self.bytes[usize::from(byte)])),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(prefixed: bool) -> Pieces {
        let mut tokens: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
        let mut scores = vec![0.0; 256];
        for (token, score) in [
            ("a", -9.0),
            ("b", -9.0),
            ("c", -9.0),
            ("▁", -9.0),
            ("ab", -3.0),
            ("bc", -2.0),
            ("abc", -1.0),
            ("▁a", -4.0),
            ("<x>", 0.0),
            ("<x>>", 0.0),
        ] {
            tokens.push(token.to_owned());
            scores.push(score);
        }
        Pieces::new(&tokens, scores, |id| id >= 264, prefixed).unwrap()
    }

    fn encoded(text: &str, prefixed: bool) -> Vec<String> {
        let pieces = pieces(prefixed);
        let names: HashMap<u32, &String> = pieces.ids.iter().map(|(token, id)| (*id, token)).collect();
        pieces.encode(text).iter().map(|id| names[id].clone()).collect()
    }

    #[test]
    fn the_best_score_is_joined_first() {
        assert_eq!(encoded("abab", false), ["ab", "ab"]);
        // bc is better than ab, and then abc is there.
        assert_eq!(encoded("abc", false), ["abc"]);
        assert_eq!(encoded("babc", false), ["b", "abc"]);
        assert_eq!(encoded("a a", false), ["a", "▁a"]);
        assert_eq!(encoded("a", true), ["▁a"]);
    }

    #[test]
    fn what_no_piece_has_is_told_in_bytes_and_marks_stay_whole() {
        assert_eq!(encoded("é", false), ["<0xC3>", "<0xA9>"]);
        assert_eq!(encoded("a<x>b<x>>", false), ["a", "<x>", "b", "<x>>"]);
        assert!(encoded("", true).is_empty());
    }
}
