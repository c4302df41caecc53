use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::deadline::Deadline;
use chrono::Utc;
use tokio::sync::{mpsc, watch};

use super::answer::Lesser;
use super::author::Author;
use super::rank::{self, Candidate};
use super::shape::{Shape, Shaped};
use super::subject::Subject;
use super::{Shared, compose, locked};
use crate::brief::Locale;
use crate::engine::{Finished, Piece, Refused, Task, Timing};
use crate::store::{Click, Written};

/// What is to be written.
pub(super) struct Job {
    /// Who writes it, and who stands in for whom.
    pub(super) authors: Vec<Arc<Author>>,
    /// As the first of them keeps it.
    pub(super) subject: Arc<Subject>,
    pub(super) wording: u64,
    pub(super) temperature: f64,
}

/// How a flight ended.
#[derive(Clone)]
pub(super) enum Outcome {
    Written {
        text: Arc<Written>,
        spent: Timing,
        /// Why the first author did not write it, where another did.
        instead: Option<Lesser>,
    },
    Lesser(Lesser, Timing),
}

#[derive(Clone, Default)]
struct Progress {
    draft: String,
    outcome: Option<Outcome>,
}

/// A text being written, seen from outside.
#[derive(Clone)]
pub(super) struct Flight {
    progress: watch::Receiver<Progress>,
    awaited: watch::Sender<bool>,
}

impl Flight {
    /// Says that somebody waits for it now.
    pub(super) fn hasten(&self) {
        self.awaited.send_replace(true);
    }

    /// Its outcome, or `None` where it has none by `until`. The draft is passed on as it grows.
    pub(super) async fn land(self, until: Deadline, draft: Option<&mpsc::Sender<String>>) -> Option<Outcome> {
        tokio::time::timeout_at(until.instant(), self.outcome(draft)).await.ok().flatten()
    }

    /// Its outcome, whenever that comes.
    pub(super) async fn outcome(mut self, draft: Option<&mpsc::Sender<String>>) -> Option<Outcome> {
        let mut told = 0;
        loop {
            let (news, outcome) = {
                let progress = self.progress.borrow_and_update();
                (progress.draft.get(told..).unwrap_or_default().to_owned(), progress.outcome.clone())
            };
            if let (Some(draft), false) = (draft, news.is_empty()) {
                told += news.len();
                // A reader who has gone is noticed where the answer is sent.
                let _ = draft.send(news).await;
            }
            if outcome.is_some() || self.progress.changed().await.is_err() {
                return outcome;
            }
        }
    }
}

/// Starts writing `job`; unless somebody waits for it, it waits for a free lane.
pub(super) fn take_off(shared: Arc<Shared>, job: Job, awaited: bool) -> Flight {
    let (progress, seen) = watch::channel(Progress::default());
    let (hasten, mut hastened) = watch::channel(awaited);
    let flight = Flight { progress: seen, awaited: hasten };
    tokio::spawn(async move {
        let lanes = shared.lanes.clone();
        let work = async {
            let _lane = tokio::select! {
                biased;
                _ = hastened.wait_for(|awaited| *awaited) => None,
                lane = lanes.acquire_owned() => lane.ok(),
            };
            fly(&shared, &job, &progress).await
        };
        let outcome = shared.stop.run_until_cancelled(work).await;
        let outcome = outcome.unwrap_or(Outcome::Lesser(Lesser::Unavailable, Timing::default()));
        let key = job.subject.wording(job.wording);
        match &outcome {
            Outcome::Written { text, .. } => shared.written.keep(text.key.clone(), text.clone()),
            Outcome::Lesser(Lesser::CheckFailed, _) => shared.remember_failure(key.clone()),
            Outcome::Lesser(..) => {}
        }
        // What is kept is there before the flight is gone, so no caller starts it again.
        locked(&shared.flights).remove(&key);
        progress.send_modify(|progress| progress.outcome = Some(outcome));
    });
    flight
}

async fn fly(shared: &Shared, job: &Job, progress: &watch::Sender<Progress>) -> Outcome {
    let give_up = Instant::now() + Duration::from_millis(shared.config.longest_ms);
    let (mut spent, mut instead) = (Timing::default(), None);
    for (place, author) in job.authors.iter().enumerate() {
        let subject = match place {
            0 => job.subject.clone(),
            _ => Subject::new(&job.subject.brief, author.id(), job.temperature),
        };
        let turn = Turn { author, subject: &subject, job, give_up };
        // What one began and another ends would be told twice.
        match turn.write(shared, (place == 0).then_some(progress), &mut spent).await {
            Ok(Some(written)) => return Outcome::Written { text: Arc::new(written), spent, instead },
            Ok(None) => return Outcome::Lesser(Lesser::CheckFailed, spent),
            Err(cause) => _ = instead.get_or_insert(cause),
        }
    }
    Outcome::Lesser(instead.unwrap_or(Lesser::Unavailable), spent)
}

/// An author's turn at a job.
struct Turn<'a> {
    author: &'a Author,
    /// As this author keeps it.
    subject: &'a Arc<Subject>,
    job: &'a Job,
    give_up: Instant,
}

