//! The inference thread.

use std::sync::{Mutex, mpsc};
use std::time::Instant;

use super::generate::Generator;
use super::{EngineConfig, Job, Piece, State, set};
use crate::models::Model;

/// Says so when the thread dies of a panic.
struct Watch<'a>(&'a Mutex<State>);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            set(self.0, State::Failed("the inference thread has died".to_owned()));
        }
    }
}

/// Loads the model, then serves jobs one at a time until nobody can send any more.
pub(super) fn work(config: &EngineConfig, state: &Mutex<State>, jobs: &mpsc::Receiver<Job>) {
    let _watch = Watch(state);
    let started = Instant::now();
    let model = match Model::load(&config.model, config.context, config.threads) {
        Ok(model) => model,
        Err(error) => {
            tracing::error!(model = %config.model.display(), error = format!("{error:#}"), "no model");
            return set(state, State::Failed(format!("{error:#}")));
        }
    };
    tracing::info!(model = model.card.model_id, seconds = started.elapsed().as_secs_f64(), "model loaded");
    let card = model.card.clone();
    let mut generator = Generator::new(model, config.batch);
    set(state, State::Ready(card));
    while let Ok(job) = jobs.recv() {
        serve(&mut generator, &job);
    }
}

fn serve(generator: &mut Generator, job: &Job) {
    if job.sender.is_closed() {
        return;
    }
    let waited = job.submitted.elapsed();
    let sent = match generator.run(&job.task, &mut |delta| match delta {
        Some(text) => job.sender.try_send(Piece::Delta(text)).is_ok(),
        None => !job.sender.is_closed(),
    }) {
        Ok(Some(mut finished)) => {
            finished.timing.queue = waited;
            job.sender.try_send(Piece::Done(finished))
        }
        Ok(None) => return,
        Err(error) => job.sender.try_send(Piece::Failed(format!("{error:#}"))),
    };
    if sent.is_err() {
        tracing::debug!("the caller left before the end");
    }
}
