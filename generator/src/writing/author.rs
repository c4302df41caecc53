use std::sync::Arc;

use super::Refusal;
use super::answer::Lesser;
use super::pace::Pace;
use crate::engine::{Backend, Piece, Refused, State, Task};

/// A model that writes, and how long its texts take.
pub(super) struct Author {
    backend: Arc<dyn Backend>,
    pub(super) pace: Pace,
}

impl Author {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, pace: Pace::default() }
    }

    pub(super) fn id(&self) -> &str {
        self.backend.id()
    }

    pub(super) fn state(&self) -> State {
        self.backend.state()
    }

    pub(super) fn submit(&self, task: Task) -> Result<tokio::sync::mpsc::Receiver<Piece>, Refused> {
        self.backend.submit(task)
    }
}

/// The models that may write an order, and how far down the line it has to be asked.
pub(super) struct Line<'a> {
    authors: &'a [Arc<Author>],
    /// The first that serves now.
    able: usize,
    /// Why the preferred one does not.
    cause: Option<Lesser>,
}

/// The line of `authors` for an order that asks for `model_id`, all of them where that is empty.
pub(super) fn line<'a>(authors: &'a [Arc<Author>], model_id: &str) -> Result<Line<'a>, Refusal> {
    let authors = if model_id.is_empty() {
        authors
    } else {
        let Some(place) = authors.iter().position(|author| author.id() == model_id) else {
            let names: Vec<&str> = authors.iter().map(|author| author.id()).collect();
            let serving = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Refusal::UnknownModel { asked: model_id.to_owned(), serving });
        };
        &authors[place..=place]
    };
    let states: Vec<State> = authors.iter().map(|author| author.state()).collect();
    let able = states.iter().position(|state| matches!(state, State::Ready(_))).unwrap_or(authors.len());
    let cause = match states.first() {
        Some(State::Ready(_)) => None,
        Some(State::Loading) => Some(Lesser::Cold),
        Some(State::Failed(_) | State::Away(_)) | None => Some(Lesser::Unavailable),
    };
    Ok(Line { authors, able, cause })
}

impl<'a> Line<'a> {
    /// Whose texts serve: down to the first that can write. What stood in for a better one is not served when that one
    /// is there again.
    pub(super) fn asked(&self) -> impl Iterator<Item = &'a Arc<Author>> {
        self.authors.iter().take(self.able + 1)
    }

    /// Who can write now, and those behind.
    pub(super) fn able(&self) -> &'a [Arc<Author>] {
        &self.authors[self.able..]
    }

    /// The name of the one that should write; empty where there is none.
    pub(super) fn preferred(&self) -> &'a str {
        self.authors.first().map_or("", |author| author.id())
    }

    /// Why that one does not, if so.
    pub(super) fn cause(&self) -> Option<Lesser> {
        self.cause
    }
}
