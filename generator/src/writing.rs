//! Who writes a copy: memory, the database, the model or a template, whichever the caller's deadline and the guard allow.
//!
//! A text being written is a *flight*: one a key, whoever asks for it, and it goes on when its callers have gone, so
//! that what came too late for one call is there for the next. The key has all that the text depends on, and not why
//! it was picked for one person: that is told behind it in fixed words. A few *wordings* are kept of each subject, and
//! a seed chooses one of them, so that what is written serves many.

mod ahead;
mod answer;
mod author;
mod compose;
mod flight;
mod memory;
mod pace;
mod rank;
mod repetition;
mod shape;
mod subject;
mod tally;
mod warm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::deadline::Deadline;
use proto::common::v1::Substitute;
use proto::generator::v1::{Brief, Copy, CopySource, GenerateCopyResponse};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::brief::{hash, readable, sold_out};
use crate::config::WritingConfig;
use crate::engine::{Backend, State, Timing};
use crate::store::{Store, Written};
use crate::words::Predictor;
pub use ahead::{Campaign, Progress};
use answer::{Answer, Lesser, Signed};
use author::{Author, Line};
use flight::{Flight, Outcome};
use memory::Memory;
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

/// Texts kept of a subject, by key.
type Kept = HashMap<String, Arc<Written>>;

/// Writes copy; cheap to clone.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    /// The models that write, the preferred one first; the next one stands in where one cannot.
    authors: Vec<Arc<Author>>,
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
    lanes: Arc<Semaphore>,
    tally: Tally,
    stop: CancellationToken,
}

