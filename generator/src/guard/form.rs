//! Whether a text is whole: no mark-up, no residue of a prompt, no stutter, in its own language.

use std::collections::HashMap;

use super::facts::Facts;
use super::fold::Folded;
use crate::brief::{Locale, is_han};

/// What a prompt or a training set leaves behind.
const RESIDUE: [&str; 34] = [
    "<|",
    "|>",
    "```",
    "**",
    "__",
    "http:",
    "https:",
    "www.",
    "headline",
    "body:",
    "product:",
    "item:",
    "offer:",
    "title:",
    "copy:",
    "facts:",
    "brand:",
    "as an ai",
    "language model",
    "assistant:",
    "user:",
    "system:",
    "[insert",
    "[your",
    "[product",
    "<unk>",
    "unk>",
    "lorem ipsum",
    "标题：",
    "标题:",
    "文案：",
    "商品：",
    "卖点：",
    "示例",
];

pub(super) fn faults(text: &Folded, facts: &Facts, locale: Locale) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(c) = text.original.iter().find(|c| broken(**c)) {
        faults.push(format!("broken character U+{:04X}", u32::from(*c)));
    }
    if let Some(c) =
        text.original.iter().find(|c| matches!(c, '<' | '>' | '{' | '}' | '|' | '\\' | '`' | '*' | '~' | '^'))
    {
        faults.push(format!("mark-up: {c}"));
    }
    let line: String = text.folded.iter().collect();
    if let Some(residue) = RESIDUE.iter().find(|residue| line.contains(**residue) && !facts.contains(residue))
    {
        faults.push(format!("residue of a prompt: {residue}"));
    }
    if let Some(stutter) = stutter(text, facts) {
        faults.push(format!("repeats itself: {stutter}"));
    }
    faults.extend(language(text, facts, locale));
    faults
}

fn broken(c: char) -> bool {
    let private =
        matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fffd}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{feff}');
    private || c.is_control() && c != '\n'
}

/// A word three times in a row, or a run of words that comes a second time.
fn stutter(text: &Folded, facts: &Facts) -> Option<String> {
    let words = words(text);
    if let Some(three) = words.windows(3).find(|three| three[0] == three[1] && three[1] == three[2]) {
        return (!facts.contains(&three.join(" "))).then(|| three[0].clone());
    }
    if let Some(chunk) = chant(&words, facts) {
        return Some(chunk);
    }
    let size =
        if words.iter().filter(|word| word.chars().all(is_han)).count() * 2 > words.len() { 6 } else { 4 };
    let mut seen: HashMap<&[String], usize> = HashMap::new();
    let run = words.windows(size).find(|run| {
        let count = seen.entry(*run).or_default();
        *count += 1;
        // A headline that names the item and a body that names it again are well.
        *count >= 2 && !facts.contains(&run.join(if size == 6 { "" } else { " " }))
    });
    run.map(|run| run.join(" "))
}

/// Two to four Chinese characters twice in a row, or three times in all.
fn chant(words: &[String], facts: &Facts) -> Option<String> {
    let han = |run: &[String]| run.iter().all(|word| word.chars().all(is_han));
    for size in 2..=4 {
        let mut seen: HashMap<&[String], usize> = HashMap::new();
        for (at, run) in words.windows(size).enumerate().filter(|(_, run)| han(run)) {
            let count = seen.entry(run).or_default();
            *count += 1;
            let twice = words.get(at + size..at + 2 * size) == Some(run);
            // 干干净净 and 试试 are words; 显瘦显瘦 is a stutter.
            let varied = run.iter().any(|word| *word != run[0]);
            let doubled = [run, run].concat().concat();
            if varied && twice && !facts.contains(&doubled)
                || varied && *count >= 3 && !facts.contains(&run.concat())
            {
                return Some(run.concat());
            }
            // Copy may name its item often, but not only.
            if varied && *count > 3 {
                return Some(run.concat());
            }
        }
    }
    None
}

/// Latin words and single Chinese characters.
fn words(text: &Folded) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for &c in &text.folded {
        if c.is_alphanumeric() && !is_han(c) || c == '\'' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if is_han(c) {
            words.push(c.to_string());
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Words in another language than the copy's, unless the brief has them.
fn language(text: &Folded, facts: &Facts, locale: Locale) -> Option<String> {
    let words = words(text);
    let foreign = words.iter().find(|word| {
        let letters = word.chars().filter(|c| c.is_alphabetic()).count();
        let latin = word.is_ascii();
        let other = match locale {
            Locale::English => word.chars().any(|c| c.is_alphabetic() && !is_latin(c)),
            Locale::Chinese => {
                latin && letters >= 3
                    || word.chars().any(|c| c.is_alphabetic() && !is_han(c) && !c.is_ascii())
            }
        };
        other && !facts.contains(word)
    });
    foreign.map(|word| format!("not in the language of the copy: {word}"))
}

fn is_latin(c: char) -> bool {
    c.is_ascii() || matches!(c, '\u{c0}'..='\u{24f}' | 'ª' | 'º' | 'µ')
}
