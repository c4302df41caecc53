use std::collections::BTreeSet;

use proto::common::v1::EventKind;
use proto::evaluator::v1::decision_service_server::DecisionService;
use proto::evaluator::v1::{
    EraseUserRequest, EraseUserResponse, ExportUserRequest, IngestEventsRequest, IngestEventsResponse,
    RecordDecisionsRequest, RecordDecisionsResponse,
};
use proto::validate::{Violation, Violations};
use tonic::{Request, Response, Status, Streaming};

use super::intake::{self, BATCH, Tally};
use super::status::refuse;
use super::{Base, bookings, export};
use crate::error::Error;
use crate::store::{EventRow, Ingested, Recorded};

/// `DecisionService`
pub(crate) struct Decisions(pub(crate) Base);

impl Decisions {
    async fn person(&self, user_id: &str, request_id: &str) -> Result<String, Status> {
        let mut found = Violations::new();
        found.required_id("user_id", user_id);
        found.optional_id("request_id", request_id);
        refuse(found)?;
        Ok(self.0.unit(user_id).await?)
    }
}

impl Decisions {
    /// Stores decisions; their offers are owed from then on. What answered one before it was told is booked now.
    async fn record(&self, mut batch: Vec<Recorded>, position: u64) -> Result<u64, Error> {
        bookings::owe(&self.0, &mut batch).await?;
        let offered = batch.iter().filter(|decision| !decision.row.offer_id.is_empty());
        let ids: Vec<String> = offered.map(|decision| decision.row.decision_id.clone()).collect();
        let mut units = BTreeSet::new();
        for made in batch.iter().filter(|decision| decision.made.is_some()) {
            let row = &made.row;
            let id = if row.person.is_empty() { &row.visitor } else { &row.person };
            units.insert(self.0.store.linked_user(id.clone()).await?);
        }
        let fresh = self.0.store.record_decisions(batch, position).await?;
        bookings::settle(&self.0, &ids).await?;
        bookings::settle_earlier(&self.0, &units).await?;
        Ok(fresh)
    }

    /// Stores events, and books what their redemptions have cost the plans that offered.
    async fn store(&self, batch: Vec<EventRow>, position: u64) -> Result<Ingested, Error> {
        let touched = bookings::touched(&batch);
        let untokened: Vec<EventRow> = batch
            .iter()
            .filter(|row| row.decision_id.is_empty() && !row.offer_id.is_empty())
            .cloned()
            .collect();
        let links = batch.iter().filter(|row| row.kind == EventKind::Link as i16);
        let linked: BTreeSet<String> = links.map(|row| row.person.clone()).collect();
        let stored = self.0.store.ingest_events(batch, position).await?;
        bookings::settle(&self.0, &touched).await?;
        bookings::settle_untokened(&self.0, &untokened).await?;
        bookings::settle_earlier(&self.0, &linked).await?;
        Ok(stored)
    }
}

fn absent(field: &str) -> Vec<Violation> {
    vec![Violation::new(field, "EMPTY", "must be given")]
}

#[tonic::async_trait]
impl DecisionService for Decisions {
    async fn record_decisions(
        &self,
        request: Request<Streaming<RecordDecisionsRequest>>,
    ) -> Result<Response<RecordDecisionsResponse>, Status> {
        let mut stream = request.into_inner();
        let (mut tally, mut batch, mut index, mut position) = (Tally::default(), Vec::new(), 0, 0);
        while let Some(message) = stream.message().await? {
            position = message.log_position.max(position);
            match message.decision.map(|decision| intake::decision(&self.0, decision)) {
                Some(Ok(row)) => batch.push(row),
                Some(Err((id, found))) => tally.refuse(&id, index, found),
                None => tally.refuse("", index, absent("decision")),
            }
            index += 1;
            if batch.len() == BATCH {
                let fresh = self.record(std::mem::take(&mut batch), position).await?;
                tally.stored(BATCH, fresh);
            }
        }
        let rows = batch.len();
        tally.stored(rows, self.record(batch, position).await?);
        let Tally { accepted, duplicates, rejections } = tally;
        let (rejected, rejected_count) = rejections.into_parts();
        Ok(Response::new(RecordDecisionsResponse { accepted, duplicates, rejected, rejected_count }))
    }

    async fn ingest_events(
        &self,
        request: Request<Streaming<IngestEventsRequest>>,
    ) -> Result<Response<IngestEventsResponse>, Status> {
        let mut stream = request.into_inner();
        let (mut tally, mut batch, mut index, mut position) = (Tally::default(), Vec::new(), 0, 0);
        while let Some(message) = stream.message().await? {
            position = message.log_position.max(position);
            match message.event.map(|event| intake::event(&self.0, event)) {
                Some(Ok(row)) => batch.push(row),
                Some(Err((id, found))) => tally.refuse(&id, index, found),
                None => tally.refuse("", index, absent("event")),
            }
            index += 1;
            if batch.len() == BATCH {
                let stored = self.store(std::mem::take(&mut batch), position).await?;
                tally.ingested(BATCH, stored);
            }
        }
        let rows = batch.len();
        tally.ingested(rows, self.store(batch, position).await?);
        let Tally { accepted, duplicates, rejections } = tally;
        let (rejected, rejected_count) = rejections.into_parts();
        Ok(Response::new(IngestEventsResponse { accepted, duplicates, rejected, rejected_count }))
    }

    type ExportUserStream = export::ExportStream;

    async fn export_user(
        &self,
        request: Request<ExportUserRequest>,
    ) -> Result<Response<Self::ExportUserStream>, Status> {
        let person = self.person(&request.into_inner().user_id, "").await?;
        Ok(Response::new(export::stream(self.0.clone(), person)))
    }

    async fn erase_user(
        &self,
        request: Request<EraseUserRequest>,
    ) -> Result<Response<EraseUserResponse>, Status> {
        let EraseUserRequest { user_id, request_id } = request.into_inner();
        let person = self.person(&user_id, &request_id).await?;
        let removed = self.0.store.erase(&person).await?;
        Ok(Response::new(EraseUserResponse { removed, remainder: String::new() }))
    }
}
