//! Who writes a copy: the cache, the model or a template, whichever the caller's deadline and the guard allow.
//!
//! A text being written is a *flight*: one a key, whoever asks for it, and it goes on when its callers have gone, so
//! that what came too late for one call is there for the next.

mod answer;
mod compose;
mod flight;
mod pace;
mod warm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::deadline::Deadline;
use proto::generator::v1::{Brief, GenerateCopyResponse};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::config::WritingConfig;
use crate::engine::{Engine, ModelCard, State};
use crate::guard::Guard;
use crate::store::Store;
use answer::{Answer, Lesser};
use flight::{Flight, Outcome};
use pace::Pace;

/// Failed keys remembered at most.
const FAILURES: usize = 10_000;

/// Copy that is asked for.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// What it is about; valid.
    pub brief: Arc<Brief>,
    /// Copies wanted, at least 1.
    pub variants: u32,
    /// Seed of all chance.
    pub seed: u64,
    /// `None` takes the configured one.
    pub temperature: Option<f64>,
    /// Empty takes the model that serves.
    pub model_id: String,
}

/// Why there is no copy at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another model serves.
    #[error("{asked}: no such model; {serving} serves")]
    UnknownModel {
        /// The one asked for.
        asked: String,
        /// The one that serves.
        serving: String,
    },
    /// The brief's banned words, required words and length leave no room for any text.
    #[error("no text can keep to the banned words, the required words and the length of this brief")]
    NoRoom,
}

/// Writes copy; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Option<Engine>,
    store: Store,
    config: WritingConfig,
    flights: Mutex<HashMap<String, Flight>>,
    failures: Mutex<HashMap<String, Instant>>,
    pace: Pace,
    lanes: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Writer {
    /// A writer on `engine`, or on templates alone. It warms the model up and works on until `stop`.
    pub fn new(
        engine: Option<Engine>,
        store: Store,
        config: &WritingConfig,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            engine,
            store,
            config: config.clone(),
            flights: Mutex::default(),
            failures: Mutex::default(),
            pace: Pace::default(),
            lanes: Arc::new(Semaphore::new(config.background_lanes)),
            stop,
        };
        let writer = Self { shared: Arc::new(shared) };
        if writer.shared.engine.is_some() {
            tokio::spawn(warm::up(writer.shared.clone()));
        }
        writer
    }

    /// The engine's state; `None` where templates serve alone.
    pub fn engine(&self) -> Option<State> {
        self.shared.engine.as_ref().map(Engine::state)
    }

    /// Writes `order` before `deadline`. What is written is told to `draft` as it comes, unchecked.
    pub async fn write(
        &self,
        order: &Order,
        deadline: Option<Deadline>,
        draft: Option<&mpsc::Sender<String>>,
    ) -> Result<GenerateCopyResponse, Refusal> {
        let config = &self.shared.config;
        let longest = Duration::from_millis(config.longest_ms);
        let budget = deadline.map_or(longest, |deadline| deadline.remaining().min(longest));
        let until = Deadline::after(budget.saturating_sub(Duration::from_millis(config.margin_ms)));

        let mut answer = Answer::new(order);
        // A brief that no template can serve is refused before the model is asked.
        answer.prepare()?;
        match self.engine() {
            Some(State::Ready(card)) => self.by_model(order, &card, until, draft, &mut answer).await?,
            Some(State::Loading) => answer.all_lesser(Lesser::Cold),
            Some(State::Failed(_)) | None => answer.all_lesser(Lesser::Unavailable),
        }
        answer.finish()
    }

    async fn by_model(
        &self,
        order: &Order,
        card: &ModelCard,
        until: Deadline,
        draft: Option<&mpsc::Sender<String>>,
        answer: &mut Answer<'_>,
    ) -> Result<(), Refusal> {
        if !order.model_id.is_empty() && order.model_id != card.model_id {
            return Err(Refusal::UnknownModel {
                asked: order.model_id.clone(),
                serving: card.model_id.clone(),
            });
        }
        // Of some goods a model says nothing, however well it says it.
        if Guard::new(&order.brief).restricted() {
            answer.all_lesser(Lesser::CheckFailed);
            return Ok(());
        }
        answer.model_id.clone_from(&card.model_id);
        let temperature = order.temperature.unwrap_or(self.shared.config.temperature);
        let seeds = (0..u64::from(order.variants)).map(|variant| order.seed.wrapping_add(variant));
        let keys: Vec<String> = seeds
            .map(|seed| crate::brief::hash::of(&order.brief, &card.model_id, temperature, seed))
            .collect();
        let kept = self.kept(&keys, until).await;
        let in_time = self.shared.pace.estimate().is_none_or(|estimate| estimate <= until.remaining());
        let mut waiting = Vec::new();
        for (variant, key) in keys.into_iter().enumerate() {
            if let Some(written) = kept.get(&key) {
                answer.cached(variant, written);
            } else if self.shared.failed_lately(&key) {
                answer.lesser(variant, Lesser::CheckFailed);
            } else {
                let seed = order.seed.wrapping_add(variant as u64);
                let flight = Shared::board(&self.shared, key, &order.brief, card, temperature, seed, in_time);
                match flight {
                    Some(flight) if in_time => waiting.push((variant, flight)),
                    _ => answer.lesser(variant, Lesser::Deadline),
                }
            }
        }
        let landings = waiting
            .into_iter()
            .map(|(variant, flight)| async move { (variant, flight.land(until, draft).await) });
        for (variant, outcome) in futures::future::join_all(landings).await {
            match outcome {
                Some(Outcome::Written(written, timing)) => answer.written(variant, &written, &timing),
                Some(Outcome::Lesser(cause, timing)) => {
                    answer.spent(&timing);
                    answer.lesser(variant, cause);
                }
                None => answer.lesser(variant, Lesser::Deadline),
            }
        }
        Ok(())
    }

    /// What is kept under `keys`. A database that fails costs time, not the answer.
    async fn kept(&self, keys: &[String], until: Deadline) -> HashMap<String, crate::store::Written> {
        match tokio::time::timeout_at(until.instant(), self.shared.store.copies(keys)).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => {
                tracing::warn!(%error, "written copy cannot be looked up");
                HashMap::new()
            }
            Err(_) => HashMap::new(),
        }
    }
}

