//! Texts as hashed character n-grams: a representation that needs no encoder and knows no language.
//!
//! Letters are lower-cased. A run of letters and digits of an alphabetic script gives the whole word and its n-grams of
//! 3 to 5 characters, the word's ends included; a run of characters of a script without spaces (Chinese, Japanese,
//! Korean, Thai) gives its n-grams of 1 to 3 characters. Each feature is hashed to one of [`DIMENSIONS`] dimensions
//! with a sign (Weinberger and others 2009), counts once a text, is weighted by its inverse document frequency, and the
//! vector has length 1.

use ndarray::{Array1, Array2, ArrayView2};
use safetensors::SafeTensors;

use super::TextMap;
use crate::algorithm::{FitError, NotAModel, StoredTensors, Tensors};

/// Dimensions that features are hashed to.
pub const DIMENSIONS: usize = 2_048;
/// Lengths of n-grams within words of alphabetic scripts.
const WORD_NGRAMS: std::ops::RangeInclusive<usize> = 3..=5;
/// Lengths of n-grams of scripts without spaces.
const DENSE_NGRAMS: std::ops::RangeInclusive<usize> = 1..=3;
/// Characters of a text that are read, so that a long description costs no more than this.
const MAX_CHARACTERS: usize = 2_000;
/// Name and version of the layout of a stored map.
const FORMAT: &str = "bespoke.ngrams.v1";

/// A text's features before weighting: dimension and sign, each dimension once, in ascending order.
type Features = Vec<(u32, f32)>;

/// Whether `c` belongs to a script that is written without spaces between words.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1780..=0x17FF | 0x1000..=0x109F   // Thai, Lao, Khmer, Burmese
        | 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF // kana, Chinese characters
        | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF)
}

