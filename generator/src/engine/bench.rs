//! How fast a model reads and writes on this machine.

use std::time::{Duration, Instant};

use super::EngineConfig;
use super::generate::Generator;
use crate::models::Model;
use crate::models::transformer::Row;

/// What a benchmark found.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The model measured.
    pub model_id: String,
    /// Reading the weights.
    pub load: Duration,
    /// Prompt tokens read a second.
    pub prefill_per_second: f64,
    /// Answer tokens written a second.
    pub decode_per_second: f64,
    /// The most memory the process ever held, where the system tells.
    pub peak_bytes: Option<u64>,
}

/// Loads a model, reads `prompt` tokens in chunks of the configured batch, and writes `output` more greedily.
pub fn bench(config: &EngineConfig, prompt: usize, output: usize) -> anyhow::Result<Bench> {
    anyhow::ensure!(prompt > 0 && output > 0, "nothing to measure");
    let started = Instant::now();
    let mut generator =
        Generator::new(Model::load(&config.model, config.context, config.threads)?, config.batch);
    let load = started.elapsed();
    let tokens: Vec<u32> = generator
        .model()
        .tokenizer
        .encode("The shop at the corner sells cups, tea and honey. ")?
        .into_iter()
        .cycle()
        .take(prompt)
        .collect();
    let mut sequence = generator.recall(&tokens, output);
    let started = Instant::now();
    let mut logits = Vec::new();
    for chunk in tokens.chunks(config.batch.max(1)) {
        let rows = chunk.iter().map(|&token| Row { token, sequence: 0, logits: false }).collect();
        logits = generator.step(rows, true, &mut sequence)?;
    }
    let prefill = started.elapsed();
    let started = Instant::now();
    let mut sampler = super::sampler::Sampler::new(0.0, 1.0, 0);
    for _ in 0..output {
        let token = sampler.next(&logits[..generator.model().tokenizer.len()]);
        logits = generator.step(vec![Row { token, sequence: 0, logits: true }], true, &mut sequence)?;
    }
    let decode = started.elapsed();
    Ok(Bench {
        model_id: generator.model().card.model_id.clone(),
        load,
        prefill_per_second: prompt as f64 / prefill.as_secs_f64(),
        decode_per_second: output as f64 / decode.as_secs_f64(),
        peak_bytes: peak(),
    })
}

/// The high-water mark of the process's memory, as Linux reports it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
