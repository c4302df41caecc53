//! Greedy answers beside llama.cpp's: the same token at every step but where two were nearly as likely.

use serde::Deserialize;

use crate::models::Model;
use crate::models::sequence::Sequence;
use crate::models::transformer::Row;

/// Where the first token leads the second by less than this in llama.cpp's logits, either may come: its weights are
/// the file's, ours are the same in eight bits, and both round activations each in its own way.
const NEAR_TIE: f32 = 0.25;

/// What `bench/llama_cpp_greedy.py` recorded.
#[derive(Deserialize)]
struct Reference {
    /// The library and its version.
    source: String,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    model: String,
    prompt: String,
    /// The prompt's tokens.
    tokens: Vec<u32>,
    /// The answer's.
    said: Vec<u32>,
    /// By how much each token's logit led that of the next likeliest.
    leads: Vec<f32>,
}

/// A step at which another token came than llama.cpp's.
#[derive(Debug)]
struct Difference {
    step: usize,
    theirs: u32,
    ours: u32,
    /// By how much theirs led with them.
    their_lead: f32,
    /// By how much ours leads theirs with us.
    our_lead: f32,
}

/// The steps that differ, every step being given llama.cpp's own beginning.
fn differences(model: &Model, answer: &Answer) -> Vec<Difference> {
    let rows: Vec<Row> = answer
        .tokens
        .iter()
        .chain(&answer.said[..answer.said.len() - 1])
        .enumerate()
        .map(|(at, &token)| Row { token, sequence: 0, logits: at + 1 >= answer.tokens.len() })
        .collect();
    let mut sequence = Sequence::new(model.transformer.hyper(), rows.len());
    let logits = model.transformer.forward(&rows, &mut [&mut sequence]).unwrap();
    let steps = logits.chunks_exact(model.transformer.vocabulary()).zip(&answer.said).zip(&answer.leads);
    steps
        .enumerate()
        .filter_map(|(step, ((logits, &theirs), &their_lead))| {
            let ours = super::best(logits) as u32;
            let our_lead = logits[ours as usize] - logits[theirs as usize];
            (ours != theirs).then_some(Difference { step, theirs, ours, their_lead, our_lead })
        })
        .collect()
}

#[test]
fn greedy_answers_are_llama_cpps_but_at_near_ties() {
    let text = include_str!("../../../tests/data/llama_cpp_greedy.json");
    let reference: Reference = serde_json::from_str(text).unwrap();
    let mut loaded: Option<(String, Model)> = None;
    for answer in &reference.answers {
        if loaded.as_ref().is_none_or(|(name, _)| *name != answer.model) {
            let model = Model::load(&super::config(&answer.model, 512)).unwrap();
            loaded = Some((answer.model.clone(), model));
        }
        let (name, model) = loaded.as_ref().unwrap();
        assert_eq!(model.tokenizer.encode(&answer.prompt).unwrap(), answer.tokens, "{:?}", answer.prompt);
        let differences = differences(model, answer);
        for Difference { step, theirs, ours, their_lead, our_lead } in &differences {
            println!(
                "{name}, {:?}, step {step}: {ours} where {} said {theirs}, which led by {their_lead:.3} there and \
                 trails by {our_lead:.3} here",
                answer.prompt, reference.source
            );
        }
        let plain: Vec<&Difference> =
            differences.iter().filter(|found| found.their_lead >= NEAR_TIE).collect();
        assert!(plain.is_empty(), "{name}, {:?}: {plain:?}", answer.prompt);
        let near = answer.leads.iter().filter(|lead| **lead < NEAR_TIE).count();
        assert!(near * 4 < answer.leads.len(), "{near} near ties of {} tell too little", answer.leads.len());
    }
}
