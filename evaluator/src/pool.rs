//! Where analyses run: off the workers, a bounded number at once, a bounded number waiting.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::AnalysisConfig;
use crate::error::{Error, Result};

/// Threads for analyses.
#[derive(Clone)]
pub struct Pool {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Pool {
    /// As large as `config` says.
    pub fn new(config: &AnalysisConfig) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let running = if config.running == 0 { cores } else { config.running };
        Self {
            admitted: Arc::new(Semaphore::new(running + config.queue)),
            running: Arc::new(Semaphore::new(running)),
        }
    }

    /// Runs `work` on a thread of its own when its turn comes; refuses at once when too much waits already. Work
    /// whose caller has gone before its turn is not begun.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let running =
            self.running.clone().acquire_owned().await.map_err(|e| Error::Internal(e.to_string()))?;
        tokio::task::spawn_blocking(move || {
            let _held = (admitted, running);
            work()
        })
        .await
        .map_err(|error| Error::Internal(error.to_string()))
    }
}
