//! What the engine is asked, and what it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::constraint::Grammar;

/// What the model is asked, before the chat template of the model is laid over it.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// The system message; empty leaves it to the template's default.
    pub system: String,
    /// Worked examples: what was asked, what was answered.
    pub shots: Vec<(String, String)>,
    /// The question itself.
    pub user: String,
    /// How the answer starts; it is not repeated in the text that comes back.
    pub prefill: String,
}

impl Prompt {
    /// How many bytes of text it has.
    pub(super) fn bytes(&self) -> usize {
        let shots = self.shots.iter().map(|(question, answer)| question.len() + answer.len());
        self.system.len() + shots.sum::<usize>() + self.user.len() + self.prefill.len()
    }
}

/// Texts to write on one prompt.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is asked.
    pub prompt: Prompt,
    /// Answers wanted, at least one and at most [`super::EngineConfig::slots`]. The prompt is read once for all.
    pub candidates: usize,
    /// The longest answer, in tokens.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// The share of probability sampling is kept to; 1 keeps everything.
    pub top_p: f64,
    /// The same seed and model give the same text, whatever else the engine does meanwhile. Candidate `n` has the
    /// seed `seed + n`.
    pub seed: u64,
    /// The answer ends before the first of these; they are not part of the text.
    pub stop: Vec<String>,
    /// What the answer may be; anything where there is none.
    pub grammar: Option<Arc<dyn Grammar>>,
    /// When to stop with what there is.
    pub deadline: Option<Instant>,
}

impl Default for Task {
    /// One greedy answer of at most 64 tokens to an empty prompt.
    fn default() -> Self {
        Task {
            prompt: Prompt::default(),
            candidates: 1,
            max_tokens: 64,
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            stop: Vec::new(),
            grammar: None,
            deadline: None,
        }
    }
}

/// Where the time of an answer went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Waiting for the inference thread.
    pub queue: Duration,
    /// Reading the prompt.
    pub prefill: Duration,
    /// Writing the answer.
    pub decode: Duration,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Of them, those whose keys and values were still there from an earlier prompt.
    pub cached_tokens: u32,
    /// Tokens sampled.
    pub output_tokens: u32,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The model ended its turn, a stop string came, or the grammar has the answer complete.
    Stop,
    /// The grammar refuses everything the model might say next.
    Stuck,
    /// `max_tokens` or the context was used up.
    Length,
    /// The deadline passed.
    Deadline,
}

/// A token of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    /// Which; `None` where the model is elsewhere and tells its likelihood alone.
    pub id: Option<u32>,
    /// The natural logarithm of the probability the model gave it: before temperature, nucleus and grammar.
    pub log_likelihood: f32,
}

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Which of the candidates.
    pub candidate: usize,
    /// The whole text.
    pub text: String,
    /// The tokens sampled, without the one that ended the turn; those of a stop string are among them. None of a model
    /// elsewhere that does not tell them.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub reason: Reason,
    /// Where the time went.
    pub timing: Timing,
}

impl Finished {
    /// The mean log-likelihood of a token; 0 where there is none.
    pub fn mean_log_likelihood(&self) -> f64 {
        let sum: f64 = self.tokens.iter().map(|token| f64::from(token.log_likelihood)).sum();
        sum / self.tokens.len().max(1) as f64
    }
}

/// What comes back while a task runs.
#[derive(Clone, Debug)]
pub enum Piece {
    /// More text of a candidate.
    Delta {
        /// Which.
        candidate: usize,
        /// What follows what it had.
        text: String,
    },
    /// The end of a candidate, with everything; the last one closes the channel.
    Done(Finished),
    /// The task failed, or one candidate of a model elsewhere did; the last piece closes the channel.
    Failed(String),
}

/// Why a task was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full, or what is in it takes longer than the deadline allows.
    #[error("the generation queue is full")]
    Overloaded,
    /// No model serves yet, or it failed to load.
    #[error("the model is not ready: {0}")]
    NotReady(String),
    /// The engine can never do that.
    #[error("{asked} candidates were asked for; 1 to {most} are possible")]
    Candidates {
        /// How many were asked for.
        asked: usize,
        /// How many sequences the engine works on at once.
        most: usize,
    },
}
