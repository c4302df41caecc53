//! UpsertOffers and ListOffers.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::common::v1::{Offer, Rejection};
use proto::evaluator::v1 as wire;
use proto::validate::{self, Violations};
use tonic::{Status, Streaming};

use super::intake::BATCH;
use super::requests::{self, Method};
use super::status::refuse;
use super::{Shared, convert, now, page};
use crate::error::Error;
use crate::store::OfferRow;

/// Stores the offers of a stream.
pub(super) async fn upsert(
    base: &Shared,
    mut stream: Streaming<wire::UpsertOffersRequest>,
) -> Result<wire::UpsertOffersResponse, Status> {
    let (mut accepted, mut rejected, mut index) = (0, Vec::new(), 0_u64);
    let mut batch: BTreeMap<String, OfferRow> = BTreeMap::new();
    while let Some(message) = stream.message().await? {
        match row(message.offer) {
            Ok(row) => {
                accepted += 1;
                batch.insert(row.offer_id.clone(), row);
            }
            Err((id, field, reason)) => {
                let id = if id.is_empty() { format!("#{index}") } else { id };
                rejected.push(Rejection { id, field, reason });
            }
        }
        index += 1;
        if batch.len() == BATCH {
            base.store.upsert_offers(std::mem::take(&mut batch).into_values().collect()).await?;
        }
    }
    base.store.upsert_offers(batch.into_values().collect()).await?;
    Ok(wire::UpsertOffersResponse { accepted, rejected })
}

/// Deletes an offer that no deciding plan uses.
pub(super) async fn delete(
    base: &Shared,
    request: &wire::DeleteOfferRequest,
) -> Result<wire::DeleteOfferResponse, Status> {
    let mut found = Violations::new();
    found.required_id("offer_id", &request.offer_id);
    requests::check(&mut found, &request.request_id);
    refuse(found)?;
    let method = Method::DeleteOffer.name();
    if let Some(answer) = base.store.answer_to(method, &request.request_id).await? {
        return Ok(wire::DeleteOfferResponse { deleted: answer == "true" });
    }
    if let Some((plan, _)) = base.store.deciding_plan().await?
        && plan.offers.iter().any(|offer| offer.offer_id == request.offer_id)
    {
        let text =
            format!("plan {} decides with offer {:?}: DeactivatePlan first", plan.id, request.offer_id);
        return Err(Error::precondition("OFFER_IN_USE", text).into());
    }
    let deleted = base.store.delete_offer(&request.offer_id, (method, &request.request_id), now()).await?;
    Ok(wire::DeleteOfferResponse { deleted })
}

/// A page of offers.
pub(super) async fn list(
    base: &Shared,
    request: &wire::ListOffersRequest,
) -> Result<wire::ListOffersResponse, Status> {
    let mut found = Violations::new();
    found.page_size(request.page_size);
    refuse(found)?;
    let list = if request.valid_only { "offers valid" } else { "offers" };
    let after = page::place(list, &request.page_token)?.unwrap_or_default();
    let size = page::size(request.page_size);
    let mut rows = base.store.offers(&after, size + 1, request.valid_only.then(now)).await?;
    let more = rows.len() as u64 > size;
    rows.truncate(size as usize);
    let next_page_token = rows.last().filter(|_| more).map(|row| page::token(list, &row.offer_id));
    let offers = rows
        .iter()
        .map(|row| Offer::decode(row.payload.as_slice()))
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(wire::ListOffersResponse { offers, next_page_token: next_page_token.unwrap_or_default() })
}

fn row(offer: Option<Offer>) -> Result<OfferRow, (String, String, String)> {
    let offer = offer.ok_or_else(|| (String::new(), "offer".to_owned(), "must be given".to_owned()))?;
    if let Some(violation) = validate::offer(&offer).into_iter().next() {
        return Err((offer.offer_id, violation.field, violation.description));
    }
    let payload = offer.encode_to_vec();
    Ok(OfferRow {
        starts_at: offer.starts_at.as_ref().map(convert::micros),
        ends_at: offer.ends_at.as_ref().map(convert::micros),
        deleted_at: None,
        offer_id: offer.offer_id,
        payload,
    })
}
