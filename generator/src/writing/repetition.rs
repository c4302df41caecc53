//! What a small model does when it has nothing to say: it says the same again, recites the title, or stops amid a phrase.

use crate::brief::is_han;

/// Words of the title that may follow each other in copy: more is a list of search words.
const RECITED: usize = 5;
/// Letters of one more word that tell it is coming.
const SURE: usize = 3;
/// Letters from which on a Latin word is told twice only by mistake.
const LONG: usize = 4;
/// What no sentence ends with.
const OPEN: [&str; 25] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "is", "it's", "its", "of", "or",
    "so", "than", "the", "their", "to", "very", "we", "with", "your",
];
/// The same in Chinese.
const OPEN_HAN: [char; 12] = ['和', '与', '及', '或', '且', '把', '被', '让', '在', '从', '、', '，'];

/// Whether a sentence of `text` has a pair of Chinese characters or a long Latin word twice. A doubled character (慢慢)
/// is one word and may come again.
pub(super) fn repeats(text: &str) -> bool {
    text.split(['.', '!', '?', '。', '！', '？', '\n']).any(|sentence| {
        let mut pairs: Vec<(char, char)> = Vec::new();
        let han = sentence
            .chars()
            .zip(sentence.chars().skip(1))
            .filter(|(a, b)| is_han(*a) && is_han(*b) && a != b);
        let twice = han.into_iter().any(|pair| {
            let seen = pairs.contains(&pair);
            pairs.push(pair);
            seen
        });
        let words = words(sentence);
        let long = |word: &String| word.chars().count() >= LONG;
        twice || words.iter().enumerate().any(|(at, word)| long(word) && words[..at].contains(word))
    })
}

/// Beginnings of what would be more words of `title` in a row than a person says, `most` where that is more: letters
/// alone, for a model kept from "loose thin" writes "LooseThin".
pub(super) fn recitals(title: &str, most: usize) -> Vec<String> {
    let words: Vec<String> = title
        .split(|c: char| !c.is_alphanumeric() || is_han(c))
        .map(letters)
        .filter(|word| !word.is_empty())
        .collect();
    let run = RECITED.max(most);
    let beginning = |words: &[String]| {
        let next: String = words[run].chars().take(SURE).collect();
        words[..run].concat() + &next
    };
    words.windows(run + 1).map(beginning).collect()
}

/// Whether `text` has one of `recitals`.
pub(super) fn recites(text: &str, recitals: &[String]) -> bool {
    let said = letters(text);
    recitals.iter().any(|beginning| said.contains(beginning.as_str()))
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether `text`, its stop at its end, breaks off amid a phrase.
pub(super) fn dangles(text: &str) -> bool {
    let said = text.trim_end_matches(['.', '!', '?', '。', '！', '？', ' ', '…']);
    let whose = said.to_lowercase().ends_with("'s") && !said.to_lowercase().ends_with("it's");
    whose
        || said.ends_with(OPEN_HAN)
        || said
            .rsplit([' ', ',', ':', '-', '\''])
            .next()
            .is_some_and(|word| OPEN.contains(&word.to_lowercase().as_str()))
}

/// The Latin words of `text` in lower case, plurals as one.
fn words(text: &str) -> Vec<String> {
    let latin = text.split(|c: char| !(c.is_alphanumeric() || c == '\'') || is_han(c));
    latin
        .filter(|word| !word.is_empty())
        .map(|word| {
            let word = word.to_lowercase();
            word.strip_suffix('s').filter(|stem| stem.len() >= LONG).map_or(word.clone(), str::to_owned)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_in_a_sentence_is_noticed() {
        for fine in [
            "Tea for slow mornings. Slow down with a cup",
            "拼图慢慢拼，话也慢慢说",
            "一口锅，一桌菜",
            "A pot, a cup, a pot",
        ] {
            assert!(!repeats(fine), "{fine}");
        }
        for twice in ["Summer top for summers", "蕾丝裙拉链，蕾丝裙吊带", "Fall, fall, and fall"] {
            assert!(repeats(twice), "{twice}");
        }
    }

    #[test]
    fn a_title_is_not_recited() {
        let title = "New Women Summer Loose V Neck Short Sleeve Top";
        let told = |text: &str, most: usize| recites(text, &recitals(title, most));
        assert!(!told("A loose V neck short top", 0));
        for recited in ["Summer loose v-neck short sleeve for all", "Women summer LooseV neckShort"] {
            assert!(told(recited, 0), "{recited}");
        }
        assert!(!told("Summer loose v neck short sleeve for all", 6), "the caller wants it");
        assert!(recitals("Green tea, 20 bags", 0).is_empty(), "a short name is said whole");
    }

    #[test]
    fn a_phrase_that_is_not_over_does_not_end() {
        for open in ["It is cozy and.", "茶和", "Made for the", "A summer women's."] {
            assert!(dangles(open), "{open}");
        }
        for whole in ["It is cozy.", "一杯好茶。", "Come in!"] {
            assert!(!dangles(whole), "{whole}");
        }
    }
}
