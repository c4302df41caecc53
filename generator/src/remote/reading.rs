//! One answer as it comes: its text judged piece by piece.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::connection::{Answer, Failure};
use super::events::Events;
use super::wire::{Chunk, Usage};
use crate::brief::is_han;
use crate::engine::{Finished, Piece, Reason, Task, Timing, Token};

/// What ends a stream of events that is whole.
const DONE: &str = "[DONE]";

pub(super) struct Reading<'a> {
    task: &'a Task,
    candidate: usize,
    queue: Duration,
    begun: Instant,
    first: Option<Instant>,
    text: String,
    /// Bytes of the text that were told to the reader.
    told: usize,
    tokens: Vec<Token>,
    pieces: u32,
    usage: Option<Usage>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(task: &'a Task, candidate: usize, queue: Duration, begun: Instant) -> Self {
        Self {
            task,
            candidate,
            queue,
            begun,
            first: None,
            text: String::new(),
            told: 0,
            tokens: Vec::new(),
            pieces: 0,
            usage: None,
        }
    }

    /// Reads until the text is over, or has to be.
    pub(super) async fn read_out(
        mut self,
        mut answer: Answer,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<Finished, Failure> {
        let mut events = Events::default();
        let mut reason = None;
        let broken = |told: &str| Failure::Broken(told.to_owned());
        while let Some(data) = answer.next().await? {
            for line in events.push(&data).map_err(|_| broken("a line of it has no end"))? {
                if line == DONE {
                    return reason
                        .map(|reason| self.finish(reason))
                        .ok_or_else(|| broken("it never said why it ended"));
                }
                let chunk: Chunk = serde_json::from_str(&line)
                    .map_err(|error| Failure::Broken(format!("no piece of a completion: {error}")))?;
                if let Some(error) = &chunk.error {
                    return Err(Failure::Broken(format!("it failed amid the answer: {error}")));
                }
                self.usage = chunk.usage.or(self.usage);
                if reason.is_some() {
                    continue;
                }
                if let Some(reason) = self.take(&chunk) {
                    return Ok(self.finish(reason));
                }
                self.tell(pieces).await;
                reason = chunk.reason();
            }
        }
        // Some servers close without a [DONE]; an answer that has said why it ended is whole.
        reason.map(|reason| self.finish(reason)).ok_or_else(|| broken("the answer broke off"))
    }

    /// Takes a piece in; says why the text is over here, if it is.
    fn take(&mut self, chunk: &Chunk) -> Option<Reason> {
        let token = |log_likelihood| Token { id: None, log_likelihood };
        self.tokens.extend(chunk.likelihoods().map(token));
        if chunk.text().is_empty() {
            return None;
        }
        self.first.get_or_insert_with(Instant::now);
        self.pieces += 1;
        let before = self.text.len();
        self.text.push_str(chunk.text());
        if before == 0 {
            self.text = self.text.trim_start().to_owned();
        }
        let stops = self.task.stop.iter().filter_map(|stop| self.text.find(stop.as_str()));
        if let Some(at) = stops.min() {
            self.text.truncate(at);
            return Some(Reason::Stop);
        }
        let grammar = self.task.grammar.as_ref()?;
        if !grammar.allows(whole_words(&self.text)) {
            // What stood before the fault may do: it is cut back to its last whole sentence.
            self.text.truncate(before.min(self.text.len()));
            return Some(Reason::Length);
        }
        grammar.completes(&self.text).then_some(Reason::Stop)
    }

    async fn tell(&mut self, pieces: &mpsc::Sender<Piece>) {
        let text = self.text[self.told.min(self.text.len())..].to_owned();
        if !text.is_empty() {
            self.told = self.text.len();
            // One who has gone is noticed where the work is watched.
            let _ = pieces.send(Piece::Delta { candidate: self.candidate, text }).await;
        }
    }

    fn finish(self, reason: Reason) -> Finished {
        let now = Instant::now();
        let first = self.first.unwrap_or(now);
        let usage = self.usage.unwrap_or_default();
        let timing = Timing {
            queue: self.queue,
            prefill: first.duration_since(self.begun),
            decode: now.duration_since(first),
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens(),
            // What was stopped here is not counted by the server; most send a token a piece.
            output_tokens: if usage.completion_tokens > 0 { usage.completion_tokens } else { self.pieces },
        };
        Finished { candidate: self.candidate, text: self.text, tokens: self.tokens, reason, timing }
    }
}

/// `text` without the word at its end that may go on.
fn whole_words(text: &str) -> &str {
    text.trim_end_matches(|c: char| c.is_alphanumeric() && !is_han(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_that_may_go_on_is_not_judged_yet() {
        assert_eq!(whole_words("A cup of comfort"), "A cup of ");
        assert_eq!(whole_words("A cup of comfort."), "A cup of comfort.");
        assert_eq!(whole_words("一杯好茶"), "一杯好茶");
    }
}
