use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::deadline::Deadline;
use chrono::Utc;
use proto::generator::v1::Brief;
use tokio::sync::{mpsc, watch};

use super::answer::Lesser;
use super::{Shared, compose, locked};
use crate::engine::{Finished, Piece, Refused, Task, Timing};
use crate::store::Written;

/// What is to be written.
pub(super) struct Job {
    pub(super) key: String,
    pub(super) brief: Arc<Brief>,
    pub(super) model_id: String,
    pub(super) temperature: f64,
    pub(super) seed: u64,
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
    pub(super) async fn land(
        mut self,
        until: Deadline,
        draft: Option<&mpsc::Sender<String>>,
    ) -> Option<Outcome> {
        let landing = async {
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
        };
        tokio::time::timeout_at(until.instant(), landing).await.ok().flatten()
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
        if let Outcome::Lesser(Lesser::CheckFailed, _) = outcome {
            shared.remember_failure(job.key.clone());
        }
        // What is kept is there before the flight is gone, so no caller starts it again.
        locked(&shared.flights).remove(&job.key);
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
        add(&mut spent, &finished.timing);
        match compose::compose(&job.brief, &finished.text, finished.reason) {
            Ok(composed) => {
                let written = Written {
                    key: job.key.clone(),
                    model_id: job.model_id.clone(),
                    headline: composed.headline,
                    body: composed.body,
                    cut: composed.cut,
                };
                if let Err(error) = shared.store.keep(&written, Utc::now()).await {
                    tracing::warn!(%error, "a text cannot be kept");
                }
                return Outcome::Written(Arc::new(written), spent);
            }
            Err(faults) => tracing::debug!(attempt, ?faults, "a text did not pass"),
        }
    }
    Outcome::Lesser(Lesser::CheckFailed, spent)
}

async fn ask(
    shared: &Shared,
    job: &Job,
    attempt: u32,
    give_up: Instant,
    draft: Option<&watch::Sender<Progress>>,
) -> Result<Finished, Lesser> {
    let engine = shared.engine.as_ref().ok_or(Lesser::Unavailable)?;
    let again = attempt > 0;
    let task = Task {
        prompt: crate::brief::prompt::of(&job.brief),
        max_tokens: shared.config.max_tokens,
        // A greedy text would come out the same again.
        temperature: if again { job.temperature.max(0.5) } else { job.temperature },
        top_p: shared.config.top_p,
        seed: job.seed ^ u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        stop: vec!["\n".into()],
        deadline: Some(give_up),
        ..Task::default()
    };
    let started = Instant::now();
    let mut pieces = engine.submit(task).map_err(|refused| match refused {
        Refused::Overloaded => Lesser::Overload,
        Refused::NotReady(_) | Refused::Candidates { .. } => Lesser::Unavailable,
    })?;
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Delta { text, .. } => {
                if let Some(draft) = draft {
                    draft.send_modify(|progress| progress.draft.push_str(&text));
                }
            }
            Piece::Done(finished) => {
                shared.pace.measured(started.elapsed());
                return Ok(finished);
            }
            Piece::Failed(reason) => {
                tracing::error!(reason, "the engine failed");
                return Err(Lesser::Unavailable);
            }
        }
    }
    tracing::error!("the engine gave no answer");
    Err(Lesser::Unavailable)
}

fn add(sum: &mut Timing, more: &Timing) {
    sum.queue += more.queue;
    sum.prefill += more.prefill;
    sum.decode += more.decode;
    sum.prompt_tokens += more.prompt_tokens;
    sum.cached_tokens += more.cached_tokens;
    sum.output_tokens += more.output_tokens;
}
