//! What became of each stage: its time, its version, and what stood in for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chassis::deadline;
use proto::common::v1::{Degradation, DegradationCause, DegradationStage, Substitute};
use tonic::{Code, Status};

/// The course of one call.
#[derive(Debug, Default)]
pub struct Report {
    pub(crate) degradations: Vec<Degradation>,
    pub(crate) timings: BTreeMap<String, Duration>,
    pub(crate) versions: BTreeMap<String, String>,
}

/// A stage's outcome and how long it took.
pub(crate) struct Outcome<T> {
    result: Result<T, DegradationCause>,
    took: Duration,
}

impl<T> Outcome<T> {
    /// The outcome of a stage that was not asked because of `cause`.
    pub(crate) fn withheld(cause: DegradationCause) -> Self {
        Self { result: Err(cause), took: Duration::ZERO }
    }
}

/// Runs `call` within `share` and sorts its failure.
pub(crate) async fn run<T>(
    stage: DegradationStage,
    share: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Outcome<T> {
    let started = Instant::now();
    let result = match deadline::within(share, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => {
            let cause = cause(status.code());
            let (stage, code, message) = (name(stage), status.code(), status.message());
            if cause == DegradationCause::Cold {
                // Nothing is wrong: there is nothing to answer from yet.
                tracing::debug!(stage, message, "a stage has no model yet");
            } else {
                tracing::warn!(stage, ?code, message, "a stage failed and is replaced");
            }
            Err(cause)
        }
        Err(deadline::Exceeded) => Err(DegradationCause::Deadline),
    };
    Outcome { result, took: started.elapsed() }
}

fn cause(code: Code) -> DegradationCause {
    match code {
        Code::DeadlineExceeded => DegradationCause::Deadline,
        Code::ResourceExhausted => DegradationCause::Overload,
        Code::FailedPrecondition => DegradationCause::Cold,
        _ => DegradationCause::Unavailable,
    }
}

/// Name of a stage, as `timings` and `versions` use it: "recommend", "decide", "copy", "effect", "record".
pub(crate) fn name(stage: DegradationStage) -> &'static str {
    match stage {
        DegradationStage::Unspecified => "unspecified",
        DegradationStage::Recommend => "recommend",
        DegradationStage::Decide => "decide",
        DegradationStage::Copy => "copy",
        DegradationStage::Effect => "effect",
        DegradationStage::Record => "record",
    }
}

impl Report {
    /// Records a stage's time and, where it failed, the substitute that answers for it.
    pub(crate) fn close<T>(
        &mut self,
        stage: DegradationStage,
        outcome: Outcome<T>,
        substitute: Substitute,
    ) -> Option<T> {
        self.took(name(stage), outcome.took);
        match outcome.result {
            Ok(value) => Some(value),
            Err(cause) => {
                self.degraded(stage, cause, substitute);
                None
            }
        }
    }

    pub(crate) fn took(&mut self, stage: &str, time: Duration) {
        *self.timings.entry(stage.to_owned()).or_default() += time;
    }

    pub(crate) fn version(&mut self, stage: &str, version: &str) {
        if !version.is_empty() {
            self.versions.insert(stage.to_owned(), version.to_owned());
        }
    }

    pub(crate) fn degraded(
        &mut self,
        stage: DegradationStage,
        cause: DegradationCause,
        substitute: Substitute,
    ) {
        let new = Degradation { stage: stage.into(), cause: cause.into(), substitute: substitute.into() };
        if !self.degradations.contains(&new) {
            self.degradations.push(new);
        }
    }

    /// Records that nothing known of the person takes part in the answer.
    pub(crate) fn no_personalisation(&mut self, cause: DegradationCause) {
        self.degraded(DegradationStage::Recommend, cause, Substitute::Popularity);
    }
}
