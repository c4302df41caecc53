//! Where analyses run: off the workers, a bounded number at once, a bounded number waiting.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::AnalysisConfig;
use crate::error::{Error, Result};
use crate::stop::Stop;

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
    /// whose caller has gone before its turn is not begun; dropping the future later sets the work's [`Stop`].
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let running =
            self.running.clone().acquire_owned().await.map_err(|e| Error::Internal(e.to_string()))?;
        let stop = Stop::default();
        let _gone = stop.on_drop();
        tokio::task::spawn_blocking(move || {
            let _held = (admitted, running);
            stop.scope(work)
        })
        .await
        .map_err(|error| Error::Internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_is_stopped_when_its_caller_has_gone() {
        let pool = Pool::new(&AnalysisConfig { running: 1, queue: 1 });
        let (started, begun) = tokio::sync::oneshot::channel();
        let (ended, end) = mpsc::channel();
        let caller = tokio::spawn(async move {
            pool.run(move || {
                let stop = Stop::current();
                let _ = started.send(());
                while stop.check().is_ok() {
                    std::hint::spin_loop();
                }
                let _ = ended.send(());
            })
            .await
        });
        begun.await.expect("begun");
        caller.abort();
        let waited =
            tokio::task::spawn_blocking(move || end.recv_timeout(std::time::Duration::from_secs(30)));
        waited.await.expect("joined").expect("the loop ends");
    }
}
