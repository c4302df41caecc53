//! Event intake: checked, stripped of what names a person, durable, acknowledged; in this order.

mod tally;

use chassis::error;
use chrono::Utc;
use pbjson_types::Timestamp;
use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use proto::gateway::v1::event_service_server::EventService;
use proto::gateway::v1::{
    ConsumerStatus, GetDeliveryStatusRequest, GetDeliveryStatusResponse, LinkVisitorRequest,
    LinkVisitorResponse, StreamEventsRequest, StreamEventsResponse, TrackEventsRequest, TrackEventsResponse,
};
use proto::validate::{Violation, Violations};
use tonic::{Code, Request, Response, Status, Streaming};

use super::{not_stored, refuse};
use crate::intake::Intake;
use crate::outbox::{Destination, Outbox};
use crate::store::{Outcome, Refusal, Store};
use tally::Tally;

/// Events of one call or, of a stream, one commit.
const MAX_EVENTS: usize = 1000;
/// Bytes of a stream that wait for one commit.
const MAX_BYTES: usize = 4 << 20;

/// Takes events in.
pub struct Events {
    outbox: Outbox,
    store: Store,
    intake: Intake,
}

impl Events {
    /// Event intake into `outbox`, whose rows are in `store`.
    pub fn new(outbox: Outbox, store: Store, intake: Intake) -> Self {
        Self { outbox, store, intake }
    }

    /// Stores the acceptable ones of `events`, which are rows `first` and following of the call.
    async fn store(&self, events: Vec<Option<Event>>, first: usize, tally: &mut Tally) -> Result<(), Status> {
        let now = Utc::now().timestamp();
        let (mut rows, mut named) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        for (number, event) in (first..).zip(events) {
            let Some(event) = event else {
                tally.reject("", number, Violation::new("event", "EMPTY", "must be given"));
                continue;
            };
            let id = event.event_id.clone();
            match self.intake.accept(event, now) {
                Ok(accepted) => {
                    rows.push(accepted.row);
                    named.push((id, number, accepted.set_aside));
                }
                Err(found) => tally.reject(&id, number, found),
            }
        }
        let appended = self.outbox.store(rows).await.map_err(|failure| not_stored(&failure))?;
        for ((id, number, set_aside), outcome) in named.into_iter().zip(appended.outcomes) {
            match outcome {
                Outcome::New => tally.accepted += 1,
                Outcome::Known => tally.duplicates += 1,
                Outcome::Refused(refusal) => tally.reject(&id, number, linked_otherwise(refusal)),
            }
            if let Some(refused) = set_aside
                && outcome == Outcome::New
            {
                tally.warn(&id, number, refused);
            }
        }
        tally.position = tally.position.max(appended.position);
        Ok(())
    }
}

#[tonic::async_trait]
impl EventService for Events {
    async fn track_events(
        &self,
        request: Request<TrackEventsRequest>,
    ) -> Result<Response<TrackEventsResponse>, Status> {
        let events = request.into_inner().events;
        if events.is_empty() || events.len() > MAX_EVENTS {
            let found = format!(
                "must be 1 to {MAX_EVENTS} events, are {}; StreamEvents takes any number",
                events.len()
            );
            return Err(error::invalid_field("events", "OUT_OF_RANGE", found));
        }
        let mut tally = Tally::default();
        self.store(events.into_iter().map(Some).collect(), 0, &mut tally).await?;
        Ok(Response::new(tally.into()))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<StreamEventsResponse>, Status> {
        let mut stream = request.into_inner();
        let (mut tally, mut waiting, mut bytes, mut first) = (Tally::default(), Vec::new(), 0, 0);
        while let Some(row) = stream.message().await? {
            bytes += row.encoded_len();
            waiting.push(row.event);
            if waiting.len() == MAX_EVENTS || bytes >= MAX_BYTES {
                let events = std::mem::take(&mut waiting);
                let count = events.len();
                self.store(events, first, &mut tally).await?;
                (first, bytes) = (first + count, 0);
            }
        }
        self.store(waiting, first, &mut tally).await?;
        Ok(Response::new(tally.into()))
    }

    async fn link_visitor(
        &self,
        request: Request<LinkVisitorRequest>,
    ) -> Result<Response<LinkVisitorResponse>, Status> {
        let LinkVisitorRequest { visitor_id, user_id, occurred_at, request_id } = request.into_inner();
        let mut violations = Violations::new();
        violations.required_id("visitor_id", &visitor_id);
        violations.required_id("user_id", &user_id);
        violations.optional_id("request_id", &request_id);
        refuse(violations.into_vec())?;
        let now = Utc::now().timestamp();
        let event = Event {
            // Replaced by the id of the link.
            event_id: "link".into(),
            kind: EventKind::Link.into(),
            visitor_id,
            user_id,
            occurred_at: occurred_at.or(Some(Timestamp { seconds: now, nanos: 0 })),
            ..Event::default()
        };
        let accepted = self.intake.accept(event, now).map_err(|found| refused(vec![found]))?;
        let appended = self.outbox.store(vec![accepted.row]).await.map_err(|failure| not_stored(&failure))?;
        if let Some(Outcome::Refused(refusal)) = appended.outcomes.first() {
            let found = linked_otherwise(*refusal);
            return Err(error::status(Code::FailedPrecondition, found.reason, found.description));
        }
        Ok(Response::new(LinkVisitorResponse {
            already_linked: appended.outcomes == [Outcome::Known],
            log_position: appended.position.cast_unsigned(),
        }))
    }

    async fn get_delivery_status(
        &self,
        _: Request<GetDeliveryStatusRequest>,
    ) -> Result<Response<GetDeliveryStatusResponse>, Status> {
        let failed = |failure| error::internal(&failure);
        // Cursors first: a consumer is never said to be further than the log.
        let mut consumers = Vec::new();
        for destination in Destination::ALL {
            let position = self.store.cursor(destination.name()).await.map_err(failed)?;
            consumers.push(ConsumerStatus {
                consumer: destination.name().into(),
                position: position.cast_unsigned(),
            });
        }
        let head = self.store.head().await.map_err(failed)?;
        Ok(Response::new(GetDeliveryStatusResponse { head: head.cast_unsigned(), consumers }))
    }
}

fn refused(violations: Vec<Violation>) -> Status {
    refuse(violations).err().unwrap_or_else(|| Status::internal("nothing is wrong"))
}

/// Why a link cannot be made beside the links there are.
fn linked_otherwise(refusal: Refusal) -> Violation {
    match refusal {
        Refusal::LinkedElsewhere => Violation::new(
            "visitor_id",
            "VISITOR_LINKED_ELSEWHERE",
            "this visitor is linked to another user; a visitor is one person for ever. Give the browser a new visitor_id",
        ),
        Refusal::UserIsVisitor => Violation::new(
            "user_id",
            "USER_IS_A_VISITOR",
            "this user_id is linked as a visitor to another user; link the visitor to that user",
        ),
        Refusal::VisitorIsUser => Violation::new(
            "visitor_id",
            "VISITOR_IS_A_USER",
            "visitors are linked to this id as their user; it cannot be a visitor of another user",
        ),
    }
}