impl Writer {
    /// A writer by `models`, the preferred one first, or by templates alone; `words` has a say in which text is the
    /// best. It warms the models up and works on until `stop`.
    pub fn new(
        models: Vec<Arc<dyn Backend>>,
        words: Option<Predictor>,
        store: Store,
        config: &WritingConfig,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            authors: models.into_iter().map(|backend| Arc::new(Author::new(backend))).collect(),
            words,
            store,
            config: config.clone(),
            written: Memory::new(config.memory),
            answers: Memory::new(config.memory),
            flights: Mutex::default(),
            failures: Mutex::default(),
            lanes: Arc::new(Semaphore::new(config.background_lanes)),
            tally: Tally::new(),
            stop,
        };
        let writer = Self { shared: Arc::new(shared) };
        for author in &writer.shared.authors {
            tokio::spawn(warm::up(writer.shared.clone(), author.clone()));
        }
        writer
    }

    /// The models that write, the preferred one first, by name and state; none where templates serve alone.
    pub fn models(&self) -> Vec<(String, State)> {
        self.shared.authors.iter().map(|author| (author.id().to_owned(), author.state())).collect()
    }

    /// The model of words, where there is one.
    pub fn words(&self) -> Option<&Predictor> {
        self.shared.words.as_ref()
    }

    fn click_model_version(&self) -> &str {
        self.words().map_or("", Predictor::version)
    }

    /// Writes `order` before `deadline`. What is written is told to `draft` as it comes, unchecked.
    pub async fn write(
        &self,
        order: &Order,
        deadline: Option<Deadline>,
        draft: Option<&mpsc::Sender<String>>,
    ) -> Result<GenerateCopyResponse, Refusal> {
        let line = author::line(&self.shared.authors, &order.model_id)?;
        let answer = match self.remembered(order, &line) {
            Some(answer) => answer,
            None => self.anew(order, &line, deadline, draft).await?,
        };
        self.shared.tally.count(&answer);
        Ok(answer)
    }

    /// The answer where all of it was given before and nothing of it can have become stale.
    fn remembered(&self, order: &Order, line: &Line<'_>) -> Option<GenerateCopyResponse> {
        if sold_out(&order.brief) {
            return None;
        }
        let temperature = self.temperature(order);
        let (mut copies, mut lesser) = (Vec::with_capacity(order.variants as usize), Vec::new());
        for variant in 0..order.variants.max(1) as usize {
            let wording = self.wording(order, variant);
            let (author, copy) = line.asked().find_map(|author| {
                let key = hash::whole(&order.brief, author.id(), temperature, wording);
                Some((author, self.shared.answers.get(&key)?))
            })?;
            let cause = line.cause().filter(|_| author.id() != line.preferred());
            lesser.extend(cause.map(|cause| (cause, Substitute::LocalModel)));
            let seed = order.seed_of(variant);
            let copy = Copy { source: CopySource::Cache.into(), seed, ..(*copy).clone() };
            copies.push(Signed { copy, model_id: author.id().to_owned() });
        }
        lesser.dedup();
        Some(answer::response(copies, lesser, &Timing::default(), self.click_model_version()))
    }

    async fn anew(
        &self,
        order: &Order,
        line: &Line<'_>,
        deadline: Option<Deadline>,
        draft: Option<&mpsc::Sender<String>>,
    ) -> Result<GenerateCopyResponse, Refusal> {
        let config = &self.shared.config;
        let longest = Duration::from_millis(config.longest_ms);
        let budget = deadline.map_or(longest, |deadline| deadline.remaining().min(longest));
        let until = Deadline::after(budget.saturating_sub(Duration::from_millis(config.margin_ms)));

        let mut answer = Answer::new(order, self.click_model_version());
        // A brief that no template can serve is refused before the model is asked.
        answer.prepare()?;
        // Of some goods a model says nothing, nor of what is sold out, nor of what it could only guess at.
        if answer.restricted() || sold_out(&order.brief) || !readable(&order.brief) {
            answer.all_lesser(Lesser::CheckFailed);
            return answer.finish();
        }
        let mut kept = Vec::new();
        for author in line.asked() {
            let subject = Subject::new(&order.brief, author.id(), self.temperature(order));
            let texts = self.kept(order, &subject, until).await;
            for variant in answer.missing() {
                if let Some(written) = texts.get(&subject.wording(self.wording(order, variant))) {
                    self.take(order, line, &mut answer, variant, written, CopySource::Cache);
                }
            }
            kept.push((subject, texts));
            if answer.missing().is_empty() {
                return answer.finish();
            }
        }
        let cause = match (line.able(), kept.last()) {
            ([], _) | (_, None) => line.cause().unwrap_or(Lesser::Unavailable),
            (able, Some((subject, _))) => {
                self.by_model(order, line, able, subject, until, draft, &mut answer).await;
                Lesser::Deadline
            }
        };
        self.by_another(line, &kept, &mut answer, cause);
        answer.finish()
    }

    #[expect(clippy::too_many_arguments, reason = "all of one answer")]
    async fn by_model(
        &self,
        order: &Order,
        line: &Line<'_>,
        able: &[Arc<Author>],
        subject: &Arc<Subject>,
        until: Deadline,
        draft: Option<&mpsc::Sender<String>>,
        answer: &mut Answer<'_>,
    ) {
        let in_time = able[0].pace.estimate().is_none_or(|estimate| estimate <= until.remaining());
        let mut waiting = Vec::new();
        for variant in answer.missing() {
            let wording = self.wording(order, variant);
            if self.shared.failed_lately(&subject.wording(wording)) {
                answer.lesser(variant, Lesser::CheckFailed);
                continue;
            }
            let job = flight::Job {
                authors: able.to_vec(),
                subject: subject.clone(),
                wording,
                temperature: self.temperature(order),
            };
            let flight = Shared::board(&self.shared, job, in_time, false);
            waiting.extend(flight.filter(|_| in_time).map(|flight| (variant, flight)));
        }
        let landings = waiting
            .into_iter()
            .map(|(variant, flight)| async move { (variant, flight.land(until, draft).await) });
        for (variant, outcome) in futures::future::join_all(landings).await {
            match outcome {
                Some(Outcome::Written { text, spent, instead }) => {
                    answer.spent(&spent);
                    if !self.take(order, line, answer, variant, &text, CopySource::Model) {
                        answer.lesser(variant, Lesser::CheckFailed);
                    } else if let Some(cause) = instead {
                        answer.instead(cause, Substitute::LocalModel);
                    }
                }
                Some(Outcome::Lesser(cause, spent)) => {
                    answer.spent(&spent);
                    answer.lesser(variant, cause);
                }
                None => {}
            }
        }
    }

    /// What is still missing by another wording that is kept, rather than by a template.
    fn by_another(
        &self,
        line: &Line<'_>,
        kept: &[(Arc<Subject>, Kept)],
        answer: &mut Answer<'_>,
        cause: Lesser,
    ) {
        for variant in answer.missing() {
            let another = kept.iter().find_map(|(subject, texts)| {
                (0..self.shared.config.wordings).find_map(|wording| {
                    let written =
                        texts.get(&subject.wording(wording)).filter(|written| !answer.has(written))?;
                    answer.by_model(variant, written, CopySource::Cache).then_some(written)
                })
            });
            match another {
                Some(written) => {
                    answer.name(variant, &written.key);
                    note(line, answer, written);
                }
                None => answer.lesser(variant, cause),
            }
        }
    }

    /// Takes a text into the answer and remembers the copy it became; says whether it passed.
    fn take(
        &self,
        order: &Order,
        line: &Line<'_>,
        answer: &mut Answer<'_>,
        variant: usize,
        written: &Written,
        source: CopySource,
    ) -> bool {
        if !answer.by_model(variant, written, source) {
            return false;
        }
        let wording = self.wording(order, variant);
        let key = hash::whole(&order.brief, &written.model_id, self.temperature(order), wording);
        if let Some(copy) = answer.name(variant, &key) {
            self.shared.answers.keep(key, Arc::new(copy));
        }
        note(line, answer, written);
        true
    }

    /// What is kept of `subject`, every wording of it. A database that fails costs time, not the answer.
    async fn kept(&self, order: &Order, subject: &Subject, until: Deadline) -> Kept {
        let wordings = self.shared.config.wordings + u64::from(order.variants);
        let keys: Vec<String> = (0..wordings).map(|wording| subject.wording(wording)).collect();
        let mut kept = Kept::new();
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
    fn board(this: &Arc<Self>, job: flight::Job, awaited: bool, always: bool) -> Option<Flight> {
        let mut flights = locked(&this.flights);
        let key = job.subject.wording(job.wording);
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

/// Notes where a text of another model than the preferred one stands in for it.
fn note(line: &Line<'_>, answer: &mut Answer<'_>, written: &Written) {
    if let Some(cause) = line.cause().filter(|_| written.model_id != line.preferred()) {
        answer.instead(cause, Substitute::LocalModel);
    }
}
