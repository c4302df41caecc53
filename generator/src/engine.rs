//! The transformer's engine: one inference thread that owns the model, behind a bounded queue.
//!
//! A caller submits a [`Task`] and reads [`Piece`]s. Dropping the receiver cancels the task between two tokens.

pub mod bench;
mod cache;
mod generate;
mod sampler;
mod text;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::mpsc as stream;

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The GGUF file to serve.
    pub model: PathBuf,
    /// Threads the numeric kernels may use, at least one.
    pub threads: usize,
    /// How many tasks may wait; one more is refused.
    pub queue: usize,
    /// Tokens a sequence may hold, prompt and answer together; capped by what the model was trained for.
    pub context: usize,
    /// Prompt tokens that go through the model at once; deadlines are checked between two such chunks.
    pub batch: usize,
}

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

/// One text to write.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is asked.
    pub prompt: Prompt,
    /// The longest answer, in tokens.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// The share of probability sampling is kept to; 1 keeps everything.
    pub top_p: f64,
    /// The same seed and model give the same text.
    pub seed: u64,
    /// The answer ends before the first of these; they are not part of the text.
    pub stop: Vec<String>,
    /// When to stop with what there is.
    pub deadline: Option<Instant>,
}

/// Where the time of a task went.
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
    /// The model ended its turn, or a stop string came.
    Stop,
    /// `max_tokens` or the context was used up.
    Length,
    /// The deadline passed.
    Deadline,
}

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The whole text.
    pub text: String,
    /// Why it ended.
    pub reason: Reason,
    /// Where the time went.
    pub timing: Timing,
}

/// What comes back while a task runs.
#[derive(Clone, Debug)]
pub enum Piece {
    /// More text.
    Delta(String),
    /// The end, with everything.
    Done(Finished),
    /// The task failed; nothing more comes.
    Failed(String),
}

/// Why a task was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full.
    #[error("the generation queue is full")]
    Overloaded,
    /// No model serves yet, or it failed to load.
    #[error("the model is not ready: {0}")]
    NotReady(String),
}

/// What the model says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The file's name without its ending.
    pub model_id: String,
    /// `qwen2` or `llama`.
    pub architecture: String,
    /// How many weights.
    pub parameters: u64,
    /// How the file's weights are quantised, as llama.cpp names it.
    pub quantisation: String,
    /// The tokens a sequence may hold here.
    pub context_length: u32,
}

/// Whether the engine can serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The weights are being read.
    Loading,
    /// Tasks are served by this model.
    Ready(ModelCard),
    /// The model could not be loaded, and why.
    Failed(String),
}

struct Job {
    task: Task,
    sender: stream::Sender<Piece>,
    submitted: Instant,
}

/// A handle on the inference thread; the thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Engine {
    state: Arc<Mutex<State>>,
    jobs: mpsc::SyncSender<Job>,
    context: usize,
}

impl Engine {
    /// Starts the inference thread, which loads the model and then serves; returns at once.
    pub fn start(config: &EngineConfig) -> Engine {
        let (jobs, waiting) = mpsc::sync_channel(config.queue.max(1));
        let state = Arc::new(Mutex::new(State::Loading));
        let engine = Engine { state, jobs, context: config.context };
        let state = engine.state.clone();
        let config = config.clone();
        let spawned = std::thread::Builder::new()
            .name("inference".to_owned())
            .spawn(move || worker::work(&config, &state, &waiting));
        if let Err(error) = spawned {
            set(&engine.state, State::Failed(format!("no inference thread: {error}")));
        }
        engine
    }

    /// Queues a task, or refuses it at once.
    pub fn submit(&self, task: Task) -> Result<stream::Receiver<Piece>, Refused> {
        match self.state() {
            State::Ready(_) => {}
            State::Loading => return Err(Refused::NotReady("the model is loading".to_owned())),
            State::Failed(why) => return Err(Refused::NotReady(why)),
        }
        // Room for a piece a token, the held back rest and the end: the inference thread never waits for a reader.
        let (sender, receiver) = stream::channel(task.max_tokens.min(self.context) + 2);
        match self.jobs.try_send(Job { task, sender, submitted: Instant::now() }) {
            Ok(()) => Ok(receiver),
            Err(mpsc::TrySendError::Full(_)) => Err(Refused::Overloaded),
            Err(mpsc::TrySendError::Disconnected(_)) => {
                Err(Refused::NotReady("the inference thread has ended".to_owned()))
            }
        }
    }

    /// Whether a model serves, and which.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn set(state: &Mutex<State>, value: State) {
    *state.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

#[cfg(test)]
mod tests;
