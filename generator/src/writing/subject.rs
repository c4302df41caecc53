use std::sync::Arc;

use proto::generator::v1::Brief;

use crate::brief::{Locale, hash, is_han, prompt, texts};
use crate::guard::Guard;

/// A brief, and what is worked out of it once for all who read it.
pub(super) struct Subject {
    /// The brief as it is told to the model: without the reasons of one person, which many texts would differ by.
    pub(super) brief: Brief,
    pub(super) guard: Guard,
    pub(super) locale: Locale,
    /// Words of the examples that give a text of something else away.
    pub(super) marks: Vec<&'static str>,
    /// The name its texts are kept under, without the wording.
    pub(super) key: String,
    topic: Topic,
}

impl Subject {
    pub(super) fn new(brief: &Brief, model_id: &str, temperature: f64) -> Arc<Self> {
        let brief = Brief { reasons: Vec::new(), ..brief.clone() };
        Arc::new(Self {
            guard: Guard::new(&brief),
            locale: Locale::of(&brief),
            marks: prompt::marks(&brief),
            key: hash::shared(&brief, model_id, temperature),
            topic: Topic::of(&brief),
            brief,
        })
    }

    /// The name of one of its texts.
    pub(super) fn wording(&self, wording: u64) -> String {
        format!("{}-{wording}", self.key)
    }

    /// Whether `text` shares a word with what the brief says of the item.
    pub(super) fn on_topic(&self, text: &str) -> bool {
        self.topic.is_in(text)
    }

    /// The share of the facts told to the model that `text` tells, 0 to 1.
    pub(super) fn coverage(&self, text: &str) -> f64 {
        self.topic.coverage(text)
    }
}

/// The words of an item.
struct Topic {
    /// The beginnings of its Latin words.
    stems: Vec<String>,
    /// Its pairs of Chinese characters, or the characters where there are at most two.
    pairs: Vec<String>,
    /// Of the texts the model is told: words in Latin, values in Chinese.
    told: Vec<String>,
}

impl Topic {
    fn of(brief: &Brief) -> Self {
        let about = texts(brief).into_iter().filter(|(path, _)| path.starts_with("item."));
        let about = about.map(|(_, text)| text.to_lowercase()).collect::<Vec<_>>().join("\n");
        let latin = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| !c.is_alphabetic() || is_han(c));
            words.filter(|word| word.chars().count() >= 3).map(stem).collect()
        };
        let han: Vec<char> = about.chars().collect();
        let mut pairs: Vec<String> = han
            .windows(2)
            .filter(|pair| pair.iter().all(|c| is_han(*c)))
            .map(|pair| pair.iter().collect())
            .collect();
        let singles: Vec<char> = han.iter().copied().filter(|c| is_han(*c)).collect();
        if singles.len() <= 2 {
            pairs.extend(singles.iter().map(char::to_string));
        }
        let facts = prompt::facts(brief).to_lowercase();
        let values = facts.split(['。', '、', '.', ',']).filter_map(|fact| fact.split_once(['：', ':']));
        let mut told: Vec<String> =
            values
                .flat_map(|(_, value)| {
                    if value.chars().any(is_han) { vec![value.trim().to_owned()] } else { latin(value) }
                })
                .collect();
        told.sort();
        told.dedup();
        Self { stems: latin(&about), pairs, told }
    }

    fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let mut words = text.split(|c: char| !c.is_alphabetic());
        self.stems.is_empty() && self.pairs.is_empty()
            || self.pairs.iter().any(|pair| text.contains(pair))
            || words.any(|word| self.stems.iter().any(|stem| word.starts_with(stem.as_str())))
    }

    fn coverage(&self, text: &str) -> f64 {
        if self.told.is_empty() {
            return 1.0;
        }
        let text = text.to_lowercase();
        self.told.iter().filter(|fact| text.contains(fact.as_str())).count() as f64 / self.told.len() as f64
    }
}

/// The beginning of a word by which its other forms are known too.
fn stem(word: &str) -> String {
    word.chars().take(if word.chars().count() > 5 { 5 } else { 3 }).collect()
}
