//! The inference thread.

use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::{EngineConfig, Shared, State};
use crate::models::Model;

/// Says so when the thread dies of a panic.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set(State::Failed("the inference thread has died".to_owned()));
            self.0.queue.close();
        }
    }
}

/// Loads the model, then works on what is queued until nobody can queue any more.
pub(super) fn work(config: &EngineConfig, shared: &Arc<Shared>) {
    let _watch = Watch(shared);
    let started = Instant::now();
    let model = match Model::load(config) {
        Ok(model) => model,
        Err(error) => {
            tracing::error!(model = %config.model.display(), error = format!("{error:#}"), "no model");
            return shared.set(State::Failed(format!("{error:#}")));
        }
    };
    tracing::info!(model = model.card.model_id, seconds = started.elapsed().as_secs_f64(), "model loaded");
    let card = model.card.clone();
    // Nobody but this thread sets it.
    let _ = shared.tokenizer.set(model.tokenizer.clone());
    let mut batch = Batch::new(model, config, shared.load.clone());
    shared.set(State::Ready(card));
    while !shared.queue.closed() {
        if batch.idle() && !shared.queue.wait() {
            break;
        }
        batch.join(&shared.queue);
        batch.step();
    }
}
