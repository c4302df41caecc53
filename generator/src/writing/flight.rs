use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::deadline::Deadline;
use chrono::Utc;
use tokio::sync::{mpsc, watch};

use super::answer::Lesser;
use super::rank::{self, Candidate};
use super::shape::{Shape, Shaped};
use super::subject::Subject;
use super::{Shared, compose, locked};
use crate::brief::Locale;
use crate::engine::{Finished, Piece, Refused, Task, Timing};
use crate::store::{Click, Written};

/// What is to be written.
pub(super) struct Job {
    pub(super) subject: Arc<Subject>,
    pub(super) wording: u64,
    pub(super) model_id: String,
    pub(super) temperature: f64,
}

/// How a flight ended.
#[derive(Clone)]
pub(super) enum Outcome {
    Written(Arc<Written>, Timing),
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
            Outcome::Written(written, _) => shared.written.keep(key.clone(), written.clone()),
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
    let mut spent = Timing::default();
    for attempt in 0..shared.config.attempts {
        let draft = (attempt == 0).then_some(progress);
        let finished = match ask(shared, job, attempt, give_up, draft).await {
            Ok(finished) => finished,
            Err(cause) => return Outcome::Lesser(cause, spent),
        };
        add(&mut spent, &finished);
        if let Some(candidate) = choose(shared, job, &finished).await {
            let version = shared.words.as_ref().map(|words| words.version().to_owned());
            let written = Written {
                key: job.subject.wording(job.wording),
                model_id: job.model_id.clone(),
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
            return Outcome::Written(Arc::new(written), spent);
        }
    }
    Outcome::Lesser(Lesser::CheckFailed, spent)
}

/// The best of what was written, if any of it passes.
async fn choose(shared: &Shared, job: &Job, finished: &[Finished]) -> Option<Candidate> {
    let mut candidates = Vec::new();
    for finished in finished {
        match compose::compose(&job.subject, &finished.text, finished.reason) {
            Ok(composed) => {
                let likelihood = finished.mean_log_likelihood();
                candidates.push(Candidate { composed, likelihood, click: None });
            }
            Err(faults) => tracing::debug!(?faults, "a text did not pass"),
        }
    }
    if let (Some(words), Locale::English) = (&shared.words, job.subject.locale) {
        let texts = candidates.iter().map(|candidate| rank::line(&candidate.composed)).collect();
        for (candidate, click) in candidates.iter_mut().zip(words.predict(texts).await) {
            candidate.click = click;
        }
    }
    rank::best(&job.subject, candidates)
}

async fn ask(
    shared: &Shared,
    job: &Job,
    attempt: u32,
    give_up: Instant,
    draft: Option<&watch::Sender<Progress>>,
) -> Result<Vec<Finished>, Lesser> {
    let engine = shared.engine.as_ref().ok_or(Lesser::Unavailable)?;
    let again = attempt > 0;
    // Greedy candidates are all the same.
    let candidates = if job.temperature > 0.0 || again { shared.config.candidates } else { 1 };
    let task = Task {
        prompt: crate::brief::prompt::of(&job.subject.brief),
        candidates,
        max_tokens: shared.config.max_tokens,
        // A greedy text would come out the same again.
        temperature: if again { job.temperature.max(0.7) } else { job.temperature },
        top_p: shared.config.top_p,
        // Candidates take the seeds from here on; no two attempts or wordings share one.
        seed: (job.wording << 16) + u64::from(attempt) * candidates as u64,
        stop: vec!["\n".into()],
        grammar: Some(Arc::new(Shaped(Arc::new(Shape::new(job.subject.clone()))))),
        deadline: Some(give_up),
    };
    let started = Instant::now();
    let mut pieces = engine.submit(task).map_err(|refused| match refused {
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
                crate::telemetry::written(&job.model_id, &finished.timing);
                all.push(finished);
            }
            Piece::Failed(reason) => {
                tracing::error!(reason, "the engine failed");
                return Err(Lesser::Unavailable);
            }
        }
    }
    if all.is_empty() {
        tracing::error!("the engine gave no answer");
        return Err(Lesser::Unavailable);
    }
    shared.pace.measured(started.elapsed());
    // Candidates end in any order; which is chosen must not hang on it.
    all.sort_by_key(|finished| finished.candidate);
    Ok(all)
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
