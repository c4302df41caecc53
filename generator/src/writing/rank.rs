//! Which of several texts that passed is the best.

use std::collections::HashSet;

use super::compose::Composed;
use super::subject::Subject;
use crate::brief::{is_han, prompt};

/// What a whole share of facts told is worth, in nats of mean likelihood a token.
const COVERAGE: f64 = 1.0;
/// What wholly new words are worth.
const NOVELTY: f64 = 0.5;
/// What a whole probability of being clicked more often than an average text is worth.
const CLICK: f64 = 2.0;
/// What is taken of a text whose clicks nobody predicts: that it is an average one.
const AVERAGE: f64 = 0.5;

/// A text that passed, and what speaks for it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) composed: Composed,
    /// Mean log-likelihood of its tokens by the model.
    pub(super) likelihood: f64,
    /// Probability that it is clicked more often than an average text, where a model of words reads it.
    pub(super) click: Option<f64>,
}

/// The best of `candidates`, the first of equals. New words are those the examples do not have; what else is kept of
/// the subject has no say, or the same seed would not give the same text.
pub(super) fn best(subject: &Subject, candidates: Vec<Candidate>) -> Option<Candidate> {
    let examples = prompt::of(&subject.brief).shots;
    let known: HashSet<(String, String)> = examples.iter().flat_map(|(_, answer)| pairs(answer)).collect();
    let score = |candidate: &Candidate| {
        let text = format!("{} {}", candidate.composed.headline, candidate.composed.body);
        let click = candidate.click.unwrap_or(AVERAGE);
        candidate.likelihood
            + COVERAGE * subject.coverage(&text)
            + NOVELTY * novelty(&text, &known)
            + CLICK * click
    };
    let scored = candidates.into_iter().map(|candidate| (score(&candidate), candidate));
    scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, candidate)| candidate)
}

/// `composed` as one line, as the headlines are that a model of words learns from.
pub(super) fn line(composed: &Composed) -> String {
    let Composed { headline, body, .. } = composed;
    let stop = if headline.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{headline}{stop} {body}")
}

/// The share of neighbouring words of `text` that are not in `known`.
fn novelty(text: &str, known: &HashSet<(String, String)>) -> f64 {
    let pairs = pairs(text);
    let new = pairs.iter().filter(|pair| !known.contains(*pair)).count();
    new as f64 / pairs.len().max(1) as f64
}

/// Neighbouring words, or Chinese characters.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.to_lowercase().chars() {
        let han = is_han(c);
        if !c.is_alphanumeric() {
            open = false;
        } else if let Some(word) = words.last_mut().filter(|_| open && !han) {
            word.push(c);
        } else {
            words.push(c.into());
            open = !han;
        }
    }
    words.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

#[cfg(test)]
mod tests {
    use proto::common::v1::Item;
    use proto::generator::v1::Brief;

    use super::*;

    fn candidate(body: &str, likelihood: f64) -> Candidate {
        let composed = Composed { headline: "Tea".into(), body: body.into(), cut: false };
        Candidate { composed, likelihood, click: None }
    }

    fn chosen(candidates: Vec<Candidate>) -> String {
        let item = Item { title: "Green tea, 20 bags".into(), ..Item::default() };
        let subject = Subject::new(&Brief { item: Some(item), ..Brief::default() }, "m", 0.0);
        best(&subject, candidates).unwrap().composed.body
    }

    #[test]
    fn what_is_clicked_more_has_a_say() {
        let clicked = |body: &str, click| Candidate { click, ..candidate(body, -1.0) };
        assert_eq!(chosen(vec![clicked("A cup", Some(0.45)), clicked("A pot", Some(0.6))]), "A pot");
        assert_eq!(chosen(vec![clicked("A cup", Some(0.45)), clicked("A pot", None)]), "A pot");
        let likelier = Candidate { likelihood: -0.5, ..clicked("A cup", Some(0.45)) };
        assert_eq!(chosen(vec![likelier, clicked("A pot", Some(0.6))]), "A cup", "but not the only one");
    }

    #[test]
    fn likelihood_facts_and_new_words_each_count() {
        assert_eq!(chosen(vec![candidate("A cup", -2.0), candidate("A pot", -1.0)]), "A pot");
        assert_eq!(chosen(vec![candidate("A cup", -1.0), candidate("Green bags", -1.0)]), "Green bags");
        let copied = candidate("Put anything you like between them", -1.0);
        let own = candidate("Because spills never ask first", -1.2);
        assert_eq!(
            chosen(vec![copied, own]),
            "Because spills never ask first",
            "an example's words are not new"
        );
        assert_eq!(
            chosen(vec![candidate("A cup", -1.0), candidate("A pot", -1.0)]),
            "A cup",
            "the first of equals"
        );
    }
}