impl Shared {
    /// The flight under `key`, started where there is none and room for it.
    fn board(
        this: &Arc<Self>,
        key: String,
        brief: &Arc<Brief>,
        card: &ModelCard,
        temperature: f64,
        seed: u64,
        awaited: bool,
    ) -> Option<Flight> {
        let mut flights = locked(&this.flights);
        if let Some(flight) = flights.get(&key) {
            if awaited {
                flight.hasten();
            }
            return Some(flight.clone());
        }
        // Waited-for texts are bounded by the engine's own queue.
        if !awaited && flights.len() >= this.config.background {
            return None;
        }
        let job = flight::Job {
            key: key.clone(),
            brief: brief.clone(),
            model_id: card.model_id.clone(),
            temperature,
            seed,
        };
        let flight = flight::take_off(this.clone(), job, awaited);
        flights.insert(key, flight.clone());
        Some(flight)
    }

    fn failed_lately(&self, key: &str) -> bool {
        let failures = locked(&self.failures);
        failures.get(key).is_some_and(|at| at.elapsed() < Duration::from_secs(self.config.retry_after_s))
    }

    fn remember_failure(&self, key: String) {
        let mut failures = locked(&self.failures);
        if failures.len() >= FAILURES {
            let fresh = Duration::from_secs(self.config.retry_after_s);
            failures.retain(|_, at| at.elapsed() < fresh);
        }
        if failures.len() < FAILURES {
            failures.insert(key, Instant::now());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
