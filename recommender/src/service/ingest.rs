//! Streams of rows: good ones stored a batch at a time, bad ones named.

use chrono::Utc;
use proto::common::v1::{Event, Item, Rejection};
use proto::recommender::v1::{
    IngestEventsRequest, IngestEventsResponse, UpsertItemsRequest, UpsertItemsResponse,
};
use proto::rejections::Rejections;
use proto::validate::{self, Violation};
use tonic::{Status, Streaming};

use super::{Recommender, check, failed};
use crate::store::{EventRow, Ingested};

/// Rows of one transaction.
const BATCH: usize = 2000;

fn rejection(id: &str, number: usize, found: Violation) -> Rejection {
    let id = if id.is_empty() { format!("#{number}") } else { id.to_owned() };
    Rejection { id, field: found.field, reason: format!("{} ({})", found.description, found.reason) }
}

fn missing(field: &str) -> Violation {
    Violation::new(field, "EMPTY", "must be given")
}

impl Recommender {
    pub(super) async fn take_items(
        &self,
        mut rows: Streaming<UpsertItemsRequest>,
    ) -> Result<UpsertItemsResponse, Status> {
        let (mut accepted, mut rejections) = (0, Rejections::default());
        let (mut batch, mut number) = (Vec::with_capacity(BATCH), 0);
        while let Some(row) = rows.message().await? {
            let item = row.item.unwrap_or_default();
            let found = validate::item(&item).into_iter().next();
            match found {
                Some(found) => rejections.add(rejection(&item.item_id, number, found)),
                None => batch.push(item),
            }
            number += 1;
            if batch.len() == BATCH {
                accepted += self.keep_items(&mut batch).await?;
            }
        }
        accepted += self.keep_items(&mut batch).await?;
        self.live.follow_items().await.map_err(|cause| chassis::error::internal(&cause))?;
        let (rejected, rejected_count) = rejections.into_parts();
        Ok(UpsertItemsResponse { accepted, rejected, rejected_count })
    }

    async fn keep_items(&self, batch: &mut Vec<Item>) -> Result<u64, Status> {
        self.store.upsert_items(batch, Utc::now().timestamp_micros()).await.map_err(failed)?;
        Ok(batch.drain(..).len() as u64)
    }

    pub(super) async fn take_events(
        &self,
        mut rows: Streaming<IngestEventsRequest>,
    ) -> Result<IngestEventsResponse, Status> {
        let (mut answer, mut rejections) = (IngestEventsResponse::default(), Rejections::default());
        let (mut batch, mut number, mut position) = (Vec::with_capacity(BATCH), 0, 0);
        while let Some(row) = rows.message().await? {
            position = position.max(row.log_position);
            match row
                .event
                .ok_or_else(|| (String::new(), missing("event")))
                .and_then(|event| self.checked(event))
            {
                Ok(row) => batch.push(row),
                Err((id, found)) => rejections.add(rejection(&id, number, found)),
            }
            number += 1;
            if batch.len() == BATCH {
                self.keep_events(&mut batch, position, (&mut answer, &mut rejections)).await?;
            }
        }
        self.keep_events(&mut batch, position, (&mut answer, &mut rejections)).await?;
        (answer.rejected, answer.rejected_count) = rejections.into_parts();
        Ok(answer)
    }

    fn checked(&self, mut event: Event) -> Result<EventRow, (String, Violation)> {
        let found = validate::event(&event, Utc::now().timestamp());
        if let Some(found) = found.into_iter().chain(check::rating(&event, &self.signals)).next() {
            return Err((event.event_id, found));
        }
        event.user_id = self.names.pseudonym(&event.user_id);
        event.visitor_id = self.names.pseudonym(&event.visitor_id);
        Ok(EventRow(event))
    }

    async fn keep_events(
        &self,
        batch: &mut Vec<EventRow>,
        position: u64,
        (answer, rejections): (&mut IngestEventsResponse, &mut Rejections),
    ) -> Result<(), Status> {
        if batch.is_empty() && position == 0 {
            return Ok(());
        }
        let Ingested { stored, refused } = self.store.ingest_events(batch, position).await.map_err(failed)?;
        answer.accepted += stored;
        answer.duplicates += batch.len() as u64 - refused.len() as u64 - stored;
        rejections.extend(refused.into_iter().map(|id| {
            let elsewhere = "is linked to another user, and a visitor is linked once for ever";
            rejection(&id, 0, Violation::new("visitor_id", "VISITOR_LINKED_ELSEWHERE", elsewhere))
        }));
        batch.clear();
        Ok(())
    }
}
