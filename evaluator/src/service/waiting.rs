//! Waiting until the event log is stored up to a position.

use std::time::Duration;

use super::Shared;
use crate::error::{Error, Result};

/// How long is waited where the caller set no deadline.
const WITHOUT_DEADLINE: Duration = Duration::from_mins(1);
/// Time between two looks at the stored position, which replicas share.
const POLL: Duration = Duration::from_millis(20);
/// Share of the caller's time that is waited: the rest is for saying how far the log is.
const PATIENCE: f64 = 0.9;

/// Waits until the log is stored up to `position`; 0 does not wait.
///
/// # Errors
/// [`Error::TooLate`] where the deadline is spent first.
pub(super) async fn wait_for(base: &Shared, position: u64) -> Result<()> {
    if position == 0 {
        return Ok(());
    }
    let patience = chassis::deadline::remaining().map_or(WITHOUT_DEADLINE, |left| left.mul_f64(PATIENCE));
    let end = tokio::time::Instant::now() + patience;
    loop {
        let stored = base.store.position().await?;
        if stored >= position {
            return Ok(());
        }
        if tokio::time::Instant::now() + POLL > end {
            let text = format!(
                "after_position: the log is stored up to {stored}, {} short of {position}; ask again with more time",
                position - stored
            );
            return Err(Error::TooLate(text));
        }
        tokio::time::sleep(POLL).await;
    }
}
