//! Who writes a copy: memory, the database, the model or a template, whichever the caller's deadline and the guard allow.
//!
//! A text being written is a *flight*: one a key, whoever asks for it, and it goes on when its callers have gone, so
//! that what came too late for one call is there for the next. The key has all that the text depends on, and not why
//! it was picked for one person: that is told behind it in fixed words. A few *wordings* are kept of each subject, and
//! a seed chooses one of them, so that what is written serves many.

mod ahead;
mod answer;
mod compose;
mod flight;
mod memory;
mod pace;
mod rank;
mod shape;
mod subject;
mod tally;
mod warm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::deadline::Deadline;
use proto::generator::v1::{Brief, Copy, CopySource, GenerateCopyResponse};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::brief::{hash, readable, sold_out};
use crate::config::WritingConfig;
use crate::engine::{Engine, State, Timing};
use crate::store::{Store, Written};
use crate::words::Predictor;
pub use ahead::{Campaign, Progress};
use answer::{Answer, Lesser, Versions};
use flight::{Flight, Outcome};
use memory::Memory;
use pace::Pace;
use subject::Subject;
use tally::Tally;

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

impl Order {
    fn seed_of(&self, variant: usize) -> u64 {
        self.seed.wrapping_add(variant as u64)
    }
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
    /// The model that writes, by its file's name.
    model_id: String,
    /// Says which of several texts will be clicked.
    words: Option<Predictor>,
    store: Store,
    config: WritingConfig,
    /// Texts by key.
    written: Memory<Arc<Written>>,
    /// Whole copies by the brief they answer.
    answers: Memory<Arc<Copy>>,
    flights: Mutex<HashMap<String, Flight>>,
    failures: Mutex<HashMap<String, Instant>>,
    pace: Pace,
    lanes: Arc<Semaphore>,
    tally: Tally,
    stop: CancellationToken,
}

impl Writer {
    /// A writer on `engine`, which runs the model `model_id`, or on what is kept and templates alone; `words` has a say
    /// in which text is the best. It warms the model up and works on until `stop`.
    pub fn new(
        engine: Option<Engine>,
        model_id: String,
        words: Option<Predictor>,
        store: Store,
        config: &WritingConfig,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            engine,
            model_id,
            words,
            store,
            config: config.clone(),
            written: Memory::new(config.memory),
            answers: Memory::new(config.memory),
            flights: Mutex::default(),
            failures: Mutex::default(),
            pace: Pace::default(),
            lanes: Arc::new(Semaphore::new(config.background_lanes)),
            tally: Tally::new(),
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

    /// The model of words, where there is one.
    pub fn words(&self) -> Option<&Predictor> {
        self.shared.words.as_ref()
    }

    fn versions(&self) -> Versions<'_> {
        Versions { model: &self.shared.model_id, words: self.words().map_or("", Predictor::version) }
    }

    /// Writes `order` before `deadline`. What is written is told to `draft` as it comes, unchecked.
    pub async fn write(
        &self,
        order: &Order,
        deadline: Option<Deadline>,
        draft: Option<&mpsc::Sender<String>>,
    ) -> Result<GenerateCopyResponse, Refusal> {
        let shared = &self.shared;
        if !order.model_id.is_empty() && order.model_id != shared.model_id {
            let serving = if shared.model_id.is_empty() { "none" } else { &shared.model_id };
            return Err(Refusal::UnknownModel { asked: order.model_id.clone(), serving: serving.into() });
        }
        let answer = match self.remembered(order) {
            Some(answer) => answer,
            None => self.anew(order, deadline, draft).await?,
        };
        shared.tally.count(&answer);
        Ok(answer)
    }

    /// The answer where all of it was given before and nothing of it can have become stale.
    fn remembered(&self, order: &Order) -> Option<GenerateCopyResponse> {
        if sold_out(&order.brief) {
            return None;
        }
        let temperature = self.temperature(order);
        let mut copies = Vec::with_capacity(order.variants as usize);
        for variant in 0..order.variants.max(1) as usize {
            let key =
                hash::whole(&order.brief, &self.shared.model_id, temperature, self.wording(order, variant));
            let copy = self.shared.answers.get(&key)?;
            let seed = order.seed_of(variant);
            copies.push(Copy { source: CopySource::Cache.into(), seed, ..(*copy).clone() });
        }
        Some(answer::response(copies, Vec::new(), &Timing::default(), self.versions()))
    }

    async fn anew(
        &self,
        order: &Order,
        deadline: Option<Deadline>,
        draft: Option<&mpsc::Sender<String>>,
    ) -> Result<GenerateCopyResponse, Refusal> {
        let config = &self.shared.config;
        let longest = Duration::from_millis(config.longest_ms);
        let budget = deadline.map_or(longest, |deadline| deadline.remaining().min(longest));
        let until = Deadline::after(budget.saturating_sub(Duration::from_millis(config.margin_ms)));

        let mut answer = Answer::new(order, self.versions());
        // A brief that no template can serve is refused before the model is asked.
        answer.prepare()?;
        // Of some goods a model says nothing, nor of what is sold out, nor of what it could only guess at.
        if answer.restricted() || sold_out(&order.brief) || !readable(&order.brief) {
            answer.all_lesser(Lesser::CheckFailed);
            return answer.finish();
        }
        let subject = Subject::new(&order.brief, &self.shared.model_id, self.temperature(order));
        let kept = self.kept(order, &subject, until).await;
        for variant in answer.missing() {
            if let Some(written) = kept.get(&subject.wording(self.wording(order, variant))) {
                self.take(order, &mut answer, variant, written, CopySource::Cache);
            }
        }
        match self.engine() {
            Some(State::Ready(_)) => self.by_model(order, &subject, &kept, until, draft, &mut answer).await,
            Some(State::Loading) => self.by_another(&subject, &kept, &mut answer, Lesser::Cold),
            Some(State::Failed(_)) | None => {
                self.by_another(&subject, &kept, &mut answer, Lesser::Unavailable);
            }
        }
        answer.finish()
    }

