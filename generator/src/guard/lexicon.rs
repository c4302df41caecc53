//! Words that claim something, each with what bears it out and the rule it comes from.
//!
//! The words stand in `generator/lexicon/*.toml`, where lawyers can read them. One automaton finds them all in one
//! pass (Aho and Corasick, 1975), so that a text can be checked at every token that is written.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use super::facts::Facts;
use super::fold::Folded;

const SOURCES: [&str; 13] = [
    include_str!("../../lexicon/offers.toml"),
    include_str!("../../lexicon/superlatives.toml"),
    include_str!("../../lexicon/health.toml"),
    include_str!("../../lexicon/finance.toml"),
    include_str!("../../lexicon/reputation.toml"),
    include_str!("../../lexicon/origin.toml"),
    include_str!("../../lexicon/materials.toml"),
    include_str!("../../lexicon/functions.toml"),
    include_str!("../../lexicon/food.toml"),
    include_str!("../../lexicon/goods.toml"),
    include_str!("../../lexicon/audience.toml"),
    include_str!("../../lexicon/disparagement.toml"),
    include_str!("../../lexicon/restricted.toml"),
];

/// What bears a word out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bears {
    /// An offer of free shipping.
    Shipping,
    /// An offer of everything off.
    Free,
    /// An offer that makes something cheaper.
    Reduction,
    /// An offer that ends.
    End,
    /// A word of the group in the offer's title or in what the caller himself wants said: an item's own text may
    /// not grant anything.
    Offer,
    /// Any word of the group in any text of the brief.
    Group,
    /// The same word in any text of the brief.
    Word,
    /// The item's own name: its title or brand.
    Name,
    /// Nothing: goods so named are not written about at all.
    Restricted,
}

/// Words that claim the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    /// What they claim.
    pub(super) name: String,
    /// What bears them out.
    pub(super) bears: Bears,
    /// The rule they come from.
    pub(super) source: String,
    /// The words, folded.
    pub(super) words: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    group: Vec<Group>,
}

/// All words, found in one pass.
pub(super) struct Lexicon {
    pub(super) groups: Vec<Group>,
    /// Of each word: the word, and its group.
    words: Vec<(String, usize)>,
    automaton: AhoCorasick,
}

/// A word found in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Its first character.
    pub(super) start: usize,
    /// The character after it.
    pub(super) end: usize,
    /// Its number in the lexicon.
    pub(super) word: usize,
}

impl Hit {
    /// Characters it has.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The lexicon.
pub(super) static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let groups: Vec<Group> = SOURCES
        .iter()
        .flat_map(|text| toml::from_str::<File>(text).expect("the lexicon is sound").group)
        .collect();
    let words: Vec<(String, usize)> = groups
        .iter()
        .enumerate()
        .flat_map(|(group, found)| found.words.iter().map(move |word| (Folded::new(word).line, group)))
        .collect();
    let automaton =
        AhoCorasick::new(words.iter().map(|(word, _)| word)).expect("the lexicon fits an automaton");
    Lexicon { groups, words, automaton }
});

impl Lexicon {
    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The group of a word.
    pub(super) fn group(&self, word: usize) -> usize {
        self.words[word].1
    }

    /// What bears a word out.
    pub(super) fn bears(&self, word: usize) -> Bears {
        self.groups[self.group(word)].bears
    }

    /// Every word of `text`, wherever it stands: a title joins what copy sets apart ("Chickenbreast", 白色 in 纯白色).
    pub(super) fn anywhere<'a>(&'a self, text: &'a Folded) -> impl Iterator<Item = Hit> + 'a {
        self.automaton.find_overlapping_iter(&text.line).map(|found| Hit {
            start: text.place(found.start()),
            end: text.place(found.end()),
            word: found.pattern().as_usize(),
        })
    }

    /// Every word of `text` that stands as a word, its plural included.
    pub(super) fn words<'a>(&'a self, text: &'a Folded) -> impl Iterator<Item = Hit> + 'a {
        self.anywhere(text).filter_map(|hit| text.whole(hit.start, hit.end).map(|end| Hit { end, ..hit }))
    }
}

