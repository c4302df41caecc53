//! Event intake: checked, stripped of what names a person, durable, acknowledged; in this order.

use std::sync::Arc;

use chassis::auth::Pseudonymiser;
use chassis::error;
use chrono::Utc;
use prost::Message as _;
use proto::common::v1::{Event, Rejection};
use proto::gateway::v1::event_service_server::EventService;
use proto::gateway::v1::{
    GetDeliveryStatusRequest, GetDeliveryStatusResponse, LinkVisitorRequest, LinkVisitorResponse,
    StreamEventsRequest, StreamEventsResponse, TrackEventsRequest, TrackEventsResponse,
};
use proto::validate::{self, Violation};
use tonic::{Request, Response, Status, Streaming};

use super::{not_stored, rejection};
use crate::outbox::Outbox;
use crate::personalise::pseudonymise;
use crate::store::{Kind, Row};
use crate::token::Tokens;

/// Events of one call or, of a stream, one commit.
const MOST: usize = 1000;

/// Takes events in.
pub struct Events {
    outbox: Outbox,
    tokens: Arc<Tokens>,
    names: Arc<Pseudonymiser>,
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    rejected: Vec<Rejection>,
}

impl Events {
    /// Event intake into `outbox`.
    pub fn new(outbox: Outbox, tokens: Arc<Tokens>, names: Arc<Pseudonymiser>) -> Self {
        Self { outbox, tokens, names }
    }

    /// The event as it is stored: pseudonyms for ids, the bare decision id for the signed token.
    fn row(&self, mut event: Event, now: i64) -> Result<Row, (String, Violation)> {
        if let Some(found) = validate::event(&event, now).into_iter().next() {
            return Err((event.event_id, found));
        }
        if !event.decision_token.is_empty() {
            match self.tokens.verify(&event.decision_token, now) {
                Ok(id) => {
                    event.decision_id = id;
                    event.decision_token.clear();
                }
                Err(refused) => {
                    let found = Violation::new("decision_token", refused.reason(), refused.to_string());
                    return Err((event.event_id, found));
                }
            }
        }
        pseudonymise(&self.names, &mut event);
        let person = if event.user_id.is_empty() { event.visitor_id.clone() } else { event.user_id.clone() };
        Ok(Row {
            id: format!("event:{}", event.event_id),
            kind: Kind::Event,
            person,
            payload: event.encode_to_vec(),
        })
    }

    async fn store(&self, events: Vec<Option<Event>>, first: usize, tally: &mut Tally) -> Result<(), Status> {
        let now = Utc::now().timestamp();
        let mut rows = Vec::with_capacity(events.len());
        for (number, event) in (first..).zip(events) {
            let checked = match event {
                Some(event) => self.row(event, now),
                None => Err((String::new(), Violation::new("event", "EMPTY", "must be given"))),
            };
            match checked {
                Ok(row) => rows.push(row),
                Err((id, found)) => tally.rejected.push(rejection(&id, number, found)),
            }
        }
        let fresh = self.outbox.store(rows).await.map_err(|failure| not_stored(&failure))?;
        let new = fresh.iter().filter(|fresh| **fresh).count() as u64;
        tally.accepted += new;
        tally.duplicates += fresh.len() as u64 - new;
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
        if events.is_empty() || events.len() > MOST {
            let found =
                format!("must be 1 to {MOST} events, are {}; StreamEvents takes any number", events.len());
            return Err(error::invalid_field("events", "OUT_OF_RANGE", found));
        }
        let mut tally = Tally::default();
        self.store(events.into_iter().map(Some).collect(), 0, &mut tally).await?;
        let Tally { accepted, duplicates, rejected } = tally;
        Ok(Response::new(TrackEventsResponse {
            accepted,
            duplicates,
            rejected,
            ..TrackEventsResponse::default()
        }))
    }

    async fn stream_events(
        &self,
        request: Request<Streaming<StreamEventsRequest>>,
    ) -> Result<Response<StreamEventsResponse>, Status> {
        let mut stream = request.into_inner();
        let (mut tally, mut waiting, mut first) = (Tally::default(), Vec::with_capacity(MOST), 0);
        while let Some(row) = stream.message().await? {
            waiting.push(row.event);
            if waiting.len() == MOST {
                self.store(std::mem::take(&mut waiting), first, &mut tally).await?;
                first += MOST;
            }
        }
        self.store(waiting, first, &mut tally).await?;
        let Tally { accepted, duplicates, rejected } = tally;
        Ok(Response::new(StreamEventsResponse {
            accepted,
            duplicates,
            rejected,
            ..StreamEventsResponse::default()
        }))
    }

    async fn link_visitor(
        &self,
        _: Request<LinkVisitorRequest>,
    ) -> Result<Response<LinkVisitorResponse>, Status> {
        Err(error::unimplemented("LinkVisitor"))
    }

    async fn get_delivery_status(
        &self,
        _: Request<GetDeliveryStatusRequest>,
    ) -> Result<Response<GetDeliveryStatusResponse>, Status> {
        Err(error::unimplemented("GetDeliveryStatus"))
    }
}
