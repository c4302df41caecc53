//! How much work is taken in, and how long it will take at the pace measured so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Task;

/// The weight of the newest measurement.
const NEWEST: f64 = 0.1;

/// An exponentially weighted mean; 0 before the first measurement.
#[derive(Debug, Default)]
struct Mean(AtomicU64);

impl Mean {
    /// Only the inference thread measures, so nothing is lost between the two halves.
    fn measured(&self, new: f64) {
        let old = self.get();
        let mean = if old > 0.0 { old + NEWEST * (new - old) } else { new };
        self.0.store(mean.to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// The work that waits or runs, and the engine's pace.
///
/// Prompts are counted in bytes, for their tokens are not known before the inference thread has them; what of them is
/// cached is in the pace, too.
#[derive(Debug, Default)]
pub(super) struct Load {
    prompt_bytes: AtomicUsize,
    answers: AtomicUsize,
    answer_tokens: AtomicUsize,
    seconds_per_byte: Mean,
    seconds_per_token: Mean,
    tokens_per_answer: Mean,
}

/// A task's share of the load, taken back when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    load: Arc<Load>,
    prompt_bytes: usize,
    answers: usize,
    answer_tokens: usize,
}

impl Load {
    /// Takes a task in.
    pub(super) fn admit(self: &Arc<Self>, task: &Task) -> Ticket {
        let ticket = Ticket {
            load: self.clone(),
            prompt_bytes: task.prompt.bytes(),
            answers: task.candidates,
            answer_tokens: task.candidates * task.max_tokens,
        };
        self.prompt_bytes.fetch_add(ticket.prompt_bytes, Ordering::Relaxed);
        self.answers.fetch_add(ticket.answers, Ordering::Relaxed);
        self.answer_tokens.fetch_add(ticket.answer_tokens, Ordering::Relaxed);
        ticket
    }

    /// How long everything taken in will take; nothing while no pace is known.
    pub(super) fn estimate(&self) -> Duration {
        let bytes = self.prompt_bytes.load(Ordering::Relaxed) as f64;
        let usual = self.answers.load(Ordering::Relaxed) as f64 * self.tokens_per_answer.get();
        let tokens = usual.min(self.answer_tokens.load(Ordering::Relaxed) as f64);
        let seconds = bytes * self.seconds_per_byte.get() + tokens * self.seconds_per_token.get();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// A prompt of so many bytes was read in `took`.
    pub(super) fn prompt_read(&self, bytes: usize, took: Duration) {
        self.seconds_per_byte.measured(took.as_secs_f64() / bytes.max(1) as f64);
    }

    /// A step wrote a token for each of `rows` answers in `took`.
    pub(super) fn tokens_written(&self, rows: usize, took: Duration) {
        self.seconds_per_token.measured(took.as_secs_f64() / rows.max(1) as f64);
    }

    /// An answer came to an end.
    pub(super) fn answer_written(&self, tokens: u32) {
        self.tokens_per_answer.measured(f64::from(tokens));
    }

    /// Answers that wait or are written.
    pub(super) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.load.prompt_bytes.fetch_sub(self.prompt_bytes, Ordering::Relaxed);
        self.load.answers.fetch_sub(self.answers, Ordering::Relaxed);
        self.load.answer_tokens.fetch_sub(self.answer_tokens, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_work_at_the_measured_pace_and_a_ticket_takes_its_share_back() {
        let load = Arc::new(Load::default());
        let prompt = super::super::Prompt { user: "x".repeat(100), ..super::super::Prompt::default() };
        let task = Task { prompt, candidates: 2, max_tokens: 50, ..Task::default() };
        let ticket = load.admit(&task);
        assert_eq!(load.estimate(), Duration::ZERO);
        load.prompt_read(100, Duration::from_secs(1));
        load.tokens_written(4, Duration::from_millis(40));
        load.answer_written(20);
        // 100 bytes at 10 ms, and twice 20 tokens at 10 ms.
        assert!((load.estimate().as_secs_f64() - 1.4).abs() < 1e-9, "{:?}", load.estimate());
        load.answer_written(100_020);
        // No answer is longer than it may be: 100 tokens.
        assert!((load.estimate().as_secs_f64() - 2.0).abs() < 1e-9, "{:?}", load.estimate());
        drop(ticket);
        assert_eq!((load.estimate(), load.answers()), (Duration::ZERO, 0));
    }
}