/// A claim found by its words.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the brief bears it out.
    pub(super) fact: Option<String>,
    /// Whether the law forbids it, whatever the brief says beside the item's name.
    pub(super) forbidden: bool,
    /// What it claims, and the rule it comes from.
    pub(super) group: &'static Group,
}

/// Every worded claim of `text`, the longest where several overlap, with the fact that bears it out where one does.
pub(super) fn claims(text: &Folded, facts: &Facts) -> Vec<Found> {
    let mut hits: Vec<Hit> =
        LEXICON.words(text).filter(|hit| LEXICON.bears(hit.word) != Bears::Restricted).collect();
    hits.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    let mut found: Vec<Found> = Vec::new();
    for hit in hits {
        let fact = facts.word(hit.word);
        let forbidden = LEXICON.bears(hit.word) == Bears::Name && fact.is_none();
        // What stands inside a longer claim is part of it, unless it alone is forbidden.
        let inside = found.iter().any(|other| other.start <= hit.start && hit.end <= other.end);
        if !inside || forbidden && !found.iter().any(|other| other.forbidden && hit.end <= other.end) {
            let group = &LEXICON.groups[LEXICON.group(hit.word)];
            found.push(Found { start: hit.start, end: hit.end, fact, forbidden, group });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proto::common::v1::Item;
    use proto::generator::v1::Brief;

    use super::*;
    use crate::brief::is_han;
    use crate::guard::Guard;

    /// `word` in a sentence of its own language about some item, and that brief.
    fn said(word: &str) -> (Brief, String) {
        let chinese = word.chars().any(is_han);
        let (title, locale) = if chinese { ("衣架", "zh-CN") } else { ("Hook", "en") };
        let text =
            if chinese { format!("这个衣架，{word}。") } else { format!("A hook, {word} indeed") };
        let item = Item { title: title.into(), ..Item::default() };
        (Brief { item: Some(item), locale: locale.into(), ..Brief::default() }, text)
    }

    #[test]
    fn every_entry_has_a_source_and_is_caught() {
        for group in &LEXICON.groups {
            assert!(group.source.len() > 5, "{} has no source", group.name);
            for word in &group.words {
                let (mut brief, text) = said(word);
                if group.bears == Bears::Restricted {
                    assert!(!Guard::new(&brief).restricted());
                    brief.item.as_mut().unwrap().title = text;
                    assert!(Guard::new(&brief).restricted(), "{word} of {}", group.name);
                } else {
                    assert!(
                        !Guard::new(&brief).check_text(&text).violations.is_empty(),
                        "{word} of {}",
                        group.name
                    );
                }
            }
        }
    }

    #[test]
    fn every_entry_may_be_said_where_the_brief_bears_it_out() {
        for group in &LEXICON.groups {
            for word in &group.words {
                let (mut brief, text) = said(word);
                let item = brief.item.as_mut().unwrap();
                match group.bears {
                    Bears::Group | Bears::Word => item.description.clone_from(word),
                    Bears::Name => item.title = format!("{} {word}", item.title),
                    Bears::Offer | Bears::Shipping | Bears::Free | Bears::Reduction | Bears::End => {
                        brief.must_include = vec![word.clone()];
                    }
                    Bears::Restricted => continue,
                }
                let violations = Guard::new(&brief).check_text(&text).violations;
                assert_eq!(violations, [] as [&str; 0], "{word} of {}", group.name);
            }
        }
    }

    #[test]
    fn an_items_own_text_grants_no_offer() {
        for group in LEXICON.groups.iter().filter(|group| {
            matches!(
                group.bears,
                Bears::Offer | Bears::Shipping | Bears::Free | Bears::Reduction | Bears::End
            )
        }) {
            for word in &group.words {
                let (mut brief, text) = said(word);
                brief.item.as_mut().unwrap().description.clone_from(word);
                assert!(
                    !Guard::new(&brief).check_text(&text).violations.is_empty(),
                    "{word} of {}",
                    group.name
                );
            }
        }
    }

    #[test]
    fn no_word_stands_in_two_groups() {
        let mut seen = HashSet::new();
        for group in &LEXICON.groups {
            for word in &group.words {
                assert!(seen.insert((word, group.bears == Bears::Restricted)), "{word} stands twice");
                assert_eq!(*word, Folded::new(word).line, "{word} is not folded");
            }
        }
    }
}
