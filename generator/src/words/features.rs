//! What stands in a text: how it is built, its character n-grams, and what an English encoder makes of it.

use std::collections::HashMap;

use crate::embed::bert::{Bert, Tokens};

/// Buckets character n-grams are hashed into.
pub(super) const BUCKETS: usize = 1 << 18;
/// Lengths of n-grams, from and to; they stay within a word and the spaces around it.
const GRAMS: std::ops::RangeInclusive<usize> = 2..=5;
/// Texts given to the encoder at once.
const BATCH: usize = 32;

/// Words that are counted, a column a row.
const WORDS: [&[&str]; 23] = [
    &["this", "these"],
    &["you", "your", "you're"],
    &["he", "his", "him", "man", "guy"],
    &["she", "her", "woman", "girl"],
    &["why"],
    &["what"],
    &["how"],
    &["when"],
    &["who"],
    &["i", "my", "me"],
    &["we", "our", "us"],
    &["they", "their", "them"],
    &["not", "no", "don't", "can't", "isn't"],
    &["if"],
    &["and"],
    &["but"],
    &["here", "here's"],
    &["watch"],
    &["a", "an"],
    &["the"],
    &["just"],
    &["one"],
    &["is", "are", "was"],
];

/// What is read from a text; `None` where it is not English.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The encoder's means at every depth, one after the other, then how the text is built.
    pub(super) dense: Vec<f32>,
    /// Buckets of its n-grams, upwards, with 1 + ln(how often).
    pub(super) grams: Vec<(u32, f32)>,
}

/// Reads texts with an encoder.
pub struct Reader {
    bert: Bert,
}

impl Reader {
    /// A reader with `bert`.
    pub fn new(bert: Bert) -> Self {
        Self { bert }
    }

    /// The encoder's name, which a model is bound to.
    pub fn encoder(&self) -> &str {
        &self.bert.card().model_id
    }

    /// Values of a depth, and how many depths there are.
    pub(super) fn blocks(&self) -> (usize, usize) {
        (self.bert.card().dimensions, self.bert.depth())
    }

    /// What stands in each of `texts`; `done` is told how many more are read.
    pub fn read(&self, texts: &[&str], done: &dyn Fn(usize)) -> anyhow::Result<Vec<Option<Inputs>>> {
        read(&self.bert, texts, done)
    }
}

/// What stands in each of `texts` as `bert` reads them; `done` is told how many more are read.
pub(super) fn read(bert: &Bert, texts: &[&str], done: &dyn Fn(usize)) -> anyhow::Result<Vec<Option<Inputs>>> {
    let mut inputs: Vec<Option<Inputs>> = vec![None; texts.len()];
    let mut readable: Vec<(usize, Tokens)> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        if let Ok(tokens) = bert.read(text, true) {
            readable.push((index, tokens));
        }
    }
    done(texts.len() - readable.len());
    // Of like length, so that little is padding.
    readable.sort_by_key(|(_, tokens)| tokens.len());
    for batch in readable.chunks(BATCH) {
        let tokens: Vec<&Tokens> = batch.iter().map(|(_, tokens)| tokens).collect();
        let depths = bert.depths(&tokens)?;
        for (row, (index, _)) in batch.iter().enumerate() {
            let mut dense: Vec<f32> = depths.iter().flat_map(|depth| &depth[row]).copied().collect();
            dense.extend(build(texts[*index]));
            inputs[*index] = Some(Inputs { dense, grams: grams(texts[*index]) });
        }
        done(batch.len());
    }
    Ok(inputs)
}

/// Length, marks and telling words of a text.
fn build(text: &str) -> Vec<f32> {
    let flag = |is: bool| f32::from(u8::from(is));
    let count = |mark: char| text.chars().filter(|c| *c == mark).count() as f32;
    let words: Vec<&str> = text.split_whitespace().collect();
    let many = words.len().max(1) as f32;
    let letters = |word: &&str| word.chars().count() as f32;
    let length = text.chars().count() as f32 / 60.0;
    let plain: Vec<String> = words
        .iter()
        .map(|word| word.to_lowercase().replace('’', "'"))
        .map(|word| word.chars().filter(|c| c.is_ascii_lowercase() || *c == '\'').collect())
        .collect();
    let shouted = |word: &&&str| word.chars().count() > 1 && word.chars().all(char::is_uppercase);
    let capital = |word: &&&str| word.starts_with(char::is_uppercase);
    let mut values = vec![
        length,
        length * length,
        words.len() as f32 / 12.0,
        words.iter().map(letters).sum::<f32>() / many / 5.0,
        count('?'),
        count('!'),
        count('.'),
        count(','),
        count(':'),
        count('('),
        flag(text.contains(['"', '“'])),
        flag(text.contains(['\'', '’'])),
        flag(text.contains(|c: char| c.is_ascii_digit())),
        flag(text.starts_with(|c: char| c.is_ascii_digit())),
        flag(text.ends_with('.')),
        flag(text.ends_with('?')),
        flag(text.ends_with('!')),
        flag(text.contains("...") || text.contains('…')),
        words.iter().filter(shouted).count() as f32,
        words.iter().filter(capital).count() as f32 / many,
    ];
    let told = |group: &&[&str]| plain.iter().filter(|word| group.contains(&word.as_str())).count() as f32;
    values.extend(WORDS.iter().map(told));
    values
}

/// Buckets of the n-grams of each word between spaces, with 1 + ln(how often).
fn grams(text: &str) -> Vec<(u32, f32)> {
    let mut counts: HashMap<u32, f32> = HashMap::new();
    for word in text.to_lowercase().split_whitespace() {
        let padded: Vec<char> = format!(" {word} ").chars().collect();
        for length in GRAMS {
            for gram in padded.windows(length) {
                *counts.entry(bucket(gram)).or_default() += 1.0;
            }
        }
    }
    let mut grams: Vec<(u32, f32)> =
        counts.into_iter().map(|(bucket, count)| (bucket, 1.0 + count.ln())).collect();
    grams.sort_unstable_by_key(|(bucket, _)| *bucket);
    grams
}

/// FNV-1a, 32 bits, over the characters' code points.
fn bucket(gram: &[char]) -> u32 {
    let hash = gram.iter().flat_map(|c| u32::from(*c).to_le_bytes());
    let hash = hash.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The high bits are mixed best by the last product.
    (hash ^ (hash >> 18)) % BUCKETS as u32
}
