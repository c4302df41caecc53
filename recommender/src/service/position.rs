//! Waits until the events up to a position of the sender's log are stored.

use std::time::Duration;

use chassis::deadline;
use proto::recommender::v1::TrainResponse;
use tonic::{Code, Status};

use super::models::Steps;
use super::{Recommender, failed};

/// Time between two looks at the stored position.
const LOOK: Duration = Duration::from_millis(50);
/// Time before the deadline at which waiting ends, so that the caller still hears why.
const MARGIN: Duration = Duration::from_millis(100);

impl Recommender {
    /// Waits until the log is stored up to `wanted`, telling of it through `steps`. Other replicas may be the ones that
    /// store it.
    ///
    /// # Errors
    /// DEADLINE_EXCEEDED with how far the log is where that takes longer than the call may, CANCELLED where the caller
    /// has gone.
    pub(super) async fn wait_for_position(&self, wanted: u64, steps: &Steps) -> Result<(), Status> {
        if wanted == 0 {
            return Ok(());
        }
        let mut told = None;
        loop {
            let stored = self.store.log_position().await.map_err(failed)?;
            if stored >= wanted {
                return Ok(());
            }
            if deadline::remaining().is_some_and(|left| left <= MARGIN) {
                let message = format!(
                    "events are stored up to position {stored} of the log, {wanted} is waited for: \
                     call again with a longer deadline"
                );
                return Err(chassis::error::status(Code::DeadlineExceeded, "LOG_BEHIND", message));
            }
            if told != Some(stored) {
                told = Some(stored);
                let message = format!("waits for position {wanted} of the event log, {stored} is stored");
                let step = TrainResponse { stage: "read".into(), fraction: 0.0, message, model: None };
                let _ = steps.try_send(Ok(step));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = steps.closed() => {
                    return Err(chassis::error::status(Code::Cancelled, "CANCELLED", "the caller has gone"));
                }
            }
        }
    }
}
