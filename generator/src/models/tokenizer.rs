//! The tokenizer that a model's files carry.

mod pieces;

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use candle_core::quantized::gguf_file::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, DecoderWrapper};

use super::gguf::Weights;
use pieces::Pieces;

/// What ends a turn or a text in the models we know, beside what the file names.
const ENDS: [&str; 8] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "</s>",
    "<end_of_turn>",
    "<eos>",
];

/// Text to tokens, and tokens to bytes.
pub struct Tokenizer {
    inner: Inner,
    bytes: Vec<Box<[u8]>>,
    controls: Vec<String>,
    ends: HashSet<u32>,
    unsaid: Vec<u32>,
    first: Option<u32>,
}

enum Inner {
    /// By a list of merges, or whatever a `tokenizer.json` says.
    Library(Box<tokenizers::Tokenizer>),
    /// By scores.
    Pieces(Pieces),
}

impl Tokenizer {
    /// The tokenizer in a GGUF file's metadata.
    pub fn of_gguf(weights: &Weights) -> anyhow::Result<Tokenizer> {
        let tokens = strings(weights.list("tokenizer.ggml.tokens")?)?;
        let kinds =
            weights.list("tokenizer.ggml.token_type")?.iter().map(kind_of).collect::<Result<Vec<_>, _>>()?;
        ensure!(kinds.len() == tokens.len(), "{} tokens, {} kinds", tokens.len(), kinds.len());
        let (inner, spaced) = match weights.string("tokenizer.ggml.model")? {
            "gpt2" => (Inner::Library(Box::new(merging(weights, &tokens, &kinds)?)), false),
            "llama" => (Inner::Pieces(scoring(weights, &tokens, &kinds)?), true),
            kind => bail!(
                "a {kind} tokenizer is not supported: byte-level BPE (gpt2) and SentencePiece (llama) are"
            ),
        };
        let mut ends = Vec::new();
        for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
            ends.extend(weights.maybe_count(key)?.map(u32::try_from).transpose()?);
        }
        let starts = match weights.value("tokenizer.ggml.add_bos_token") {
            Some(Value::Bool(starts)) => *starts,
            // As llama.cpp has it where a file says nothing.
            _ => spaced,
        };
        let first =
            if starts { Some(u32::try_from(weights.count("tokenizer.ggml.bos_token_id")?)?) } else { None };
        Tokenizer::new(inner, &tokens, &kinds, ends, first, spaced)
    }

    /// The tokenizer in a `tokenizer.json`, with the tokens that end a text as the model's configuration has them.
    pub fn of_file(path: &Path, ends: Vec<u32>) -> anyhow::Result<Tokenizer> {
        let inner = tokenizers::Tokenizer::from_file(path).map_err(|error| anyhow!(error))?;
        let added = inner.get_added_tokens_decoder();
        let (mut tokens, mut kinds) = (Vec::new(), Vec::new());
        for id in 0..u32::try_from(inner.get_vocab_size(true))? {
            kinds.push(match (added.get(&id), inner.id_to_token(id)) {
                (_, None) => Kind::Unused,
                (Some(token), _) if token.special => Kind::Control,
                (Some(_), _) => Kind::Added,
                (None, Some(token)) if byte_token(&token).is_some() => Kind::Byte,
                (None, Some(_)) => Kind::Normal,
            });
            tokens.push(inner.id_to_token(id).unwrap_or_default());
        }
        let byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
        // What the file itself puts before every text.
        let first = inner.encode("", true).map_err(|error| anyhow!(error))?.get_ids().first().copied();
        Tokenizer::new(Inner::Library(Box::new(inner)), &tokens, &kinds, ends, first, !byte_level)
    }

    fn new(
        inner: Inner,
        tokens: &[String],
        kinds: &[Kind],
        ends: Vec<u32>,
        first: Option<u32>,
        spaced: bool,
    ) -> anyhow::Result<Tokenizer> {
        let id = |token: &&str| match &inner {
            Inner::Library(library) => library.token_to_id(token),
            Inner::Pieces(pieces) => pieces.id(token),
        };
        let mut all: HashSet<u32> = ENDS.iter().filter_map(id).collect();
        all.extend(ends);
        let ends = all;
        ensure!(ends.iter().any(|end| (*end as usize) < tokens.len()), "no token ends a text");
        let controls = tokens.iter().zip(kinds).filter(|(_, kind)| **kind == Kind::Control);
        let controls = controls.map(|(token, _)| token.clone()).collect();
        let unsaid = (0..)
            .zip(kinds)
            .filter(|(id, kind)| matches!(kind, Kind::Control | Kind::Unused) && !ends.contains(id))
            .map(|(id, _)| id)
            .collect();
        let bytes = tokens.iter().zip(kinds).map(|(token, kind)| bytes_of(token, *kind, spaced)).collect();
        Ok(Tokenizer { inner, bytes, controls, ends, unsaid, first })
    }

    /// The tokens of a text; the marks that steer the model are taken for what they are.
    pub fn encode(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        let mut tokens = match &self.inner {
            Inner::Library(library) => {
                library.encode_fast(text, false).map_err(|error| anyhow!(error))?.get_ids().to_vec()
            }
            Inner::Pieces(pieces) => pieces.encode(text),
        };
        if let Some(first) = self.first.filter(|first| tokens.first() != Some(first)) {
            tokens.insert(0, first);
        }
        Ok(tokens)
    }

    /// The bytes a token stands for, none if it steers the model; a character may be spread over several tokens.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], |bytes| bytes)
    }

    /// The marks that steer the model.
    pub fn controls(&self) -> &[String] {
        &self.controls
    }

    /// Whether a token ends the answer.
    pub fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The tokens that end the answer.
    pub fn endings(&self) -> impl Iterator<Item = u32> + '_ {
        self.ends.iter().copied().filter(|end| (*end as usize) < self.bytes.len())
    }

    /// The tokens an answer may never hold: marks that end nothing, and places left unused.
    pub fn unsaid(&self) -> &[u32] {
        &self.unsaid
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Control,
    Added,
    Unused,
    Byte,
}

