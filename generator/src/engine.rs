//! The transformer's engine: one inference thread that owns the model, behind a bounded queue.
//!
//! A caller submits a [`Task`] and reads [`Piece`]s. Dropping the receiver cancels the task between two tokens.

mod batch;
pub mod bench;
mod cache;
pub mod constraint;
mod lane;
mod load;
mod queue;
mod sampler;
pub mod task;
mod text;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc as stream;

pub use constraint::{Constraint, Grammar, Outline};
use load::Load;
use queue::{Job, Queue};
pub use task::{Finished, Piece, Prompt, Reason, Refused, Task, Timing, Token};

use crate::models::offload::Place;
use crate::models::tokenizer::Tokenizer;

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The GGUF file or the folder of safetensors to serve.
    pub model: PathBuf,
    /// Where products are computed.
    pub device: Place,
    /// Threads the numeric kernels may use, at least one.
    pub threads: usize,
    /// How many tasks may wait; one more is refused.
    pub queue: usize,
    /// Tokens a sequence may hold, prompt and answer together; capped by what the model was trained for.
    pub context: usize,
    /// Prompt tokens that go through the model at once; deadlines are checked between two such chunks.
    pub batch: usize,
    /// Sequences that are worked on at once, at least one.
    pub slots: usize,
    /// Bytes of keys and values that are kept for prompts to come.
    pub cache_bytes: usize,
    /// Whether weights converted for the processor are kept beside the model, where the next start finds them.
    pub pack: bool,
}

impl EngineConfig {
    /// The name of the model: its file's, without the ending.
    pub fn model_id(&self) -> String {
        self.model.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The defaults for a file, on one thread of the processor.
    pub fn of(model: PathBuf) -> EngineConfig {
        EngineConfig {
            model,
            device: Place::Processor,
            threads: 1,
            queue: 64,
            context: 2048,
            batch: 64,
            slots: 8,
            cache_bytes: 256 << 20,
            pack: true,
        }
    }
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
    /// The server elsewhere does not answer, and how; it is tried again by and by.
    Away(String),
}

/// A model that writes: in this process, or on a server elsewhere.
pub trait Backend: Send + Sync {
    /// Its name.
    fn id(&self) -> &str;

    /// Whether it serves.
    fn state(&self) -> State;

    /// Takes a task in, or refuses it at once. Dropping the receiver cancels it.
    fn submit(&self, task: Task) -> Result<stream::Receiver<Piece>, Refused>;
}

impl Backend for Engine {
    fn id(&self) -> &str {
        &self.handle.model_id
    }

    fn state(&self) -> State {
        self.state()
    }

    fn submit(&self, task: Task) -> Result<stream::Receiver<Piece>, Refused> {
        self.submit(task)
    }
}

/// A handle on the inference thread; the thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Engine {
    handle: Arc<Handle>,
}

struct Handle {
    model_id: String,
    shared: Arc<Shared>,
    slots: usize,
    context: usize,
}

impl Engine {
    /// Starts the inference thread, which loads the model and then serves; returns at once.
    pub fn start(config: &EngineConfig) -> Engine {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Loading),
            tokenizer: OnceLock::new(),
            queue: Queue::new(config.queue),
            load: Arc::default(),
        });
        let engine = Engine {
            handle: Arc::new(Handle {
                model_id: config.model_id(),
                shared: shared.clone(),
                slots: config.slots.max(1),
                context: config.context,
            }),
        };
        let config = config.clone();
        let spawned = std::thread::Builder::new()
            .name("inference".to_owned())
            .spawn(move || worker::work(&config, &shared));
        if let Err(error) = spawned {
            engine.handle.shared.set(State::Failed(format!("no inference thread: {error}")));
        }
        engine
    }

    /// Queues a task, or refuses it at once. Dropping the receiver cancels it before its next token.
    pub fn submit(&self, task: Task) -> Result<stream::Receiver<Piece>, Refused> {
        match self.state() {
            State::Ready(_) => {}
            State::Loading => return Err(Refused::NotReady("the model is loading".to_owned())),
            State::Failed(why) | State::Away(why) => return Err(Refused::NotReady(why)),
        }
        if task.candidates == 0 || task.candidates > self.handle.slots {
            return Err(Refused::Candidates { asked: task.candidates, most: self.handle.slots });
        }
        let Shared { load, queue, .. } = &*self.handle.shared;
        let submitted = Instant::now();
        if task.deadline.is_some_and(|deadline| load.estimate() > deadline.duration_since(submitted)) {
            return Err(Refused::Overloaded);
        }
        // Room for a piece a token, the held back rest and the end: the inference thread never waits for a reader.
        let room = (task.max_tokens.min(self.handle.context) + 2) * task.candidates;
        let (sender, receiver) = stream::channel(room);
        let ticket = load.admit(&task);
        queue.push(Job { task, sender, submitted, _ticket: ticket })?;
        Ok(receiver)
    }

    /// Whether a model serves, and which.
    pub fn state(&self) -> State {
        self.handle.shared.state()
    }

    /// The tokens of the model that serves, for a [`Grammar`] to be built on; none before it does.
    pub fn tokenizer(&self) -> Option<Arc<Tokenizer>> {
        self.handle.shared.tokenizer.get().cloned()
    }

    /// How long what was taken in so far will take, at the pace of late.
    pub fn backlog(&self) -> Duration {
        self.handle.shared.load.estimate()
    }

    /// Answers that wait or are being written.
    pub fn in_flight(&self) -> usize {
        self.handle.shared.load.answers()
    }
}

/// What the handles and the inference thread have in common.
struct Shared {
    state: Mutex<State>,
    tokenizer: OnceLock<Arc<Tokenizer>>,
    queue: Queue,
    load: Arc<Load>,
}

impl Shared {
    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, value: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

#[cfg(test)]
mod tests;
