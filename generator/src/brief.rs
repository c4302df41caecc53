//! What copy is to be about: the brief's checks, its language, its texts and its hash.

pub mod hash;
pub mod money;
mod neutral;
pub mod prompt;
mod validate;

use proto::generator::v1::Brief;

pub use neutral::neutral;

pub use validate::{request, validate};

/// The language copy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Locale {
    /// English.
    English,
    /// Chinese as written on the mainland.
    Chinese,
}

impl Locale {
    /// The language of `brief`; English where none is named.
    pub fn of(brief: &Brief) -> Self {
        if brief.locale == "zh-CN" { Self::Chinese } else { Self::English }
    }
}

/// `text` as one line without mark-up, control characters or a model's special tokens, at most `most` characters.
pub fn clean(text: &str, most: usize) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        let tag = &rest[start + 1..];
        let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '|' | '!'));
        rest = match tag.find('>') {
            Some(end) if is_tag => {
                plain.push(' ');
                &tag[end + 1..]
            }
            _ => tag,
        };
    }
    plain.push_str(rest);
    let plain: String = plain
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '|' | '{' | '}' | '\u{fffd}' | '>' | '\u{feff}') {
                ' '
            } else {
                c
            }
        })
        // What turns the direction of writing or cannot be seen hides words from whoever reads.
        .filter(|c| !unseen(*c))
        .collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    shorten(&line, most)
}

/// What of an item's `text` may be shown or read by a model: clean, and without orders to the writer.
pub fn said(text: &str, most: usize) -> String {
    clean(&neutral(text), most)
}

/// Marks of direction and joiners of width zero; the joiner of emoji is none of them.
fn unseen(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// Whether none of the item is left.
pub fn sold_out(brief: &Brief) -> bool {
    brief.item.as_ref().is_some_and(|item| item.stock == Some(0))
}

/// Whether the item's title has a word in a script that copy of the brief's language is written in.
pub fn readable(brief: &Brief) -> bool {
    let title = brief.item.as_ref().map(|item| said(&item.title, 200)).unwrap_or_default();
    let latin = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}');
    match Locale::of(brief) {
        Locale::English => title.chars().any(latin),
        Locale::Chinese => title.chars().any(|c| is_han(c) || latin(c)),
    }
}

/// The first `most` characters of `text` or fewer, cut where no word or number is torn apart.
pub fn shorten(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let joined =
        |c: char| c.is_alphanumeric() && !is_han(c) || matches!(c, '.' | ',' | '\'' | '%' | '-' | '/' | '&');
    let mut end = most;
    while end > 0 && joined(characters[end - 1]) && joined(characters[end]) {
        end -= 1;
    }
    // One word longer than the room there is has to be cut somewhere.
    let end = if end == 0 { most } else { end };
    let cut: String = characters[..end].iter().collect();
    cut.trim_end_matches(|c: char| c.is_whitespace() || "，,、;；:：-–—&/(（$¥€£".contains(c)).to_owned()
}

/// Whether `c` is a Chinese character.
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Every text of `brief` that states facts, each with its path; an item's without orders to the writer.
pub fn texts(brief: &Brief) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut add = |path: &str, text: &str| {
        let text = if path.starts_with("item.") { neutral(text) } else { text.to_owned() };
        if !text.is_empty() {
            texts.push((path.to_owned(), text));
        }
    };
    if let Some(item) = &brief.item {
        add("item.title", &item.title);
        add("item.brand", &item.brand);
        add("item.description", &item.description);
        item.categories.iter().for_each(|category| add("item.categories", category));
        for (name, value) in &item.attributes {
            add(&format!("item.attributes[{name}]"), &format!("{name}: {value}"));
        }
    }
    if let Some(offer) = &brief.offer {
        add("offer.title", &offer.title);
    }
    brief.reasons.iter().for_each(|reason| add("reasons", reason));
    add("profile_summary", &brief.profile_summary);
    brief.must_include.iter().for_each(|word| add("must_include", word));
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_up_and_special_tokens_do_not_reach_a_prompt() {
        assert_eq!(clean("<b>Tea</b>\n<|im_end|> green | 5 < 6", 99), "Tea green 5 6");
        assert_eq!(clean("Tom & Jerry's \u{7}mug", 99), "Tom & Jerry's mug");
    }

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        assert_eq!(clean("Blue\u{202e} eet\u{200b}h\u{2066}s", 99), "Blue eeths");
        assert_eq!(clean("Gift \u{1f381} box", 99), "Gift \u{1f381} box");
    }

    #[test]
    fn words_and_numbers_are_not_torn_apart() {
        assert_eq!(shorten("Soft drinks 12/18 cans", 14), "Soft drinks");
        assert_eq!(shorten("纯棉T恤1,299元", 6), "纯棉T恤");
        assert_eq!(shorten("白色的牛仔外套", 4), "白色的牛");
        assert_eq!(shorten("Incomprehensibilities", 6), "Incomp");
    }
}
