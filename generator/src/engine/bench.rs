//! How fast a model reads and writes on this machine.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::EngineConfig;
use crate::models::Model;
use crate::models::offload::Place;
use crate::models::sequence::Sequence;
use crate::models::transformer::Row;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Tokens of each prompt.
    pub prompt: usize,
    /// Tokens of each answer.
    pub output: usize,
    /// Sequences worked on at once, one measurement each.
    pub batches: Vec<usize>,
    /// The best of so many runs counts: others may use the machine, too.
    pub runs: usize,
}

/// The speed with so many sequences at once.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    /// Sequences at once.
    pub batch: usize,
    /// Prompt tokens read a second, of all sequences together.
    pub prefill_tokens_per_second: f64,
    /// Answer tokens written a second, of all sequences together.
    pub decode_tokens_per_second: f64,
    /// Prompts and answers together, tokens a second.
    pub total_tokens_per_second: f64,
    /// From the prompt to the first token of the last sequence.
    pub first_token_seconds: f64,
}

/// What a benchmark found.
#[derive(Clone, Debug, Serialize)]
pub struct Bench {
    /// The model measured.
    pub model_id: String,
    /// Where its products were computed.
    pub device: Place,
    /// Threads it had.
    pub threads: usize,
    /// Tokens of each prompt.
    pub prompt_tokens: usize,
    /// Tokens of each answer.
    pub output_tokens: usize,
    /// From the file to a model that can run.
    pub load_seconds: f64,
    /// A speed for each batch.
    pub speeds: Vec<Speed>,
    /// Bytes of weights that writing a token goes through.
    pub weight_bytes: u64,
    /// Bytes a second at which these weights can be read with these threads, nothing else done; not told of a card.
    pub read_bytes_per_second: Option<f64>,
    /// Their quotient: no sequence alone can be written faster.
    pub limit_tokens_per_second: Option<f64>,
    /// The most memory the process held while it loaded the model, where the system tells.
    pub load_peak_bytes: Option<u64>,
    /// The memory it held at the end of a run of the largest batch, the sequences still there.
    pub steady_bytes: Option<u64>,
    /// The most memory it ever held.
    pub peak_bytes: Option<u64>,
}

/// Loads a model and measures it. Answers are greedy; no two prompts begin alike.
pub fn bench(config: &EngineConfig, plan: &Plan) -> anyhow::Result<Bench> {
    anyhow::ensure!(plan.prompt > 0 && plan.output > 0, "nothing to measure");
    anyhow::ensure!(!plan.batches.contains(&0) && !plan.batches.is_empty(), "a batch is at least 1");
    let started = Instant::now();
    let model = Model::load(config)?;
    let load_seconds = started.elapsed().as_secs_f64();
    let load_peak_bytes = memory("VmHWM:");
    let text =
        "The shop at the corner sells cups, tea and honey. Its owner, a baker once, knows every street. ";
    let words = model.tokenizer.encode(text)?;
    let mut speeds = Vec::new();
    let largest = plan.batches.iter().copied().max();
    let mut steady_bytes = None;
    for &batch in &plan.batches {
        let prompts: Vec<Vec<u32>> =
            (0..batch).map(|at| words.iter().cycle().skip(at).take(plan.prompt).copied().collect()).collect();
        let mut best: Option<Speed> = None;
        for _ in 0..plan.runs.max(1) {
            let (speed, held) = run(&model, &prompts, plan.output, config.batch.max(1))?;
            let faster = |best: &Speed| speed.total_tokens_per_second > best.total_tokens_per_second;
            if best.as_ref().is_none_or(faster) {
                best = Some(speed);
            }
            steady_bytes = steady_bytes.or(held.filter(|_| largest == Some(batch)));
        }
        speeds.extend(best);
    }
    let (weight_bytes, took) = fastest_reading(&model, plan.runs.max(3));
    let here = config.device == Place::Processor;
    let read_bytes_per_second = here.then_some(weight_bytes as f64 / took.as_secs_f64());
    Ok(Bench {
        model_id: model.card.model_id.clone(),
        device: config.device,
        threads: config.threads,
        prompt_tokens: plan.prompt,
        output_tokens: plan.output,
        load_seconds,
        speeds,
        weight_bytes,
        read_bytes_per_second,
        limit_tokens_per_second: read_bytes_per_second.map(|rate| rate / weight_bytes as f64),
        load_peak_bytes,
        steady_bytes,
        peak_bytes: memory("VmHWM:"),
    })
}

/// The speed of one run, and the memory held at its end.
fn run(
    model: &Model,
    prompts: &[Vec<u32>],
    output: usize,
    chunk: usize,
) -> anyhow::Result<(Speed, Option<u64>)> {
    let (transformer, batch, prompt) = (&model.transformer, prompts.len(), prompts[0].len());
    let vocabulary = transformer.vocabulary();
    let mut sequences: Vec<Sequence> =
        prompts.iter().map(|prompt| Sequence::new(transformer.hyper(), prompt.len() + output)).collect();
    let started = Instant::now();
    let rows: Vec<Row> = prompts
        .iter()
        .enumerate()
        .flat_map(|(sequence, tokens)| {
            let last = tokens.len() - 1;
            tokens.iter().enumerate().map(move |(at, &token)| Row { token, sequence, logits: at == last })
        })
        .collect();
    let mut logits = Vec::new();
    for rows in rows.chunks(chunk) {
        logits.extend(transformer.forward(rows, &mut sequences.iter_mut().collect::<Vec<_>>())?);
    }
    let prefill = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for _ in 0..output {
        let rows: Vec<Row> = logits
            .chunks_exact(vocabulary)
            .enumerate()
            .map(|(sequence, logits)| Row {
                token: super::sampler::likeliest(logits),
                sequence,
                logits: true,
            })
            .collect();
        logits = transformer.forward(&rows, &mut sequences.iter_mut().collect::<Vec<_>>())?;
    }
    let decode = started.elapsed().as_secs_f64();
    let held = memory("VmRSS:");
    let (read, written) = ((batch * prompt) as f64, (batch * output) as f64);
    let speed = Speed {
        batch,
        prefill_tokens_per_second: read / prefill,
        decode_tokens_per_second: written / decode,
        total_tokens_per_second: (read + written) / (prefill + decode),
        first_token_seconds: prefill,
    };
    Ok((speed, held))
}

/// How many bytes the weights have, and the shortest of `runs` readings of them all.
fn fastest_reading(model: &Model, runs: usize) -> (u64, Duration) {
    let read = |_| {
        let started = Instant::now();
        let bytes = std::hint::black_box(model.transformer.touch());
        (bytes, started.elapsed())
    };
    (0..runs).map(read).min_by_key(|(_, took)| *took).unwrap_or_default()
}

/// A line of what Linux reports of the process's memory.
fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
