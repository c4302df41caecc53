//! One batch of the outbox on its way to one service.

use prost::Message as _;
use proto::common::v1::{Event, EventKind, Rejection};
use proto::evaluator::v1::{self as evaluator, Decision};
use proto::recommender::v1 as recommender;
use tonic::Status;

use super::Destination;
use crate::store::{Kind, Stored};
use crate::upstream::Upstream;

/// Rows of the outbox, decoded.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Events with their positions.
    events: Vec<(Event, u64)>,
    decisions: Vec<Decision>,
}

impl Batch {
    /// Decodes `rows`; those of a kind this version does not know are left out.
    pub(super) fn decode(rows: Vec<Stored>) -> Result<Self, prost::DecodeError> {
        let mut batch = Self::default();
        for row in rows {
            match row.kind {
                Some(Kind::Event) => {
                    let event = current(Event::decode(row.payload.as_slice())?);
                    batch.events.push((event, row.sequence.cast_unsigned()));
                }
                Some(Kind::Decision) => batch.decisions.push(Decision::decode(row.payload.as_slice())?),
                None => tracing::error!(
                    sequence = row.sequence,
                    "a row of an unknown kind is left to a newer version"
                ),
            }
        }
        Ok(batch)
    }
}

/// An event as this version stores it. Earlier versions kept the id of the verified decision as the token, and the offer
/// of an OFFER event as an attribute; rows they stored may still be on their way.
fn current(mut event: Event) -> Event {
    if event.decision_id.is_empty() {
        event.decision_id = std::mem::take(&mut event.decision_token);
    }
    let is_about_an_offer =
        matches!(event.kind(), EventKind::OfferShown | EventKind::OfferWithheld | EventKind::OfferRedeemed);
    if is_about_an_offer && event.offer_id.is_empty() {
        event.offer_id = event.attributes.remove("offer_id").unwrap_or_default();
    }
    event
}

/// Sends `batch`; returns the rows the service refused.
pub(super) async fn send(
    upstream: &Upstream,
    destination: Destination,
    batch: Batch,
) -> Result<Vec<Rejection>, Status> {
    match destination {
        Destination::Recommender => to_recommender(upstream, batch.events).await,
        Destination::Evaluator => {
            // Decisions first: an event is joined to a decision that is there.
            let mut rejected = record(upstream, batch.decisions).await?;
            rejected.extend(to_evaluator(upstream, batch.events).await?);
            Ok(rejected)
        }
    }
}

async fn to_recommender(upstream: &Upstream, events: Vec<(Event, u64)>) -> Result<Vec<Rejection>, Status> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let rows = events
        .into_iter()
        .map(|(event, log_position)| recommender::IngestEventsRequest { event: Some(event), log_position });
    let answer = upstream.recommender().ingest_events(tokio_stream::iter(rows)).await?;
    Ok(answer.into_inner().rejected)
}

async fn to_evaluator(upstream: &Upstream, events: Vec<(Event, u64)>) -> Result<Vec<Rejection>, Status> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let rows = events
        .into_iter()
        .map(|(event, log_position)| evaluator::IngestEventsRequest { event: Some(event), log_position });
    let answer = upstream.decision().ingest_events(tokio_stream::iter(rows)).await?;
    Ok(answer.into_inner().rejected)
}

async fn record(upstream: &Upstream, decisions: Vec<Decision>) -> Result<Vec<Rejection>, Status> {
    if decisions.is_empty() {
        return Ok(Vec::new());
    }
    // Without positions: the decisions of a batch go before its events, and a position says that all events up to it
    // are stored.
    let rows = decisions
        .into_iter()
        .map(|decision| evaluator::RecordDecisionsRequest { decision: Some(decision), log_position: 0 });
    let answer = upstream.decision().record_decisions(tokio_stream::iter(rows)).await?;
    Ok(answer.into_inner().rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stored_by_an_earlier_version_keeps_its_decision_and_offer() {
        let kind = EventKind::OfferShown.into();
        let stored = Event {
            kind,
            decision_token: "decision".into(),
            attributes: [("offer_id".to_owned(), "five-off".to_owned())].into(),
            ..Event::default()
        };
        let payload = stored.encode_to_vec();
        let rows = vec![Stored { sequence: 7, kind: Some(Kind::Event), payload }];
        let batch = Batch::decode(rows).expect("decodes");
        let expected =
            Event { kind, decision_id: "decision".into(), offer_id: "five-off".into(), ..Event::default() };
        assert_eq!(batch.events, [(expected, 7)]);
    }
}