fn kind_of(value: &Value) -> anyhow::Result<Kind> {
    let code = match value {
        Value::I32(code) => i64::from(*code),
        Value::U32(code) => i64::from(*code),
        other => bail!("{other:?} is no kind of token"),
    };
    Ok(match code {
        2 | 3 => Kind::Control,
        4 => Kind::Added,
        5 => Kind::Unused,
        6 => Kind::Byte,
        _ => Kind::Normal,
    })
}

/// A tokenizer by the merges of a file.
fn merging(weights: &Weights, tokens: &[String], kinds: &[Kind]) -> anyhow::Result<tokenizers::Tokenizer> {
    let merges = strings(weights.list("tokenizer.ggml.merges")?)?
        .into_iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(anyhow!("{merge:?} is no merge")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let vocabulary: Vocab = (0..).zip(tokens).map(|(id, token)| (token.clone(), id)).collect();
    let model =
        BPE::builder().vocab_and_merges(vocabulary, merges).build().map_err(|error| anyhow!(error))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let (normaliser, splitter) = splitting(weights.string("tokenizer.ggml.pre")?)?;
    inner.with_normalizer(normaliser).map_err(|error| anyhow!(error))?;
    inner.with_pre_tokenizer(Some(splitter));
    let added = tokens.iter().zip(kinds).filter(|(_, kind)| matches!(kind, Kind::Control | Kind::Added));
    inner
        .add_special_tokens(added.map(|(token, _)| AddedToken::from(token.clone(), true)))
        .map_err(|error| anyhow!(error))?;
    Ok(inner)
}

/// A tokenizer by the scores of a file.
fn scoring(weights: &Weights, tokens: &[String], kinds: &[Kind]) -> anyhow::Result<Pieces> {
    let scores =
        weights.list("tokenizer.ggml.scores")?.iter().map(Value::to_f32).collect::<Result<_, _>>()?;
    let prefixed = !matches!(weights.value("tokenizer.ggml.add_space_prefix"), Some(Value::Bool(false)));
    Pieces::new(tokens, scores, |id| matches!(kinds[id], Kind::Control | Kind::Added), prefixed)
}

fn strings(values: &[Value]) -> anyhow::Result<Vec<String>> {
    values.iter().map(|value| Ok(value.to_string().context("a list of texts")?.clone())).collect()
}

/// How a text is split before merging, by the name llama.cpp gives the scheme.
fn splitting(name: &str) -> anyhow::Result<(Option<NormalizerWrapper>, PreTokenizerWrapper)> {
    Ok(match name {
        "qwen2" => (Some(NFC.into()), words(r"\p{N}")?),
        "llama-bpe" | "llama3" => (None, words(r"\p{N}{1,3}")?),
        "smollm" => (
            None,
            Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]).into(),
        ),
        "gpt-2" => (None, ByteLevel::new(false, true, true).into()),
        other => bail!("the pre-tokenizer {other} is not supported"),
    })
}

/// Contractions, words, numbers as `digits` groups them, punctuation, line ends and spaces.
fn words(digits: &str) -> anyhow::Result<PreTokenizerWrapper> {
    let pattern = format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    );
    let split = Split::new(SplitPattern::Regex(pattern), SplitDelimiterBehavior::Isolated, false)
        .map_err(|error| anyhow!(error))?;
    Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, false, false).into()]).into())
}

/// The bytes of a token. With `spaced`, [`pieces::SPACE`] is a space and everything else itself; else the byte-level
/// alphabet is undone, in which printable Latin-1 stands for itself and U+0100 onwards for the other 68 bytes.
fn bytes_of(token: &str, kind: Kind, spaced: bool) -> Box<[u8]> {
    match kind {
        Kind::Control | Kind::Unused => Box::default(),
        Kind::Byte => byte_token(token).into_iter().collect(),
        Kind::Normal | Kind::Added if spaced => token.replace(pieces::SPACE, " ").into_bytes().into(),
        Kind::Added => token.as_bytes().into(),
        Kind::Normal => token.chars().filter_map(byte_of).collect(),
    }
}

/// The byte that `<0x0A>` stands for.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    let plain = |code: u32| matches!(code, 33..=126 | 161..=172 | 174..=255);
    if plain(code) {
        return u8::try_from(code).ok();
    }
    let index = code.checked_sub(256)?;
    (0..=255u8).filter(|byte| !plain(u32::from(*byte))).nth(index as usize)
}
