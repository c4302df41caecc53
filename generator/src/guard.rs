//! Checks copy against the facts of its brief: every number, price, percentage and worded claim must be borne out.
//!
//! The guard is rules, not a model: what a small model writes reads well and is often untrue.

mod facts;
mod fold;
mod form;
mod lexicon;
pub mod limits;
mod numbers;
mod numerals;
#[cfg(test)]
mod tests;

use proto::generator::v1::{Brief, Claim, Verdict};

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
pub struct Guard<'a> {
    brief: &'a Brief,
    facts: Facts,
    limits: Limits,
}

impl<'a> Guard<'a> {
    /// The check of copy about `brief`.
    pub fn new(brief: &'a Brief) -> Self {
        Self { brief, facts: Facts::of(brief), limits: Limits::of(brief) }
    }

    /// Whether only the bare facts of the item may be told, as with medicine, tobacco and alcohol.
    pub fn restricted(&self) -> bool {
        lexicon::restricted(&self.facts)
    }

    /// Checks a whole copy.
    pub fn check(&self, text: &Text) -> Report {
        let whole = [&text.headline, &text.body, &text.call_to_action];
        let whole: Vec<&str> =
            whole.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let (headline, body) = (text.headline.chars().count(), text.body.chars().count());
        let mut report = self.words(&whole.join("\n"));
        if headline + body == 0 {
            report.violations.push("empty".into());
        }
        if headline > self.limits.headline {
            report
                .violations
                .push(format!("headline of {headline} characters, at most {}", self.limits.headline));
        }
        self.length(headline + body, &mut report);
        if !text.body.is_empty() && text.headline == text.body {
            report.violations.push("the body is the headline".into());
        }
        let shown = Folded::new(&format!("{}\n{}", text.headline, text.body));
        self.required(&shown, &mut report);
        report
    }

    /// Checks a text of which headline and body are not known apart.
    pub fn check_text(&self, text: &str) -> Report {
        let mut report = self.words(text);
        if text.trim().is_empty() {
            report.violations.push("empty".into());
        }
        self.length(text.chars().count(), &mut report);
        self.required(&Folded::new(text), &mut report);
        report
    }

    fn words(&self, text: &str) -> Report {
        let text = Folded::new(text);
        let mut claims: Vec<(usize, usize, Option<String>)> = Vec::new();
        for mention in numbers::mentions(&text) {
            let fact = self.facts.number(&mention, &text.after(mention.end)).map(str::to_owned);
            claims.push((mention.start, mention.end, fact));
        }
        claims.extend(
            lexicon::claims(&text, &self.facts).into_iter().map(|found| (found.start, found.end, found.fact)),
        );
        claims.sort_by_key(|(start, _, _)| *start);
        let mut report = Report::default();
        for (start, end, fact) in claims {
            let words = text.words(start, end);
            if fact.is_none() {
                report.violations.push(format!("not borne out: {words}"));
            }
            let verdict = if fact.is_some() { Verdict::Supported } else { Verdict::Unsupported };
            report.claims.push(Claim {
                text: words,
                fact: fact.unwrap_or_default(),
                verdict: verdict.into(),
            });
        }
        let forbidden = lexicon::forbidden(&text, &self.facts);
        report.violations.extend(forbidden.into_iter().map(|word| format!("forbidden: {word}")));
        let banned = self.brief.banned.iter().filter(|word| contains(&text, word));
        report.violations.extend(banned.map(|word| format!("banned: {word}")));
        report.violations.extend(form::faults(&text, &self.facts, Locale::of(self.brief)));
        report
    }

    fn length(&self, characters: usize, report: &mut Report) {
        if characters > self.limits.total {
            report.violations.push(format!("{characters} characters, at most {}", self.limits.total));
        }
    }

    fn required(&self, text: &Folded, report: &mut Report) {
        let missing = self.brief.must_include.iter().filter(|word| !contains(text, word));
        report.violations.extend(missing.map(|word| format!("missing: {word}")));
    }
}

/// Whether `text` has `word`, wherever it stands and however it is cased.
fn contains(text: &Folded, word: &str) -> bool {
    let word = Folded::new(word.trim()).folded;
    !word.is_empty() && text.folded.windows(word.len()).any(|window| window == word)
}