/// FNV-1a over the characters of an n-gram; `kind` keeps features of different kinds apart.
fn hash(kind: u8, gram: &[char]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let start = step(0xcbf2_9ce4_8422_2325, kind);
    let hash = gram.iter().fold(start, |hash, c| u32::from(*c).to_le_bytes().into_iter().fold(hash, step));
    // FNV's low bits depend on few input bits: mixed before they are cut off.
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// The hashed features of `text`.
fn features(text: &str) -> Features {
    let mut found: Features = Vec::new();
    let mut add = |kind: u8, gram: &[char]| {
        let hash = hash(kind, gram);
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        found.push(((hash % DIMENSIONS as u64) as u32, sign));
    };
    let text: Vec<char> = text.chars().take(MAX_CHARACTERS).flat_map(char::to_lowercase).collect();
    let kind = |c: char| match c {
        c if is_dense(c) => 2,
        c if c.is_alphanumeric() => 1,
        _ => 0,
    };
    for run in text.chunk_by(|a, b| kind(*a) == kind(*b)) {
        match kind(run[0]) {
            1 => {
                add(b'w', run);
                let bounded: Vec<char> = [&[' '], run, &[' ']].concat();
                for n in WORD_NGRAMS {
                    bounded.windows(n).for_each(|gram| add(b'n', gram));
                }
            }
            2 => {
                for n in DENSE_NGRAMS {
                    run.windows(n).for_each(|gram| add(b'd', gram));
                }
            }
            _ => {}
        }
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    found.dedup();
    // Features of both signs in one dimension cancel out.
    let cancelled = |all: &Features, at: usize| {
        let dimension = all[at].0;
        (at > 0 && all[at - 1].0 == dimension) || all.get(at + 1).is_some_and(|next| next.0 == dimension)
    };
    (0..found.len()).filter(|at| !cancelled(&found, *at)).map(|at| found[at]).collect()
}

/// A map from texts, as hashed n-grams, to a model's factors.
#[derive(Debug, Clone, PartialEq)]
pub struct NgramMap {
    /// Inverse document frequency of each dimension.
    idf: Array1<f32>,
    map: TextMap,
    /// Factors of a text without features.
    base: Array1<f32>,
}

impl NgramMap {
    /// Learns from `texts`, the `factors` of the same items, and how many `people` took each.
    ///
    /// # Errors
    /// Too few items, or arithmetic that breaks down.
    pub fn fit(texts: &[String], factors: ArrayView2<f32>, people: &[f32]) -> Result<Self, FitError> {
        let all: Vec<Features> = texts.iter().map(|text| features(text)).collect();
        let mut documents = Array1::<f32>::zeros(DIMENSIONS);
        all.iter().flatten().for_each(|(dimension, _)| documents[*dimension as usize] += 1.0);
        let count = all.len() as f32;
        let idf = documents.mapv(|documents| ((1.0 + count) / (1.0 + documents)).ln() + 1.0);
        let mut rows = Array2::zeros((all.len(), DIMENSIONS));
        for (mut row, features) in rows.rows_mut().into_iter().zip(&all) {
            for (dimension, value) in weighted(features, &idf) {
                row[dimension as usize] = value;
            }
        }
        let map = TextMap::fit(rows.view(), factors, people)?;
        Ok(Self::new(idf, map))
    }

    fn new(idf: Array1<f32>, map: TextMap) -> Self {
        let base = map.map_one(&[0.0; DIMENSIONS]).into();
        Self { idf, map, base }
    }

    /// Share of the factors' variance that texts tell of items kept back.
    pub fn explained(&self) -> f64 {
        self.map.explained
    }

    /// Number of factors.
    pub fn factors(&self) -> usize {
        self.map.factors()
    }

    /// The factors that `text` tells; nothing where it has no letters or digits.
    pub fn map_one(&self, text: &str) -> Option<Vec<f32>> {
        let features = features(text);
        if features.is_empty() {
            return None;
        }
        let mut factors = self.base.clone();
        for (dimension, value) in weighted(&features, &self.idf) {
            factors.scaled_add(value, &self.map.weights.row(dimension as usize));
        }
        Some(factors.to_vec())
    }

    /// The map as it is stored with a model.
    ///
    /// # Errors
    /// The tensors could not be laid out.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NotAModel> {
        let mut tensors = Tensors::default();
        self.map.add_to(&mut tensors);
        tensors.vector("idf", &self.idf.to_vec());
        tensors.write(&format!("{{\"format\":\"{FORMAT}\"}}"))
    }

    /// The map in these bytes.
    ///
    /// # Errors
    /// Bytes that are no safetensors, a tensor missing or of the wrong shape, a value that is not finite.
    pub fn from_safetensors(data: &[u8]) -> Result<Self, NotAModel> {
        let tensors = SafeTensors::deserialize(data).map_err(NotAModel::of)?;
        let stored = StoredTensors::of(&tensors);
        let map = TextMap::read(&stored)?;
        if map.dimensions() != DIMENSIONS {
            return Err(NotAModel::of(format!(
                "n-grams of {} dimensions, {DIMENSIONS} are read here: train anew",
                map.dimensions()
            )));
        }
        Ok(Self::new(stored.vector("idf", DIMENSIONS)?.into(), map))
    }
}

/// Features times their inverse document frequency, of length 1.
fn weighted<'a>(features: &'a Features, idf: &'a Array1<f32>) -> impl Iterator<Item = (u32, f32)> + 'a {
    let weight = |(dimension, sign): &(u32, f32)| sign * idf[*dimension as usize];
    let length = features.iter().map(weight).map(|value| value * value).sum::<f32>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    features.iter().map(move |feature| (feature.0, scale * weight(feature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        let idf = Array1::ones(DIMENSIONS);
        let (a, b) = (features(a), features(b));
        let b: std::collections::HashMap<u32, f32> = weighted(&b, &idf).collect();
        weighted(&a, &idf).filter_map(|(at, value)| Some(value * b.get(&at)?)).sum()
    }

    #[test]
    fn texts_that_share_words_or_characters_are_alike_in_every_script() {
        assert!(cosine("Red ceramic teapot", "TEAPOT, red") > 0.5);
        assert!(cosine("Red ceramic teapot", "Blue woollen scarf") < 0.15);
        assert!(cosine("红色陶瓷茶壶", "陶瓷茶壶套装") > 0.4);
        assert!(cosine("红色陶瓷茶壶", "蓝色羊毛围巾") < 0.25);
        assert!(cosine("Teapot 茶壶", "茶壶") > 0.2, "mixed");
        assert!((cosine("茶壶", "茶壶") - 1.0).abs() < 1e-5);
        assert!(features("… — !").is_empty() && features("").is_empty());
    }

    /// Items of two kinds, each with factors and words of its own.
    fn shop(words: [&str; 2]) -> (Vec<String>, Array2<f32>) {
        let text = |n: usize| format!("{} {}", words[n % 2], n * 7919 % 1000);
        let factors =
            Array2::from_shape_fn((120, 4), |(n, factor)| f32::from(factor as u8 % 2 == n as u8 % 2));
        ((0..120).map(text).collect(), factors)
    }

    #[test]
    fn a_new_text_gets_the_factors_of_its_kind_in_english_and_chinese() {
        for words in [["green tea leaves", "garden hose reel"], ["绿茶茶叶", "花园水管"]] {
            let (texts, factors) = shop(words);
            let map = NgramMap::fit(&texts, factors.view(), &[20.0; 120]).expect("fits");
            assert!(map.explained() > 0.8, "{}", map.explained());
            for (kind, word) in words.iter().enumerate() {
                let told = map.map_one(&format!("{word} 4711")).expect("has letters");
                assert!(told[kind] > 0.8 && told[1 - kind] < 0.2, "{word}: {told:?}");
            }
            assert_eq!(map.map_one("!!!"), None);
            let data = map.to_safetensors().expect("written");
            let back = NgramMap::from_safetensors(&data).expect("read");
            assert_eq!(back.map_one(words[0]), map.map_one(words[0]));
            assert!(NgramMap::from_safetensors(&data[..100]).is_err());
        }
    }
}
