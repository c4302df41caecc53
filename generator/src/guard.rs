//! Checks copy against the facts of its brief: every number, price, percentage and worded claim must be borne out.
//!
//! The guard is rules, not a model: what a small model writes reads well and is often untrue.

mod contradiction;
mod facts;
mod fold;
mod form;
mod lexicon;
pub mod limits;
mod numbers;
mod numerals;
#[cfg(test)]
mod tests;

use proto::generator::v1::{Brief, Claim, ClaimVerdict};

pub use contradiction::contradictions;

use crate::brief::Locale;
use facts::Facts;
use fold::Folded;
use limits::Limits;

/// The parts of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The headline.
    pub headline: String,
    /// The body.
    pub body: String,
    /// What the reader is asked to do.
    pub call_to_action: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What the text claims, in order.
    pub claims: Vec<Claim>,
    /// What is wrong with it.
    pub violations: Vec<String>,
}

/// The check for one brief; its facts are read once.
pub struct Guard {
    locale: Locale,
    facts: Facts,
    limits: Limits,
    banned: Vec<Wish>,
    required: Vec<Wish>,
}

/// A word as the caller wrote it and as it is compared.
struct Wish {
    word: String,
    folded: String,
}

impl Guard {
    /// The check of copy about `brief`.
    pub fn new(brief: &Brief) -> Self {
        let wishes = |words: &[String]| words.iter().map(|word| Wish::new(word)).collect();
        Self {
            locale: Locale::of(brief),
            facts: Facts::of(brief),
            limits: Limits::of(brief),
            banned: wishes(&brief.banned),
            required: wishes(&brief.must_include),
        }
    }

    /// Whether only the bare facts of the item may be told, as with medicine, tobacco and alcohol.
    pub fn restricted(&self) -> bool {
        self.facts.restricted()
    }

    /// The room there is.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Checks a whole copy.
    pub fn check(&self, text: &Text) -> Report {
        let whole = [&text.headline, &text.body, &text.call_to_action];
        let whole: Vec<&str> =
            whole.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let mut report = self.words(&Folded::new(&whole.join("\n")));
        if text.headline.is_empty() && text.body.is_empty() {
            report.violations.push("empty".into());
        }
        report.violations.extend(self.limits.faults(&text.headline, &text.body));
        if !text.body.is_empty() && text.headline == text.body {
            report.violations.push("the body is the headline".into());
        }
        let shown = Folded::new(&format!("{}\n{}", text.headline, text.body));
        self.require(&shown, &mut report);
        report
    }

    /// Checks a text of which headline and body are not known apart.
    pub fn check_text(&self, text: &str) -> Report {
        let folded = Folded::new(text);
        let mut report = self.words(&folded);
        if text.trim().is_empty() {
            report.violations.push("empty".into());
        }
        report.violations.extend(self.limits.faults("", text));
        self.require(&folded, &mut report);
        report
    }

    /// What is wrong with the words of a text that may still go on: neither its length nor what it lacks. A word at
    /// its end counts as whole.
    pub fn faults_so_far(&self, text: &str) -> bool {
        let text = Folded::new(text);
        numbers::mentions(&text).iter().any(|mention| {
            // Digits at the end may go on.
            let open = mention.end == text.folded.len() && text.folded[mention.end - 1].is_ascii_digit();
            !open && self.facts.number(mention, &text.after(mention.end)).is_none()
        }) || lexicon::claims(&text, &self.facts).iter().any(|found| found.fact.is_none())
            || self.banned.iter().any(|word| word.stands_in(&text))
            || !form::faults(&text, &self.facts, self.locale).is_empty()
    }

    /// The required words that `text` lacks.
    pub fn missing(&self, text: &str) -> Vec<&str> {
        let text = Folded::new(text);
        let missing = self.required.iter().filter(|word| !word.stands_in(&text));
        missing.map(|word| word.word.as_str()).collect()
    }

    /// The numbers a text of the brief states, as they are written with digits.
    pub fn digits(&self) -> Vec<String> {
        self.facts.digits()
    }

    fn words(&self, text: &Folded) -> Report {
        let mut claims: Vec<(usize, usize, Option<String>, String)> = Vec::new();
        for mention in numbers::mentions(text) {
            let fact = self.facts.number(&mention, &text.after(mention.end)).map(str::to_owned);
            claims.push((mention.start, mention.end, fact, String::new()));
        }
        let mut report = Report::default();
        let mut forbidden = Vec::new();
        for found in lexicon::claims(text, &self.facts) {
            let rule = format!(" ({}: {})", found.group.name, found.group.source);
            if found.forbidden {
                forbidden.push(format!("forbidden: {}{rule}", text.words(found.start, found.end)));
            } else {
                claims.push((found.start, found.end, found.fact, rule));
            }
        }
        claims.sort_by_key(|(start, ..)| *start);
        for (start, end, fact, rule) in claims {
            let words = text.words(start, end);
            if fact.is_none() {
                report.violations.push(format!("not borne out: {words}{rule}"));
            }
            let verdict = if fact.is_some() { ClaimVerdict::Supported } else { ClaimVerdict::Unsupported };
            report.claims.push(Claim {
                text: words,
                fact: fact.unwrap_or_default(),
                verdict: verdict.into(),
            });
        }
        report.violations.extend(forbidden);
        let banned = self.banned.iter().filter(|word| word.stands_in(text));
        report.violations.extend(banned.map(|word| format!("banned: {}", word.word)));
        report.violations.extend(form::faults(text, &self.facts, self.locale));
        report
    }

    fn require(&self, text: &Folded, report: &mut Report) {
        let missing = self.required.iter().filter(|word| !word.stands_in(text));
        report.violations.extend(missing.map(|word| format!("missing: {}", word.word)));
    }
}

impl Wish {
    fn new(word: &str) -> Self {
        Self { word: word.to_owned(), folded: Folded::new(word.trim()).line }
    }

    /// Whether the word occurs, wherever it stands and however it is cased.
    fn stands_in(&self, text: &Folded) -> bool {
        !self.folded.is_empty() && text.line.contains(&self.folded)
    }
}
