//! Text in one form for comparison, with every character still at its place.

/// A text whose full-width forms, letter cases and look-alike signs are folded, character for character.
#[derive(Debug, Clone)]
pub(super) struct Folded {
    /// As it was.
    pub(super) original: Vec<char>,
    /// As it is compared.
    pub(super) folded: Vec<char>,
    /// The same, as text.
    pub(super) line: String,
    /// Where each character begins in `line`, and its length.
    starts: Vec<usize>,
}

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        let original: Vec<char> = text.chars().collect();
        let mut folded: Vec<char> = original.iter().map(|&c| fold(c)).collect();
        // A full-width comma separates thousands only between full-width digits; elsewhere it ends a clause.
        for (at, &c) in original.iter().enumerate() {
            let wide = |c: Option<&char>| c.is_some_and(|c| matches!(c, '０'..='９'));
            if c == '，'
                && wide(at.checked_sub(1).and_then(|before| original.get(before)))
                && wide(original.get(at + 1))
            {
                folded[at] = ',';
            }
        }
        let mut line = String::with_capacity(text.len());
        let mut starts = Vec::with_capacity(folded.len() + 1);
        for &c in &folded {
            starts.push(line.len());
            line.push(c);
        }
        starts.push(line.len());
        Self { original, folded, line, starts }
    }

    /// The character that begins at `byte` of the line.
    pub(super) fn place(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start < byte)
    }

    /// The original characters from `start` to `end`.
    pub(super) fn words(&self, start: usize, end: usize) -> String {
        self.original[start..end].iter().collect::<String>().trim().to_owned()
    }

    /// The folded text from `at` on, at most 24 characters and never past the line, without leading spaces.
    pub(super) fn after(&self, at: usize) -> String {
        let rest = self.folded[at..].iter().take(24).take_while(|&&c| c != '\n');
        rest.collect::<String>().trim_start().to_owned()
    }

    /// The folded text before `at`, at most 24 characters and never past the line, without trailing spaces.
    pub(super) fn before(&self, at: usize) -> String {
        let line = self.folded[..at].iter().rposition(|&c| c == '\n').map_or(0, |line| line + 1);
        let start = at.saturating_sub(24).max(line);
        self.folded[start..at].iter().collect::<String>().trim_end().to_owned()
    }

    /// Where `word`, folded, occurs; a Latin word only as a whole word, its plural included.
    pub(super) fn find(&self, word: &str) -> Vec<(usize, usize)> {
        let found =
            self.line.match_indices(word).map(|(at, _)| (self.place(at), self.place(at + word.len())));
        found.filter_map(|(start, end)| Some((start, self.whole(start, end)?))).collect()
    }

    /// Where the word from `start` to `end` ends, its plural included; `None` where it is part of a longer Latin word.
    pub(super) fn whole(&self, start: usize, mut end: usize) -> Option<usize> {
        let letter = |at: usize| self.folded.get(at).is_some_and(char::is_ascii_alphanumeric);
        if end > start && self.folded[end - 1].is_ascii_alphabetic() && self.folded.get(end) == Some(&'s') {
            end += 1;
        }
        let torn_before = letter(start) && start > 0 && letter(start - 1);
        let torn_after = end > start && letter(end - 1) && letter(end);
        (!torn_before && !torn_after).then_some(end)
    }
}

fn fold(c: char) -> char {
    match c {
        '￥' => '¥',
        '￡' => '£',
        '　' | '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
        '’' | '‘' => '\'',
        '−' | '–' | '‐' | '‑' => '-',
        // A clause's end in Chinese, not a separator of thousands.
        '，' => c,
        '！'..='～' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}