    async fn by_model(
        &self,
        order: &Order,
        subject: &Arc<Subject>,
        kept: &HashMap<String, Arc<Written>>,
        until: Deadline,
        draft: Option<&mpsc::Sender<String>>,
        answer: &mut Answer<'_>,
    ) {
        let in_time = self.shared.pace.estimate().is_none_or(|estimate| estimate <= until.remaining());
        let mut waiting = Vec::new();
        for variant in answer.missing() {
            let wording = self.wording(order, variant);
            if self.shared.failed_lately(&subject.wording(wording)) {
                answer.lesser(variant, Lesser::CheckFailed);
                continue;
            }
            let flight =
                Shared::board(&self.shared, subject, wording, self.temperature(order), in_time, false);
            waiting.extend(flight.filter(|_| in_time).map(|flight| (variant, flight)));
        }
        let landings = waiting
            .into_iter()
            .map(|(variant, flight)| async move { (variant, flight.land(until, draft).await) });
        for (variant, outcome) in futures::future::join_all(landings).await {
            match outcome {
                Some(Outcome::Written(written, timing)) => {
                    answer.spent(&timing);
                    if !self.take(order, answer, variant, &written, CopySource::Model) {
                        answer.lesser(variant, Lesser::CheckFailed);
                    }
                }
                Some(Outcome::Lesser(cause, timing)) => {
                    answer.spent(&timing);
                    answer.lesser(variant, cause);
                }
                None => {}
            }
        }
        self.by_another(subject, kept, answer, Lesser::Deadline);
    }

    /// What is still missing by another wording that is kept, rather than by a template.
    fn by_another(
        &self,
        subject: &Subject,
        kept: &HashMap<String, Arc<Written>>,
        answer: &mut Answer<'_>,
        cause: Lesser,
    ) {
        for variant in answer.missing() {
            let another = (0..self.shared.config.wordings).find_map(|wording| {
                let written = kept.get(&subject.wording(wording)).filter(|written| !answer.has(written))?;
                answer.by_model(variant, written, CopySource::Cache).then(|| subject.wording(wording))
            });
            match another {
                Some(key) => drop(answer.name(variant, &key)),
                None => answer.lesser(variant, cause),
            }
        }
    }

    /// Takes a text into the answer and remembers the copy it became; says whether it passed.
    fn take(
        &self,
        order: &Order,
        answer: &mut Answer<'_>,
        variant: usize,
        written: &Written,
        source: CopySource,
    ) -> bool {
        if !answer.by_model(variant, written, source) {
            return false;
        }
        let wording = self.wording(order, variant);
        let key = hash::whole(&order.brief, &self.shared.model_id, self.temperature(order), wording);
        if let Some(copy) = answer.name(variant, &key) {
            self.shared.answers.keep(key, Arc::new(copy));
        }
        true
    }

    /// What is kept of `subject`, every wording of it. A database that fails costs time, not the answer.
    async fn kept(&self, order: &Order, subject: &Subject, until: Deadline) -> HashMap<String, Arc<Written>> {
        let wordings = self.shared.config.wordings + u64::from(order.variants);
        let keys: Vec<String> = (0..wordings).map(|wording| subject.wording(wording)).collect();
        let mut kept: HashMap<String, Arc<Written>> = HashMap::new();
        for key in &keys {
            kept.extend(self.shared.written.get(key).map(|written| (key.clone(), written)));
        }
        let wanted =
            (0..order.variants.max(1) as usize).map(|variant| subject.wording(self.wording(order, variant)));
        if wanted.into_iter().all(|key| kept.contains_key(&key)) {
            return kept;
        }
        match tokio::time::timeout_at(until.instant(), self.shared.store.copies(&keys)).await {
            Ok(Ok(found)) => {
                for (key, written) in found {
                    let written = Arc::new(written);
                    self.shared.written.keep(key.clone(), written.clone());
                    kept.insert(key, written);
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "written copy cannot be looked up"),
            Err(_) => {}
        }
        kept
    }

    fn temperature(&self, order: &Order) -> f64 {
        order.temperature.unwrap_or(self.shared.config.temperature)
    }

    /// The wording that a seed chooses: one of a few, so that a text serves more than one seed.
    fn wording(&self, order: &Order, variant: usize) -> u64 {
        order.seed % self.shared.config.wordings + variant as u64
    }
}

impl Shared {
    /// The flight of a wording, started where there is none and room for it, or `always`.
    fn board(
        this: &Arc<Self>,
        subject: &Arc<Subject>,
        wording: u64,
        temperature: f64,
        awaited: bool,
        always: bool,
    ) -> Option<Flight> {
        let mut flights = locked(&this.flights);
        let key = subject.wording(wording);
        if let Some(flight) = flights.get(&key) {
            if awaited {
                flight.hasten();
            }
            return Some(flight.clone());
        }
        // Waited-for texts are bounded by the engine's own queue.
        if !awaited && !always && flights.len() >= this.config.background {
            return None;
        }
        let job =
            flight::Job { subject: subject.clone(), wording, model_id: this.model_id.clone(), temperature };
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
