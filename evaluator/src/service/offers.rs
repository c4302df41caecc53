//! UpsertOffers and ListOffers.

use std::collections::{BTreeMap, HashMap};

use prost::Message as _;
use proto::common::v1::{Offer, Rejection};
use proto::evaluator::v1 as wire;
use proto::rejections::Rejections;
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
    let (mut accepted, mut rejections, mut index) = (0, Rejections::default(), 0_u64);
    let mut batch: BTreeMap<String, OfferRow> = BTreeMap::new();
    let mut prices: Option<Prices> = None;
    while let Some(message) = stream.message().await? {
        // Asked once a stream, and only where an amount is for certain goods.
        if prices.is_none() && message.offer.as_ref().is_some_and(has_price_to_check) {
            prices = Some(base.store.prices().await?);
        }
        match row(message.offer, prices.as_ref()) {
            Ok(row) => {
                accepted += 1;
                batch.insert(row.offer_id.clone(), row);
            }
            Err((id, field, reason)) => {
                let id = if id.is_empty() { format!("#{index}") } else { id };
                rejections.add(Rejection { id, field, reason });
            }
        }
        index += 1;
        if batch.len() == BATCH {
            base.store.upsert_offers(std::mem::take(&mut batch).into_values().collect()).await?;
        }
    }
    base.store.upsert_offers(batch.into_values().collect()).await?;
    let (rejected, rejected_count) = rejections.into_parts();
    Ok(wire::UpsertOffersResponse { accepted, rejected, rejected_count })
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

/// Largest price of each item, by item and currency.
type Prices = HashMap<(String, String), i64>;

/// Whether an offer takes an amount off certain goods, whatever is spent.
fn has_price_to_check(offer: &Offer) -> bool {
    offer.amount_off.is_some() && offer.min_spend.is_none() && !offer.item_ids.is_empty()
}

/// Refuses an amount above the price of every item it is for, where all of these are known.
fn worth(offer: &Offer, prices: &Prices) -> Option<(String, String)> {
    let amount = offer.amount_off.as_ref().filter(|_| has_price_to_check(offer))?;
    let price = |item: &String| prices.get(&(item.clone(), amount.currency_code.clone())).copied();
    let dearest = offer.item_ids.iter().map(price).collect::<Option<Vec<i64>>>()?.into_iter().max()?;
    (amount.minor_units > dearest).then(|| {
        let text = format!(
            "must be at most {dearest}, the price of the dearest item it is for, is {}: it would give away more than is \
             bought",
            amount.minor_units
        );
        ("amount_off.minor_units".to_owned(), text)
    })
}

fn row(offer: Option<Offer>, prices: Option<&Prices>) -> Result<OfferRow, (String, String, String)> {
    let offer = offer.ok_or_else(|| (String::new(), "offer".to_owned(), "must be given".to_owned()))?;
    if let Some(violation) = validate::offer(&offer).into_iter().next() {
        return Err((offer.offer_id, violation.field, violation.description));
    }
    if let Some((field, reason)) = prices.and_then(|prices| worth(&offer, prices)) {
        return Err((offer.offer_id, field, reason));
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
