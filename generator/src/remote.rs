//! A model on a server elsewhere: any with OpenAI's interface, such as vLLM, llama.cpp or TGI.
//!
//! It is asked as the engine in this process is, by [`Task`]s, and answers by [`Piece`]s. Its tokens are its own: it is
//! told the outline of an answer where it takes one, its text is judged as it comes, and what breaks a rule is stopped
//! at once. What leaves the service is checked as any other text is.

mod circuit;
mod connection;
mod events;
mod outline;
mod reading;
mod settings;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::telemetry::names;
use hyper::body::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use rand::Rng as _;
use tokio::sync::{Semaphore, mpsc};
use tower::retry::budget::{Budget as _, TpsBudget};

use circuit::Circuit;
use connection::{Answer, Failure, Server};
pub use settings::RemoteConfig;

use crate::engine::{Backend, Finished, ModelCard, Piece, Refused, State, Task};

/// The longest pause before the second asking; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A handle on the server; cheap to clone.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

struct Shared {
    config: RemoteConfig,
    server: Server,
    circuit: Circuit,
    budget: TpsBudget,
    /// Texts the server may write now.
    lanes: Semaphore,
    waiting: AtomicUsize,
    retries: Counter<u64>,
    failures: Counter<u64>,
}

impl Remote {
    /// The server of `config`. Nothing is connected yet: an absent server shows as a text that does not come.
    pub fn new(config: &RemoteConfig) -> anyhow::Result<Self> {
        let meter = opentelemetry::global::meter("generator");
        let counter = |name, told| meter.u64_counter(name).with_description(told).build();
        let shared = Shared {
            server: Server::new(config).context("model.remote")?,
            circuit: Circuit::new(config.failures, Duration::from_millis(config.pause_ms)),
            budget: TpsBudget::new(Duration::from_secs(10), 1, config.retry_ratio),
            lanes: Semaphore::new(config.concurrency),
            waiting: AtomicUsize::new(0),
            retries: counter(names::REMOTE_RETRIES, "Askings of a remote model made again."),
            failures: counter(names::REMOTE_FAILURES, "Texts that a remote model did not give."),
            config: config.clone(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Backend for Remote {
    fn id(&self) -> &str {
        &self.shared.config.name
    }

    fn state(&self) -> State {
        match self.shared.circuit.open() {
            Some(reason) => State::Away(reason),
            None => State::Ready(ModelCard {
                model_id: self.shared.config.name.clone(),
                architecture: "remote".to_owned(),
                parameters: 0,
                quantisation: String::new(),
                context_length: 0,
            }),
        }
    }

    fn submit(&self, task: Task) -> Result<mpsc::Receiver<Piece>, Refused> {
        let shared = &self.shared;
        shared.circuit.admit().map_err(Refused::NotReady)?;
        let wanted = task.candidates.max(1);
        let waiting = shared.waiting.fetch_add(wanted, Ordering::Relaxed);
        if waiting + wanted > shared.config.concurrency + shared.config.queue {
            shared.waiting.fetch_sub(wanted, Ordering::Relaxed);
            return Err(Refused::Overloaded);
        }
        let room = (task.max_tokens + 2) * wanted;
        let (pieces, received) = mpsc::channel(room);
        let task = Arc::new(task);
        for candidate in 0..wanted {
            let (shared, task, pieces) = (shared.clone(), task.clone(), pieces.clone());
            tokio::spawn(async move {
                let _place = Place(&shared.waiting);
                // Where nobody reads any more, dropping the work closes the connection.
                tokio::select! {
                    () = shared.work(&task, candidate, &pieces) => {}
                    () = pieces.closed() => {}
                }
            });
        }
        Ok(received)
    }
}

/// A place among those who wait or are written for.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn deadline(&self, task: &Task) -> Instant {
        let longest = Instant::now() + self.config.timeout();
        task.deadline.map_or(longest, |deadline| deadline.min(longest))
    }

    /// Writes one candidate, and says how that went.
    async fn work(&self, task: &Task, candidate: usize, pieces: &mpsc::Sender<Piece>) {
        let (submitted, deadline) = (Instant::now(), self.deadline(task));
        let piece = match tokio::time::timeout_at(deadline.into(), self.lanes.acquire()).await {
            Ok(Ok(_lane)) => {
                let queue = submitted.elapsed();
                let write = self.write(task, candidate, queue, pieces);
                let written = tokio::time::timeout_at(deadline.into(), write).await;
                self.settle(written.unwrap_or_else(|_| Err(Failure::Broken("it took too long".to_owned()))))
            }
            // The server is busy with other texts: no fault of its.
            _ => Piece::Failed("no turn came in time".to_owned()),
        };
        // One who has gone needs no answer.
        let _ = pieces.send(piece).await;
    }

    async fn write(
        &self,
        task: &Task,
        candidate: usize,
        queue: Duration,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<Finished, Failure> {
        let asked = wire::Asked::of(&self.config, task, candidate);
        let asked = serde_json::to_vec(&asked).map_err(|error| Failure::Broken(error.to_string()))?;
        let begun = Instant::now();
        let answer = self.ask(asked.into()).await?;
        let reading = reading::Reading::new(task, candidate, queue, begun);
        reading.read_out(answer, pieces).await
    }

    /// Asks, and asks again what has not begun, as often as the budget of all texts allows.
    async fn ask(&self, asked: Bytes) -> Result<Answer, Failure> {
        self.budget.deposit();
        let mut attempt = 1;
        loop {
            let failure = match self.server.ask(asked.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.may_pass() || attempt >= self.config.attempts || !self.budget.withdraw() {
                return Err(failure);
            }
            self.retries.add(1, &[self.model()]);
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    /// Tells the circuit how it went.
    fn settle(&self, outcome: Result<Finished, Failure>) -> Piece {
        match outcome {
            Ok(finished) => {
                self.circuit.succeeded();
                Piece::Done(finished)
            }
            Err(failure) => {
                let reason = failure.to_string();
                self.failures.add(1, &[self.model()]);
                let (url, left_alone) = (&self.config.url, self.circuit.failed(&reason));
                tracing::warn!(url, reason, left_alone, "the remote model gave no text");
                Piece::Failed(reason)
            }
        }
    }

    fn model(&self) -> KeyValue {
        KeyValue::new(names::GEN_AI_MODEL, self.config.name.clone())
    }
}

/// At random, so that those who failed together do not come back together.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE * 2_u32.saturating_pow(attempt - 1);
    longest.mul_f64(rand::rng().random_range(0.0..1.0))
}
