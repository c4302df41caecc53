//! One answer: the prompt is read in chunks, then tokens are sampled until something ends it.

use std::time::Instant;

use anyhow::ensure;

use super::cache::Cache;
use super::sampler::Sampler;
use super::text::Text;
use super::{Finished, Reason, Task, Timing};
use crate::models::Model;
use crate::models::sequence::Sequence;
use crate::models::transformer::Row;

/// How many bytes of keys and values are kept for prompts to come.
const CACHE_BYTES: usize = 256 << 20;

/// A model with what it remembers of recent prompts.
pub(super) struct Generator {
    model: Model,
    cache: Cache,
    batch: usize,
}

/// What reading a prompt came to.
enum Read {
    Logits(Vec<f32>),
    Late,
    Left,
}

impl Generator {
    pub(super) fn new(model: Model, batch: usize) -> Generator {
        Generator { model, cache: Cache::new(CACHE_BYTES), batch: batch.max(1) }
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Writes an answer. `wanted` is given each new text, or nothing, and says whether anybody still reads; if
    /// not, nothing is returned.
    pub(super) fn run(
        &mut self,
        task: &Task,
        wanted: &mut dyn FnMut(Option<String>) -> bool,
    ) -> anyhow::Result<Option<Finished>> {
        let started = Instant::now();
        let text = self.model.template.render(&task.prompt, self.model.tokenizer.controls())?;
        let prompt = self.model.tokenizer.encode(&text)?;
        let context = self.model.transformer.hyper().context;
        ensure!(!prompt.is_empty(), "an empty prompt");
        ensure!(
            prompt.len() < context,
            "the prompt has {} tokens, the context holds {context}",
            prompt.len()
        );
        let most = task.max_tokens.min(context - prompt.len());
        let mut sequence = self.recall(&prompt, most);
        let mut timing = Timing {
            prompt_tokens: prompt.len() as u32,
            cached_tokens: sequence.tokens().len() as u32,
            ..Timing::default()
        };
        let read = self.read(&prompt, &mut sequence, task, wanted)?;
        timing.prefill = started.elapsed();
        let finished = match read {
            Read::Left => None,
            Read::Late => Some(Finished { text: String::new(), reason: Reason::Deadline, timing }),
            Read::Logits(logits) => self.write(task, &mut sequence, logits, most, timing, wanted)?,
        };
        self.cache.keep(&sequence, prompt.len());
        Ok(finished)
    }

    /// A sequence that already holds what an earlier prompt shares with this one, though never all of it: the
    /// last token is always read, for its logits.
    pub(super) fn recall(&mut self, prompt: &[u32], most: usize) -> Sequence {
        let capacity = prompt.len() + most;
        self.cache
            .find(&prompt[..prompt.len() - 1], capacity)
            .unwrap_or_else(|| Sequence::new(self.model.transformer.hyper(), capacity))
    }

    fn read(
        &self,
        prompt: &[u32],
        sequence: &mut Sequence,
        task: &Task,
        wanted: &mut dyn FnMut(Option<String>) -> bool,
    ) -> anyhow::Result<Read> {
        loop {
            if late(task) {
                return Ok(Read::Late);
            }
            if !wanted(None) {
                return Ok(Read::Left);
            }
            let done = sequence.tokens().len();
            let chunk = &prompt[done..prompt.len().min(done + self.batch)];
            let last = done + chunk.len() == prompt.len();
            let rows: Vec<Row> =
                chunk.iter().map(|&token| Row { token, sequence: 0, logits: false }).collect();
            let logits = self.step(rows, last, sequence)?;
            if last {
                return Ok(Read::Logits(logits));
            }
        }
    }

    pub(super) fn step(
        &self,
        mut rows: Vec<Row>,
        ask: bool,
        sequence: &mut Sequence,
    ) -> anyhow::Result<Vec<f32>> {
        if let Some(row) = rows.last_mut() {
            row.logits = ask;
        }
        self.model.transformer.forward(&rows, &mut [sequence])
    }

    fn write(
        &self,
        task: &Task,
        sequence: &mut Sequence,
        mut logits: Vec<f32>,
        most: usize,
        mut timing: Timing,
        wanted: &mut dyn FnMut(Option<String>) -> bool,
    ) -> anyhow::Result<Option<Finished>> {
        let started = Instant::now();
        let tokenizer = &self.model.tokenizer;
        let mut sampler = Sampler::new(task.temperature, task.top_p, task.seed);
        let mut text = Text::new(&task.stop);
        let reason = loop {
            if timing.output_tokens as usize >= most {
                break Reason::Length;
            }
            for &token in tokenizer.unsaid() {
                logits[token as usize] = f32::NEG_INFINITY;
            }
            let token = sampler.next(&logits[..tokenizer.len()]);
            if tokenizer.ends(token) {
                break Reason::Stop;
            }
            timing.output_tokens += 1;
            text.push(tokenizer.bytes(token));
            if text.stopped() {
                break Reason::Stop;
            }
            if !wanted(text.delta()) {
                return Ok(None);
            }
            if late(task) {
                break Reason::Deadline;
            }
            if (timing.output_tokens as usize) < most {
                logits = self.step(vec![Row { token, sequence: 0, logits: true }], true, sequence)?;
            }
        };
        let (rest, text) = text.finish();
        if rest.is_some() && !wanted(rest) {
            return Ok(None);
        }
        timing.decode = started.elapsed();
        Ok(Some(Finished { text, reason, timing }))
    }
}

fn late(task: &Task) -> bool {
    task.deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
