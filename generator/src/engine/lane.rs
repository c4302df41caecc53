//! One answer being written.

use std::rc::Rc;
use std::time::Instant;

use super::constraint::Constraint;
use super::queue::Job;
use super::sampler::{Sampler, log_sum};
use super::text::Text;
use super::{Finished, Piece, Reason, Timing, Token};
use crate::models::Model;
use crate::models::sequence::Sequence;

/// A task that was begun, shared by its candidates.
pub(super) struct Request {
    pub(super) job: Job,
    pub(super) prompt: Vec<u32>,
    pub(super) timing: Timing,
    /// The longest answer the context has room for.
    pub(super) most: usize,
}

impl Request {
    /// Whether nobody reads any more.
    pub(super) fn abandoned(&self) -> bool {
        self.job.sender.is_closed()
    }

    /// Whether its time is up.
    pub(super) fn late(&self) -> bool {
        self.job.task.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The channel has room for all that is ever sent, so only a reader who left loses a piece.
    fn send(&self, piece: Piece) {
        if self.job.sender.try_send(piece).is_err() {
            tracing::debug!("the caller left before the end");
        }
    }

    /// Ends the task with an error.
    pub(super) fn fail(&self, error: &anyhow::Error) {
        self.send(Piece::Failed(format!("{error:#}")));
    }
}

/// A candidate: its sequence, and what was said of it.
pub(super) struct Lane {
    pub(super) request: Rc<Request>,
    pub(super) sequence: Sequence,
    /// The token to take in next.
    pub(super) token: u32,
    candidate: usize,
    sampler: Sampler,
    constraint: Option<Box<dyn Constraint>>,
    text: Text,
    tokens: Vec<Token>,
    started: Instant,
}

impl Lane {
    /// Begins a candidate on a sequence that holds its whole prompt.
    pub(super) fn begin(
        model: &Model,
        request: &Rc<Request>,
        candidate: usize,
        sequence: Sequence,
    ) -> anyhow::Result<Lane> {
        let task = &request.job.task;
        let seed = task.seed.wrapping_add(candidate as u64);
        Ok(Lane {
            request: request.clone(),
            sequence,
            token: 0,
            candidate,
            sampler: Sampler::new(model.transformer.arch(), task.temperature, task.top_p, seed),
            constraint: task.grammar.as_ref().map(|grammar| grammar.begin(&model.tokenizer)).transpose()?,
            text: Text::new(&task.stop),
            tokens: Vec::new(),
            started: Instant::now(),
        })
    }

    /// Chooses the next token by its logits, which are used up; says why the answer is over, if it is.
    pub(super) fn step(&mut self, model: &Model, logits: &mut [f32]) -> anyhow::Result<Option<Reason>> {
        let tokenizer = &model.tokenizer;
        if self.tokens.len() >= self.request.most {
            return Ok(Some(Reason::Length));
        }
        let logits = &mut logits[..tokenizer.len()];
        let sum = log_sum(model.transformer.arch(), logits);
        for &token in tokenizer.unsaid() {
            logits[token as usize] = f32::NEG_INFINITY;
        }
        let leanings = self.constraint.as_mut().map(|constraint| constraint.leanings()).unwrap_or_default();
        for (token, more) in &leanings {
            logits[*token as usize] += more;
        }
        let constraint = &mut self.constraint;
        let chosen = self.sampler.next(logits, |token| {
            constraint.as_mut().map_or(Ok(true), |constraint| constraint.allows(token))
        })?;
        let Some(token) = chosen else { return Ok(Some(Reason::Stuck)) };
        if tokenizer.ends(token) {
            return Ok(Some(Reason::Stop));
        }
        let leaning = leanings.iter().find(|(leant, _)| *leant == token).map_or(0.0, |(_, more)| *more);
        let log_likelihood = logits[token as usize] - leaning - sum;
        self.tokens.push(Token { id: Some(token), log_likelihood });
        self.text.push(tokenizer.bytes(token));
        if self.text.stopped() {
            return Ok(Some(Reason::Stop));
        }
        if let Some(text) = self.text.delta() {
            self.request.send(Piece::Delta { candidate: self.candidate, text });
        }
        if let Some(constraint) = &mut self.constraint
            && constraint.accept(token)?
        {
            return Ok(Some(Reason::Stop));
        }
        self.token = token;
        Ok((self.tokens.len() >= self.request.most).then_some(Reason::Length))
    }

    /// How many tokens it wrote.
    pub(super) fn written(&self) -> u32 {
        self.tokens.len() as u32
    }

    /// Sends what was held back, and the end.
    pub(super) fn finish(self, reason: Reason) {
        let (rest, text) = self.text.finish();
        if let Some(text) = rest {
            self.request.send(Piece::Delta { candidate: self.candidate, text });
        }
        let timing = Timing {
            decode: self.started.elapsed(),
            output_tokens: self.tokens.len() as u32,
            ..self.request.timing
        };
        let finished = Finished { candidate: self.candidate, text, tokens: self.tokens, reason, timing };
        self.request.send(Piece::Done(finished));
    }

    /// Ends an answer that was never begun.
    pub(super) fn never(request: &Request, reason: Reason) {
        for candidate in 0..request.job.task.candidates {
            let (text, tokens) = (String::new(), Vec::new());
            request.send(Piece::Done(Finished { candidate, text, tokens, reason, timing: request.timing }));
        }
    }
}
