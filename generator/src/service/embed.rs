use std::time::Duration;

use chassis::error::{internal, overloaded, status};
use proto::generator::v1::{EmbedRequest, EmbedResponse, Vector};
use proto::validate::{Violation, Violations};
use tonic::{Code, Status};

use super::refused;
use crate::embed::{EmbedError, Embedder, MOST_TEXTS};

/// When a caller who found the queue full, or the model not loaded, may come back.
const LATER: Duration = Duration::from_millis(500);

/// The vectors asked for.
pub(super) async fn embed(
    embedder: Option<&Embedder>,
    request: &EmbedRequest,
) -> Result<EmbedResponse, Status> {
    let faults = faults(request);
    if !faults.is_empty() {
        return Err(refused(faults));
    }
    let embedder = embedder.ok_or_else(|| {
        let message =
            "no embedding model is configured; set embedding.file to one that `generator fetch` brought";
        status(Code::FailedPrecondition, "EMBEDDING_NOT_CONFIGURED", message)
    })?;
    let embedded = embedder.embed(&request.texts, request.truncate).await.map_err(failed)?;
    Ok(EmbedResponse {
        vectors: embedded.vectors.iter().map(|vector| Vector { values: vector.to_vec() }).collect(),
        dimensions: embedded.card.dimensions as u32,
        model_version: embedded.card.model_id,
        tokens: embedded.tokens,
        cached: embedded.cached,
    })
}

fn faults(request: &EmbedRequest) -> Vec<Violation> {
    let mut violations = Violations::new();
    let many = request.texts.len();
    if many == 0 {
        violations.add("texts", "EMPTY", "must not be empty");
    } else if many > MOST_TEXTS {
        violations.add("texts", "TOO_MANY", format!("must be at most {MOST_TEXTS} texts, are {many}"));
        return violations.into_vec();
    }
    for (index, text) in request.texts.iter().enumerate() {
        violations.text(&format!("texts[{index}]"), text);
    }
    violations.into_vec()
}

fn failed(error: EmbedError) -> Status {
    match error {
        EmbedError::Unreadable(faults) => refused(
            faults
                .into_iter()
                .map(|fault| {
                    Violation::new(
                        format!("texts[{}]", fault.index),
                        fault.why.reason(),
                        fault.why.to_string(),
                    )
                })
                .collect(),
        ),
        EmbedError::Overloaded => overloaded(LATER),
        EmbedError::NotLoaded => {
            let message = format!("{error}; the service's log has the cause");
            status(Code::FailedPrecondition, "EMBEDDING_NOT_LOADED", message)
        }
        EmbedError::Failed => internal(&error),
    }
}
