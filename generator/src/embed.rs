//! Texts to vectors: a BERT sentence encoder on a thread of its own, behind a bounded queue and a cache.
//!
//! What the encoder cannot read is refused and named, never embedded: a vector of unknown tokens looks like any other.

pub mod bert;
mod reading;
mod worker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use bert::Bert;
pub use reading::{Fault, Unread};

/// Texts of one call at most.
pub const MOST_TEXTS: usize = 256;

/// A text's vector; of unit length.
pub type Vector = Arc<[f32]>;

/// How the encoder is set up.
#[derive(Clone, Debug)]
pub struct EmbedConfig {
    /// The safetensors file; `STEM.tokenizer.json` and `STEM.config.json` lie beside it.
    pub model: PathBuf,
    /// Threads the encoder may use, at least one.
    pub threads: usize,
    /// Texts that may wait; one more is refused.
    pub queue: usize,
    /// Tokens, padding among them, that go through the model at once.
    pub batch_tokens: usize,
    /// Vectors kept for texts to come.
    pub cache: u64,
}

/// What the encoder says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderCard {
    /// The file's name without its ending.
    pub model_id: String,
    /// How many weights.
    pub parameters: u64,
    /// Components of a vector.
    pub dimensions: usize,
    /// The longest text, in tokens, its two marks among them.
    pub context_length: usize,
}

/// Whether the encoder can serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The weights are being read.
    Loading,
    /// Texts are embedded by this model.
    Ready(EncoderCard),
    /// The model could not be loaded, and why.
    Failed(String),
}

/// Texts with their vectors.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// One a text, in order.
    pub vectors: Vec<Vector>,
    /// The model they are of.
    pub card: EncoderCard,
    /// Tokens read for this call.
    pub tokens: u32,
    /// Texts whose vectors were kept from before.
    pub cached: u32,
}

/// Why there are no vectors.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EmbedError {
    /// Some texts cannot be embedded; all of them are named.
    #[error("{} of the texts cannot be embedded", .0.len())]
    Unreadable(Vec<Fault>),
    /// The queue has no room for as many texts.
    #[error("the embedding queue is full")]
    Overloaded,
    /// The model could not be loaded; the log has the cause.
    #[error("the embedding model could not be loaded")]
    NotLoaded,
    /// The model failed on these texts; the log has the cause.
    #[error("the embedding model failed")]
    Failed,
}

/// What waits for the encoder's thread.
enum Job {
    Texts(Texts),
    Other(Box<dyn FnOnce(&Bert) + Send>),
}

/// Texts to embed, and where the vectors go.
struct Texts {
    texts: Vec<String>,
    truncate: bool,
    answer: oneshot::Sender<Result<worker::Batch, EmbedError>>,
    _room: OwnedSemaphorePermit,
}

/// A handle on the encoder's thread; the thread ends when the last handle is dropped. Cheap to clone.
#[derive(Clone)]
pub struct Embedder {
    state: watch::Receiver<State>,
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    kept: moka::future::Cache<[u8; 32], Vector>,
}

impl Embedder {
    /// Starts the thread, which loads the model and then serves; returns at once.
    pub fn start(config: &EmbedConfig) -> Embedder {
        let (jobs, waiting) = mpsc::channel();
        let (set, state) = watch::channel(State::Loading);
        let room = Arc::new(Semaphore::new(config.queue));
        let kept = moka::future::Cache::new(config.cache);
        let embedder = Embedder { state, jobs, room, kept };
        let (told, config) = (set.clone(), config.clone());
        let spawned = std::thread::Builder::new()
            .name("embedding".to_owned())
            .spawn(move || worker::work(&config, &told, &waiting));
        if let Err(error) = spawned {
            set.send_replace(State::Failed(format!("no embedding thread: {error}")));
        }
        embedder
    }

    /// Whether the encoder serves.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The vectors of `texts`; `truncate` cuts what is too long at its end instead of refusing it.
    ///
    /// Waits for the weights to be read. Dropping the future takes the texts out of the queue.
    pub async fn embed(&self, texts: &[String], truncate: bool) -> Result<Embedded, EmbedError> {
        let card = self.card().await?;
        let keys: Vec<[u8; 32]> = texts.iter().map(|text| key(&card.model_id, text, truncate)).collect();
        let mut found: HashMap<[u8; 32], Vector> = HashMap::new();
        let mut missing: Vec<usize> = Vec::new();
        let mut cached = 0;
        for (index, key) in keys.iter().enumerate() {
            if let Some(vector) = self.kept.get(key).await {
                found.insert(*key, vector);
                cached += 1;
            } else if !missing.iter().any(|&earlier: &usize| keys[earlier] == *key) {
                missing.push(index);
            }
        }
        let (mut tokens, started) = (0, Instant::now());
        if !missing.is_empty() {
            let asked = missing.iter().map(|&index| texts[index].clone()).collect();
            let batch = self.ask(asked, truncate).await.map_err(|error| error.numbered(&missing))?;
            tokens = batch.tokens;
            crate::telemetry::embedded(&card.model_id, started.elapsed(), tokens);
            for (index, vector) in missing.into_iter().zip(batch.vectors) {
                self.kept.insert(keys[index], vector.clone()).await;
                found.insert(keys[index], vector);
            }
        }
        let vectors = keys.iter().map(|key| found.get(key).cloned());
        let vectors = vectors.collect::<Option<Vec<_>>>().ok_or(EmbedError::Failed)?;
        Ok(Embedded { vectors, card, tokens, cached })
    }

    /// What the encoder says about itself, once its weights are read.
    async fn card(&self) -> Result<EncoderCard, EmbedError> {
        let mut state = self.state.clone();
        match state.wait_for(|state| !matches!(state, State::Loading)).await.as_deref() {
            Ok(State::Ready(card)) => Ok(card.clone()),
            _ => Err(EmbedError::NotLoaded),
        }
    }

    async fn ask(&self, texts: Vec<String>, truncate: bool) -> Result<worker::Batch, EmbedError> {
        let many = u32::try_from(texts.len()).map_err(|_| EmbedError::Overloaded)?;
        let room = self.room.clone().try_acquire_many_owned(many).map_err(|_| EmbedError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Texts(Texts { texts, truncate, answer, _room: room });
        self.jobs.send(job).map_err(|_| EmbedError::NotLoaded)?;
        answered.await.unwrap_or(Err(EmbedError::Failed))
    }

    /// What `work` makes of the encoder, on its thread, once it is loaded and what waits there is done. The caller
    /// bounds how much work waits.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Bert) -> T + Send + 'static,
    ) -> Result<T, EmbedError> {
        let (answer, answered) = oneshot::channel();
        // One who has gone needs no answer.
        let work = move |bert: &Bert| drop(answer.send(work(bert)));
        self.jobs.send(Job::Other(Box::new(work))).map_err(|_| EmbedError::NotLoaded)?;
        answered.await.map_err(|_| EmbedError::Failed)
    }
}

impl EmbedError {
    /// Numbers the faults as the caller numbers the texts.
    fn numbered(self, indices: &[usize]) -> Self {
        match self {
            Self::Unreadable(faults) => Self::Unreadable(
                faults.into_iter().map(|fault| Fault { index: indices[fault.index], ..fault }).collect(),
            ),
            other => other,
        }
    }
}

/// A vector belongs to the model, the text and whether the text may be cut.
fn key(model_id: &str, text: &str, truncate: bool) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(model_id.len().to_le_bytes());
    digest.update(model_id);
    digest.update([u8::from(truncate)]);
    digest.update(text);
    digest.finalize().into()
}

#[cfg(test)]
mod tests;
