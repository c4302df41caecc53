//! Whether an English encoder can read a text.

use tokenizers::Encoding;

/// A text that cannot be embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which of the texts.
    pub index: usize,
    /// Why.
    pub why: Unread,
}

/// Why a text cannot be embedded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Nothing is left of it once spaces and control characters are gone.
    #[error("must not be empty")]
    Empty,
    /// It has more tokens than the model takes.
    #[error("must have at most {most} tokens, has {tokens}; shorten it or set truncate")]
    TooLong {
        /// Its tokens.
        tokens: usize,
        /// How many there may be.
        most: usize,
    },
    /// The model was trained on English: what other scripts say is lost on it, even where it has their letters.
    #[error("must be English: {0:?} is in a script the embedding model does not read")]
    Script(String),
    /// The vocabulary has no pieces for a word, which would be embedded as "unknown".
    #[error("{0:?} is not in the embedding model's vocabulary; leave it out")]
    Unknown(String),
}

impl Unread {
    /// The reason a program can match.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "EMPTY",
            Self::TooLong { .. } => "TOO_LONG",
            Self::Script(_) => "UNSUPPORTED_SCRIPT",
            Self::Unknown(_) => "UNKNOWN_WORD",
        }
    }
}

/// Characters of a faulty word that are told.
const TOLD: usize = 16;

/// A letter that is neither Latin nor Greek, whose letters stand in English text as symbols.
fn foreign(character: char) -> bool {
    let code = u32::from(character);
    let read = code < 0x0400 || (0x1E00..0x2000).contains(&code) || (0x2100..0x2150).contains(&code);
    character.is_alphabetic() && !read
}

/// What keeps `text`, whose encoding without a limit is `encoding`, from being embedded. Symbols without a token of
/// their own, such as emoji, are let pass beside words that have one.
pub(super) fn fault(text: &str, encoding: &Encoding, unknown: u32, most: Option<usize>) -> Option<Unread> {
    if let Some(word) = text.split_whitespace().find(|word| word.contains(foreign)) {
        return Some(Unread::Script(word.chars().take(TOLD).collect()));
    }
    let marks = encoding.get_special_tokens_mask();
    let tokens = encoding.get_ids().iter().zip(encoding.get_offsets()).zip(marks);
    let words: Vec<(bool, &str)> = tokens
        .filter(|(_, mark)| **mark == 0)
        .map(|((id, (start, end)), _)| (*id == unknown, text.get(*start..*end).unwrap_or_default()))
        .collect();
    if words.is_empty() {
        return Some(Unread::Empty);
    }
    let known = words.iter().any(|(unknown, _)| !unknown);
    let lost = |(unknown, word): &&(bool, &str)| *unknown && (!known || word.contains(char::is_alphanumeric));
    if let Some((_, word)) = words.iter().find(lost) {
        return Some(Unread::Unknown(word.chars().take(TOLD).collect()));
    }
    let tokens = encoding.len();
    most.filter(|&most| tokens > most).map(|most| Unread::TooLong { tokens, most })
}
