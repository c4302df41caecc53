use std::pin::Pin;

use chassis::deadline::Deadline;
use futures::{Stream, StreamExt as _};
use proto::common::v1::Rejection;
use proto::generator::v1::generate_copies_response::Outcome;
use proto::generator::v1::stream_copy_response::Part;
use proto::generator::v1::{GenerateCopiesRequest, GenerateCopiesResponse, StreamCopyResponse};
use proto::validate::{Violation, Violations};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::{order, refused, violation};
use crate::writing::{Order, Writer};

pub(super) type Drafts = Pin<Box<dyn Stream<Item = Result<StreamCopyResponse, Status>> + Send>>;
pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<GenerateCopiesResponse, Status>> + Send>>;

/// Pieces of a draft told ahead of a reader at most.
const AHEAD: usize = 32;

/// The draft as it is written, then the answer.
pub(super) fn drafts(writer: Writer, order: Order, deadline: Option<Deadline>) -> Drafts {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let part = |part| Ok(StreamCopyResponse { part: Some(part) });
    let written = async move {
        let outcome = writer.write(&order, deadline, Some(&sender)).await;
        outcome.map_err(|refusal| refused(vec![violation(&refusal)]))
    };
    let pieces =
        tokio_stream::wrappers::ReceiverStream::new(pieces).map(move |delta| part(Part::Delta(delta)));
    let done = futures::stream::once(written)
        .map(move |outcome| outcome.map(|answer| StreamCopyResponse { part: Some(Part::Done(answer)) }));
    // Both are driven by the reader: one who goes drops the waiting, never the writing.
    Box::pin(futures::stream::select_with_strategy(pieces, done, |(): &mut ()| {
        futures::stream::PollNext::Left
    }))
}

/// An answer for each request, as they are finished.
pub(super) fn answers(
    writer: Writer,
    requests: Streaming<GenerateCopiesRequest>,
    most: usize,
    deadline: Option<Deadline>,
) -> Answers {
    let answers = requests.enumerate().map(move |(index, request)| {
        let writer = writer.clone();
        async move {
            let GenerateCopiesRequest { correlation_id, request } = request?;
            let outcome = match one(&writer, &correlation_id, request.unwrap_or_default(), deadline).await {
                Ok(response) => Outcome::Response(response),
                Err(fault) => {
                    let id =
                        if correlation_id.is_empty() { format!("#{index}") } else { correlation_id.clone() };
                    Outcome::Rejection(Rejection { id, field: fault.field, reason: fault.description })
                }
            };
            Ok(GenerateCopiesResponse { correlation_id, outcome: Some(outcome) })
        }
    });
    Box::pin(answers.buffer_unordered(most))
}

async fn one(
    writer: &Writer,
    correlation_id: &str,
    request: proto::generator::v1::GenerateCopyRequest,
    deadline: Option<Deadline>,
) -> Result<proto::generator::v1::GenerateCopyResponse, Violation> {
    let mut violations = Violations::new();
    violations.required_id("correlation_id", correlation_id);
    let first = |violations: Vec<Violation>| violations.into_iter().next();
    if let Some(fault) = first(violations.into_vec()) {
        return Err(fault);
    }
    let order = order(request).map_err(|faults| {
        first(faults)
            .unwrap_or_else(|| Violation::new("request", "INVALID", "cannot be read"))
            .within("request")
    })?;
    writer.write(&order, deadline, None).await.map_err(|refusal| violation(&refusal).within("request"))
}
