//! Continuous batching: answers join and leave between two steps of the model.
//!
//! A step takes in one token of every answer being written, and a chunk of the prompts being read. Prompts are read
//! one after the other, so a second one with the same beginning finds it computed. What a row comes to depends on its
//! own sequence alone, so an answer is the same whatever shares its steps.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::cache::Cache;
use super::lane::{Lane, Request};
use super::load::Load;
use super::queue::{Job, Queue};
use super::{EngineConfig, Reason, Timing};
use crate::models::Model;
use crate::models::sequence::{PAGE, Sequence};
use crate::models::transformer::Row;

/// A prompt being read; its answers have their slots already.
struct Reading {
    request: Request,
    /// None until its turn comes: the later it looks, the more it finds computed.
    sequence: Option<Sequence>,
    joined: Instant,
    took: Duration,
}

/// The model with all it works on.
pub(super) struct Batch {
    model: Model,
    cache: Cache,
    load: Arc<Load>,
    /// Prompt tokens of a step at most.
    chunk: usize,
    slots: usize,
    reading: VecDeque<Reading>,
    lanes: Vec<Lane>,
}

impl Batch {
    pub(super) fn new(model: Model, config: &EngineConfig, load: Arc<Load>) -> Batch {
        Batch {
            model,
            cache: Cache::new(config.cache_bytes),
            load,
            chunk: config.batch.max(1),
            slots: config.slots.max(1),
            reading: VecDeque::new(),
            lanes: Vec::new(),
        }
    }

    /// Whether there is nothing to work on.
    pub(super) fn idle(&self) -> bool {
        self.reading.is_empty() && self.lanes.is_empty()
    }

    /// Slots that no answer has.
    pub(super) fn free(&self) -> usize {
        let reading: usize = self.reading.iter().map(|reading| reading.request.job.task.candidates).sum();
        self.slots.saturating_sub(reading + self.lanes.len())
    }

    /// Takes in what waits while there are slots for it.
    pub(super) fn join(&mut self, queue: &Queue) {
        while let Some(job) = queue.pop(self.free()) {
            let joined = Instant::now();
            match self.request(job) {
                Ok(request) => {
                    self.reading.push_back(Reading { request, sequence: None, joined, took: Duration::ZERO });
                }
                Err((job, error)) => {
                    // A reader who left loses nothing.
                    let _ = job.sender.try_send(super::Piece::Failed(format!("{error:#}")));
                }
            }
        }
    }

    fn request(&self, job: Job) -> Result<Request, (Job, anyhow::Error)> {
        let context = self.model.transformer.hyper().context;
        let prompt = || {
            let text = self.model.template.render(&job.task.prompt, self.model.tokenizer.controls())?;
            let prompt = self.model.tokenizer.encode(&text)?;
            let many = prompt.len();
            ensure!(many > 0, "an empty prompt");
            ensure!(many < context, "the prompt has {many} tokens, the context holds {context}");
            Ok(prompt)
        };
        match prompt() {
            Ok(prompt) => {
                let timing = Timing {
                    queue: job.submitted.elapsed(),
                    prompt_tokens: prompt.len() as u32,
                    ..Timing::default()
                };
                Ok(Request { timing, most: job.task.max_tokens.min(context - prompt.len()), prompt, job })
            }
            Err(error) => Err((job, error)),
        }
    }

    /// Lets go of those whose caller has left or whose time is up.
    fn leave(&mut self) {
        self.reading.retain(|reading| {
            let late = reading.request.late();
            if late {
                Lane::never(&reading.request, Reason::Deadline);
            }
            !late && !reading.request.abandoned()
        });
        let mut at = 0;
        while at < self.lanes.len() {
            let request = &self.lanes[at].request;
            if request.abandoned() {
                self.lanes.swap_remove(at);
            } else if request.late() {
                self.lanes.swap_remove(at).finish(Reason::Deadline);
            } else {
                at += 1;
            }
        }
    }

