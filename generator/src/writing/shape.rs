//! What the model may write next: a headline, a separator and a body, each within its room, in words the guard lets
//! pass. The guard itself is the grammar: a token that would make the text fail its check is not written at all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::compose::terms;
use super::repetition;
use super::subject::Subject;
use crate::brief::{Locale, is_han, prompt};
use crate::engine::{Constraint, Grammar, Outline};
use crate::guard::limits::Limits;
use crate::models::tokenizer::Tokenizer;

/// What a required word gains where it may come, natural logarithm.
const WANTED: f32 = 2.0;
/// Units before the end of the room at which the text is drawn towards its end.
const END_NEARS: usize = 16;
/// Prices are told in fixed words.
const CURRENCIES: &[char] = &['$', '€', '£', '¥', '￥', '₹', '₩'];

/// The shape of copy about one subject.
pub(super) struct Shape {
    subject: Arc<Subject>,
    /// What will stand behind the body in fixed words.
    terms: String,
    sentences: usize,
    /// Numbers the text may have, as written.
    digits: Vec<String>,
    /// What would recite the item's title.
    recitals: Vec<String>,
}

impl Shape {
    pub(super) fn new(subject: Arc<Subject>) -> Self {
        let limits = *subject.guard.limits();
        let mut terms = terms(&subject.brief, subject.locale).join(" ");
        // An offer that needs most of the room is left out rather than the text.
        if limits.units(&terms) * 2 > limits.total() {
            terms.clear();
        }
        let (sentences, digits) = (prompt::sentences(&subject.brief), subject.guard.digits());
        let title = subject.brief.item.as_ref().map_or("", |item| &item.title);
        let wanted = subject.brief.must_include.iter().map(|phrase| phrase.split_whitespace().count()).max();
        let recitals = repetition::recitals(title, wanted.unwrap_or(0));
        Self { subject, terms, sentences, digits, recitals }
    }

    fn limits(&self) -> &Limits {
        self.subject.guard.limits()
    }

    /// Headline and body of a text so far; no body before the separator.
    fn parts(text: &str) -> (&str, Option<&str>) {
        match text.split_once(prompt::SEPARATOR) {
            Some((headline, body)) => (headline.trim(), Some(body.trim())),
            None => (text.trim(), None),
        }
    }

    /// Whether a text may begin with `text`.
    fn fits(&self, text: &str) -> bool {
        let (headline, body) = Self::parts(text);
        if !self.limits().holds_headline(headline) || body.is_some() && headline.chars().count() < 2 {
            return false;
        }
        if body.is_some() && repetition::dangles(headline) || Self::stops(text) && repetition::dangles(text) {
            return false;
        }
        let whole = format!("{headline}\n{}", body.unwrap_or_default());
        if repetition::repeats(&whole) || repetition::recites(&whole, &self.recitals) {
            return false;
        }
        if text.contains(CURRENCIES) || !self.counts(&whole) {
            return false;
        }
        let missing: usize =
            self.subject.guard.missing(&whole).into_iter().map(|word| self.limits().units(word) + 2).sum();
        let room = format!("{} {}", body.unwrap_or_default(), self.terms);
        self.limits().holds(headline, room.trim())
            && self.limits().left(&format!("{headline}{room}")) >= missing
            && !prompt::leaks(&whole, &self.subject.marks)
            && !self.subject.guard.faults_so_far(&whole)
    }

    /// Whether `text` ends a sentence; the point of 20.5 does not.
    fn stops(text: &str) -> bool {
        text.ends_with(['.', '!', '?', '。', '！', '？'])
            && !text.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit())
    }

    /// Whether the digits at the end of `text` begin a number of the brief.
    fn counts(&self, text: &str) -> bool {
        let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
        let start = text
            .rfind(|c: char| !numeric(c))
            .map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
        let run = text[start..].trim_start_matches(['.', ',']);
        let number = run.trim_end_matches(['.', ',']);
        // "20." may be the end of a sentence or the point of 20.5.
        number.is_empty() || self.digits.iter().any(|known| known.starts_with(run) || known == number)
    }

    /// Whether a text may be over with `text`.
    fn may_end(text: &str) -> bool {
        let (headline, Some(body)) = Self::parts(text) else { return false };
        let words = body.split_whitespace().count().max(body.chars().filter(|c| is_han(*c)).count() / 2);
        words >= 3
            && body != headline
            && !repetition::dangles(body)
            && !body.ends_with([',', '，', '、', ':', '：', ';', '；', '-', '—'])
    }

    /// Whether the body of `text` has all the sentences it may have.
    fn complete(&self, text: &str) -> bool {
        let Some(body) = Self::parts(text).1 else { return false };
        let characters: Vec<char> = body.chars().collect();
        let stop = |at: usize| match characters[at] {
            '。' | '！' | '？' | '!' | '?' => true,
            // The point of a number ends nothing.
            '.' => at == 0 || !characters[at - 1].is_ascii_digit(),
            _ => false,
        };
        let ended = characters.len().checked_sub(1).is_some_and(stop);
        ended && (0..characters.len()).filter(|at| stop(*at)).count() >= self.sentences && Self::may_end(text)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("key", &self.subject.key).finish_non_exhaustive()
    }
}

