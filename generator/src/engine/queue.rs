//! The tasks that wait for the inference thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc::Sender;

use super::load::Ticket;
use super::{Piece, Refused, Task};

/// A task with its way back.
pub(super) struct Job {
    pub(super) task: Task,
    /// Its share of the load. It stands before the sender: whoever sees the channel closed finds the share given back.
    pub(super) _ticket: Ticket,
    pub(super) sender: Sender<Piece>,
    pub(super) submitted: Instant,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// First come, first served; bounded.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
    most: usize,
}

impl Queue {
    pub(super) fn new(most: usize) -> Queue {
        Queue { waiting: Mutex::default(), news: Condvar::new(), most: most.max(1) }
    }

    /// Takes a job in unless as many wait as may. Those whose callers have left do not count.
    pub(super) fn push(&self, job: Job) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Refused::NotReady("the inference thread has ended".to_owned()));
        }
        if waiting.jobs.len() >= self.most {
            waiting.jobs.retain(|job| !job.sender.is_closed());
        }
        if waiting.jobs.len() >= self.most {
            return Err(Refused::Overloaded);
        }
        waiting.jobs.push_back(job);
        self.news.notify_one();
        Ok(())
    }

    /// The next job, if `slots` are enough for it. Those whose callers have left are dropped on the way.
    pub(super) fn pop(&self, slots: usize) -> Option<Job> {
        let mut waiting = self.lock();
        while waiting.jobs.front().is_some_and(|job| job.sender.is_closed()) {
            waiting.jobs.pop_front();
        }
        let fits = waiting.jobs.front().is_some_and(|job| job.task.candidates <= slots);
        if fits { waiting.jobs.pop_front() } else { None }
    }

    /// Waits until there is a job; false once the queue is closed.
    pub(super) fn wait(&self) -> bool {
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closed;
        let waiting = self.news.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        !waiting.closed
    }

    /// Whether it is closed.
    pub(super) fn closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes nothing more in, and drops what waits.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.jobs.clear();
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