    /// One pass through the model.
    pub(super) fn step(&mut self) {
        self.leave();
        if self.idle() {
            return;
        }
        let started = Instant::now();
        let (read, outcome) = self.forward();
        let took = started.elapsed();
        let mut logits = match outcome {
            Ok(logits) => logits,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "a step failed");
                self.reading.drain(..).for_each(|reading| reading.request.fail(&error));
                self.lanes.drain(..).for_each(|lane| lane.request.fail(&error));
                return;
            }
        };
        let rows = self.lanes.len() + read.iter().sum::<usize>();
        if read.is_empty() {
            self.load.tokens_written(self.lanes.len(), took);
        }
        let vocabulary = self.model.transformer.vocabulary();
        let (lanes, prompts) = logits.split_at_mut(self.lanes.len() * vocabulary);
        self.write(lanes, vocabulary);
        for (reading, count) in self.reading.iter_mut().zip(&read) {
            reading.took += took.mul_f64(*count as f64 / rows as f64);
        }
        for logits in prompts.chunks_exact_mut(vocabulary) {
            self.begin(logits);
        }
        self.remember(read.len());
    }

    /// The logits of all lanes in order, then of the prompts that were read to their end, the foremost ones; and how
    /// many tokens of each prompt were read.
    fn forward(&mut self) -> (Vec<usize>, anyhow::Result<Vec<f32>>) {
        let mut rows: Vec<Row> = Vec::new();
        let mut sequences: Vec<&mut Sequence> = Vec::new();
        for lane in &mut self.lanes {
            rows.push(Row { token: lane.token, sequence: sequences.len(), logits: true });
            sequences.push(&mut lane.sequence);
        }
        let (mut room, mut read, mut prompts) = (self.chunk, Vec::new(), Vec::<&[u32]>::new());
        let hyper = self.model.transformer.hyper();
        for reading in &mut self.reading {
            let Request { prompt, timing, most, .. } = &mut reading.request;
            let prompt: &[u32] = prompt;
            if reading.sequence.is_none() {
                // The last token is always read, for its logits.
                let pages = self.cache.find(&prompt[..prompt.len() - 1]);
                // What another prompt of this step computes is there for the next step.
                if prompts.iter().any(|other| common(other, prompt) / PAGE > pages.len()) {
                    break;
                }
                let sequence = Sequence::over(hyper, pages, prompt, prompt.len() + *most);
                timing.cached_tokens = sequence.tokens().len() as u32;
                reading.sequence = Some(sequence);
            }
            let Some(sequence) = &mut reading.sequence else { break };
            let done = sequence.tokens().len();
            let chunk = &prompt[done..prompt.len().min(done + room)];
            let whole = done + chunk.len() == prompt.len();
            rows.extend(chunk.iter().map(|&token| Row { token, sequence: sequences.len(), logits: false }));
            if let Some(last) = rows.last_mut() {
                last.logits |= whole;
            }
            room -= chunk.len();
            read.push(chunk.len());
            prompts.push(prompt);
            sequences.push(sequence);
            if room == 0 {
                break;
            }
        }
        (read, self.model.transformer.forward(&rows, &mut sequences))
    }

    fn write(&mut self, logits: &mut [f32], vocabulary: usize) {
        let mut over = Vec::new();
        for (at, (lane, logits)) in self.lanes.iter_mut().zip(logits.chunks_exact_mut(vocabulary)).enumerate()
        {
            match lane.step(&self.model, logits) {
                Ok(None) => {}
                ended => over.push((at, ended)),
            }
        }
        for (at, ended) in over.into_iter().rev() {
            let lane = self.lanes.swap_remove(at);
            self.end(lane, ended);
        }
    }

    fn end(&self, lane: Lane, ended: anyhow::Result<Option<Reason>>) {
        match ended {
            Ok(Some(reason)) => {
                self.load.answer_written(lane.written());
                lane.finish(reason);
            }
            Ok(None) => {}
            Err(error) => lane.request.fail(&error),
        }
    }

    /// The foremost prompt is read: its answers begin.
    fn begin(&mut self, logits: &[f32]) {
        let Some(Reading { mut request, sequence: Some(sequence), joined, took }) = self.reading.pop_front()
        else {
            return;
        };
        self.load.prompt_read(request.job.task.prompt.bytes(), took);
        self.cache.keep(&sequence, request.prompt.len());
        request.timing.prefill = joined.elapsed();
        let (request, length) = (Rc::new(request), sequence.tokens().len());
        for candidate in 0..request.job.task.candidates {
            let sequence = sequence.fork(length, length + request.most);
            match Lane::begin(&self.model, &request, candidate, sequence) {
                Err(error) => return request.fail(&error),
                Ok(mut lane) => match lane.step(&self.model, &mut logits.to_vec()) {
                    Ok(None) => self.lanes.push(lane),
                    ended => self.end(lane, ended),
                },
            }
        }
    }

    /// Keeps what was read of a prompt so far.
    fn remember(&mut self, read: usize) {
        for reading in self.reading.iter().take(read) {
            if let Some(sequence) = &reading.sequence {
                self.cache.keep(sequence, sequence.tokens().len());
            }
        }
    }
}

fn common(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}
