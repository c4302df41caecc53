//! ExportUser: streams what is held about a person, read from the database page by page.

use std::pin::Pin;

use futures::stream::try_unfold;
use prost::Message as _;
use proto::common::v1::Event;
use proto::evaluator::v1::{Decision, ExportUserResponse};
use tokio_stream::Stream;
use tonic::Status;

use super::Base;
use crate::error::{Error, Result};
use crate::store::{DecisionRow, EventRow, PageStart};

/// Messages of one ExportUser call.
pub(super) type ExportStream = Pin<Box<dyn Stream<Item = Result<ExportUserResponse, Status>> + Send>>;

/// Maximum rows in one message.
const ROWS_PER_MESSAGE: u64 = 500;

/// Attribute that held the offer's id in events stored before `offer_id` was a field.
const OLD_OFFER_ATTRIBUTE: &str = "offer_id";

/// Position in the export: decisions are sent first, then events.
enum Cursor {
    Decisions(PageStart),
    Events(PageStart),
    End,
}

/// Streams all decisions and events of `person`, a pseudonym, the oldest first.
pub(super) fn stream(base: Base, person: String) -> ExportStream {
    Box::pin(try_unfold((base, person, Cursor::Decisions(None)), |(base, person, cursor)| async move {
        let (message, next) = page(&base, &person, cursor).await?;
        Ok(message.map(|message| (message, (base, person, next))))
    }))
}

/// Reads one message's rows at `cursor`; `None` at the end.
async fn page(base: &Base, person: &str, mut cursor: Cursor) -> Result<(Option<ExportUserResponse>, Cursor)> {
    loop {
        match cursor {
            Cursor::Decisions(start) => {
                let rows = base.store.decisions_about(person, start, ROWS_PER_MESSAGE).await?;
                let Some(last) = rows.last() else {
                    cursor = Cursor::Events(None);
                    continue;
                };
                let next = Cursor::Decisions(Some((last.decided_at, last.decision_id.clone())));
                let decisions = rows.into_iter().map(decision).collect::<Result<_>>()?;
                return Ok((Some(ExportUserResponse { decisions, events: Vec::new() }), next));
            }
            Cursor::Events(start) => {
                let rows = base.store.events_about(person, start, ROWS_PER_MESSAGE).await?;
                let Some(last) = rows.last() else { return Ok((None, Cursor::End)) };
                let next = Cursor::Events(Some((last.occurred_at, last.event_id.clone())));
                let events = rows.into_iter().map(event).collect::<Result<_>>()?;
                return Ok((Some(ExportUserResponse { decisions: Vec::new(), events }), next));
            }
            Cursor::End => return Ok((None, Cursor::End)),
        }
    }
}

/// Decodes a stored decision. The row's columns hold the person it belongs to now.
fn decision(row: DecisionRow) -> Result<Decision> {
    let mut decision =
        Decision::decode(row.payload.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
    (decision.user_id, decision.visitor_id) = (row.person, row.visitor);
    Ok(decision)
}

/// Decodes a stored event. The row's columns hold the person it belongs to now, and the decision and offer of events
/// stored before these were fields of their own.
fn event(row: EventRow) -> Result<Event> {
    let mut event =
        Event::decode(row.payload.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
    (event.user_id, event.visitor_id) = (row.person, row.visitor);
    event.decision_token.clear();
    event.decision_id = row.decision_id;
    event.attributes.remove(OLD_OFFER_ATTRIBUTE);
    event.offer_id = row.offer_id;
    Ok(event)
}