/// The grammar of one task.
#[derive(Debug, Clone)]
pub(super) struct Shaped(pub(super) Arc<Shape>);

impl Grammar for Shaped {
    fn begin(&self, tokenizer: &Arc<Tokenizer>) -> anyhow::Result<Box<dyn Constraint>> {
        Ok(Box::new(Line::new(self.0.clone(), tokenizer.clone())?))
    }

    fn allows(&self, text: &str) -> bool {
        self.0.fits(text)
    }

    fn completes(&self, text: &str) -> bool {
        self.0.complete(text)
    }

    fn outline(&self) -> Option<Outline> {
        let (limits, shape) = (self.0.limits(), &self.0);
        let total = limits.most_characters();
        Some(Outline {
            separator: prompt::SEPARATOR,
            most: [limits.headline().min(total), total.saturating_sub(shape.terms.chars().count())],
            numbers: shape.digits.iter().cloned().collect(),
            without: CURRENCIES,
        })
    }
}

/// One line being written.
struct Line {
    shape: Arc<Shape>,
    tokenizer: Arc<Tokenizer>,
    /// First tokens of required words, with the word in lower case.
    wanted: Vec<(u32, String)>,
    /// Tokens that end a sentence or the text.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Line {
    fn new(shape: Arc<Shape>, tokenizer: Arc<Tokenizer>) -> anyhow::Result<Self> {
        let mut wanted = Vec::new();
        for word in shape.subject.guard.missing("") {
            for written in [word.to_owned(), format!(" {word}")] {
                wanted.extend(tokenizer.encode(&written)?.first().map(|&token| (token, word.to_lowercase())));
            }
        }
        let mut ends: Vec<u32> = tokenizer.endings().collect();
        for stop in if shape.subject.locale == Locale::English { [".", "!"] } else { ["。", "！"] } {
            ends.extend(tokenizer.encode(stop)?.first());
        }
        Ok(Self { shape, tokenizer, wanted, ends, bytes: Vec::new() })
    }

    fn text(&self) -> &str {
        whole_characters(&self.bytes).unwrap_or_default()
    }
}

impl Constraint for Line {
    fn leanings(&mut self) -> Vec<(u32, f32)> {
        let text = self.text();
        let Some(body) = Shape::parts(text).1 else { return Vec::new() };
        let lower = text.to_lowercase();
        let lacking = self.wanted.iter().filter(|(_, word)| !lower.contains(word.as_str()));
        let mut leanings: BTreeMap<u32, f32> = lacking.map(|(token, _)| (*token, WANTED)).collect();
        let left = self.shape.limits().left(&format!("{text}{}", self.shape.terms));
        if left < END_NEARS && !body.is_empty() {
            let pull = 6.0 * (END_NEARS - left) as f32 / END_NEARS as f32;
            for &token in &self.ends {
                *leanings.entry(token).or_default() += pull;
            }
        }
        leanings.into_iter().collect()
    }

    fn allows(&mut self, token: u32) -> anyhow::Result<bool> {
        let shape = &*self.shape;
        if self.tokenizer.ends(token) {
            return Ok(Shape::may_end(self.text()));
        }
        let added = self.tokenizer.bytes(token);
        if added.is_empty() {
            return Ok(false);
        }
        let bytes = [self.bytes.as_slice(), added].concat();
        let Some(text) = whole_characters(&bytes) else { return Ok(false) };
        Ok(match text.split_once('\n') {
            Some((line, _)) => shape.fits(line) && Shape::may_end(line),
            None => shape.fits(text),
        })
    }

    fn accept(&mut self, token: u32) -> anyhow::Result<bool> {
        self.bytes.extend_from_slice(self.tokenizer.bytes(token));
        Ok(self.shape.complete(self.text()))
    }
}

/// The characters `bytes` hold, without the beginning of one at their end; `None` where they hold something else.
fn whole_characters(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}