impl Turn<'_> {
    /// The text, kept; `None` where nothing that was written passes; or why nothing was written.
    async fn write(
        &self,
        shared: &Shared,
        progress: Option<&watch::Sender<Progress>>,
        spent: &mut Timing,
    ) -> Result<Option<Written>, Lesser> {
        for attempt in 0..shared.config.attempts {
            let draft = progress.filter(|_| attempt == 0);
            let finished = self.ask(shared, attempt, draft).await?;
            add(spent, &finished);
            if let Some(candidate) = choose(shared, self.subject, &finished).await {
                let version = shared.words.as_ref().map(|words| words.version().to_owned());
                let written = Written {
                    key: self.subject.wording(self.job.wording),
                    model_id: self.author.id().to_owned(),
                    headline: candidate.composed.headline,
                    body: candidate.composed.body,
                    cut: candidate.composed.cut,
                    click: version
                        .zip(candidate.click)
                        .map(|(version, probability)| Click { version, probability }),
                };
                if let Err(error) = shared.store.keep(&written, Utc::now()).await {
                    tracing::warn!(%error, "a text cannot be kept");
                }
                return Ok(Some(written));
            }
        }
        Ok(None)
    }

    async fn ask(
        &self,
        shared: &Shared,
        attempt: u32,
        draft: Option<&watch::Sender<Progress>>,
    ) -> Result<Vec<Finished>, Lesser> {
        let (job, again) = (self.job, attempt > 0);
        // Greedy candidates are all the same.
        let candidates = if job.temperature > 0.0 || again { shared.config.candidates } else { 1 };
        let task = Task {
            prompt: crate::brief::prompt::of(&self.subject.brief),
            candidates,
            max_tokens: shared.config.max_tokens,
            // A greedy text would come out the same again.
            temperature: if again { job.temperature.max(0.7) } else { job.temperature },
            top_p: shared.config.top_p,
            // Candidates take the seeds from here on; no two attempts or wordings share one.
            seed: (job.wording << 16) + u64::from(attempt) * candidates as u64,
            stop: vec!["\n".into()],
            grammar: Some(Arc::new(Shaped(Arc::new(Shape::new(self.subject.clone()))))),
            deadline: Some(self.give_up),
        };
        let started = Instant::now();
        let mut pieces = self.author.submit(task).map_err(|refused| match refused {
            Refused::Overloaded => Lesser::Overload,
            Refused::NotReady(_) => Lesser::Unavailable,
            Refused::Candidates { .. } => {
                tracing::error!(%refused, "writing.candidates is above what the engine can do");
                Lesser::Unavailable
            }
        })?;
        let mut all = Vec::with_capacity(candidates);
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Delta { candidate: 0, text } => {
                    if let Some(draft) = draft {
                        draft.send_modify(|progress| progress.draft.push_str(&text));
                    }
                }
                Piece::Delta { .. } => {}
                Piece::Done(finished) => {
                    crate::telemetry::written(self.author.id(), &finished.timing);
                    all.push(finished);
                }
                // Of a model elsewhere the other candidates may still come.
                Piece::Failed(reason) => {
                    tracing::error!(model = self.author.id(), reason, "a text did not come");
                }
            }
        }
        if all.is_empty() {
            return Err(Lesser::Unavailable);
        }
        self.author.pace.measured(started.elapsed());
        // Candidates end in any order; which is chosen must not hang on it.
        all.sort_by_key(|finished| finished.candidate);
        Ok(all)
    }
}

/// The best of what was written, if any of it passes.
async fn choose(shared: &Shared, subject: &Subject, finished: &[Finished]) -> Option<Candidate> {
    let mut candidates = Vec::new();
    for finished in finished {
        match compose::compose(subject, &finished.text, finished.reason) {
            Ok(composed) => {
                let likelihood = finished.mean_log_likelihood();
                candidates.push(Candidate { composed, likelihood, click: None });
            }
            Err(faults) => tracing::debug!(?faults, "a text did not pass"),
        }
    }
    if let (Some(words), Locale::English) = (&shared.words, subject.locale) {
        let texts = candidates.iter().map(|candidate| rank::line(&candidate.composed)).collect();
        for (candidate, click) in candidates.iter_mut().zip(words.predict(texts).await) {
            candidate.click = click;
        }
    }
    rank::best(subject, candidates)
}

/// Candidates are written side by side: their time is that of the slowest, their tokens are all paid for.
fn add(sum: &mut Timing, candidates: &[Finished]) {
    let times = |time: fn(&Timing) -> Duration| {
        candidates.iter().map(|finished| time(&finished.timing)).max().unwrap_or_default()
    };
    sum.queue += times(|timing| timing.queue);
    sum.prefill += times(|timing| timing.prefill);
    sum.decode += times(|timing| timing.decode);
    if let Some(first) = candidates.first() {
        sum.prompt_tokens += first.timing.prompt_tokens;
        sum.cached_tokens += first.timing.cached_tokens;
    }
    sum.output_tokens += candidates.iter().map(|finished| finished.timing.output_tokens).sum::<u32>();
}
