//! What decisions have cost their plans: offers made become owed when they are recorded, and spent when their redemption is
//! reported.

use std::collections::{BTreeSet, HashSet};

use prost::Message as _;
use proto::common::v1::EventKind;
use proto::evaluator::v1::Decision;

use super::{Shared, convert};
use crate::effect::log::{Answer, Redeemed, redeemed};
use crate::error::{Error, Result};
use crate::metric::fact::DAY;
use crate::store::{Booking, EventRow, OfferMade, Recorded};
use crate::strategy::limit::{Of, account};
use crate::strategy::plan::Plan;

/// Reports of one redemption without a decision come within this time of each other, microseconds.
const NEAR: i64 = 3_600_000_000;

/// Notes with each recorded decision of a plan the offer that is owed from then on.
pub(super) async fn owe(base: &Shared, batch: &mut [Recorded]) -> Result<()> {
    for Recorded { row, plan_id, made, .. } in batch {
        if row.offer_id.is_empty() || plan_id.is_empty() || row.in_holdout {
            continue;
        }
        let Some(plan) = base.deciding.plan(&base.store, plan_id).await? else { continue };
        let Some(offer) = plan.offers.iter().find(|offer| offer.offer_id == row.offer_id) else { continue };
        let valid = i64::from(base.strategy.offer_valid_days) * DAY;
        *made = Some(OfferMade {
            decision_id: row.decision_id.clone(),
            account_id: plan.account().to_owned(),
            plan_id: plan.id.clone(),
            offer_id: row.offer_id.clone(),
            made_at: row.decided_at,
            closes_at: offer.ends_at.as_ref().map_or(row.decided_at.saturating_add(valid), convert::micros),
            redeemed: false,
            cost: 0,
            worst: plan.worst(offer).ceil() as i64,
            inferred: false,
        });
    }
    Ok(())
}

/// Books what `decisions`, whose answers were just stored, have cost.
pub(super) async fn settle(base: &Shared, decisions: &[String]) -> Result<()> {
    let mut bookings = Vec::new();
    for (id, (payload, answers)) in base.store.answered(decisions).await? {
        let decision =
            Decision::decode(payload.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
        if decision.plan_id.is_empty() {
            continue;
        }
        let Some(plan) = base.deciding.plan(&base.store, &decision.plan_id).await? else { continue };
        let answers: Vec<&Answer> = answers.iter().filter(|answer| in_currency(&plan, answer)).collect();
        let found = found(base, &plan, &decision.offer_id, &answers);
        bookings.extend(booked(&plan, &id, &decision.offer_id, decision.channel, found));
    }
    book(base, &bookings).await
}

/// Books redemptions reported without a decision: each on the offer that was made to its person.
pub(super) async fn settle_untokened(base: &Shared, rows: &[EventRow]) -> Result<()> {
    let kinds = [EventKind::Purchase as i16, EventKind::OfferRedeemed as i16];
    let untokened = rows
        .iter()
        .filter(|row| row.decision_id.is_empty() && !row.offer_id.is_empty() && kinds.contains(&row.kind));
    let mut told = BTreeSet::new();
    for row in untokened {
        let unit = if row.person.is_empty() {
            base.store.linked_user(row.visitor.clone()).await?
        } else {
            row.person.clone()
        };
        told.insert((unit, row.offer_id.clone(), row.occurred_at));
    }
    settle_told(base, told).await
}

/// Books redemptions that these units' reports told of without a decision, before the decision was recorded or before a
/// visitor was known as its user.
pub(super) async fn settle_earlier(base: &Shared, units: &BTreeSet<String>) -> Result<()> {
    settle_told(base, base.store.untokened_of(units).await?).await
}

async fn settle_told(base: &Shared, told: BTreeSet<(String, String, i64)>) -> Result<()> {
    // One after the other: the next report must see what is redeemed already.
    for (unit, offer_id, at) in told {
        let Some(made) = base.store.offer_made_to(&unit, &offer_id, at, NEAR).await? else { continue };
        let Some(plan) = base.deciding.plan(&base.store, &made.plan_id).await? else { continue };
        let answers =
            base.store.answers_about(&unit, &offer_id, &made.decision_id, (at - NEAR, at + NEAR)).await?;
        let answers: Vec<&Answer> = answers.iter().filter(|answer| in_currency(&plan, answer)).collect();
        let found = found(base, &plan, &offer_id, &answers);
        // Channels were counted when the decision was recorded.
        book(base, &booked(&plan, &made.decision_id, &offer_id, -1, found)).await?;
    }
    Ok(())
}

/// Decisions that stored events may have cost something.
pub(super) fn touched(rows: &[EventRow]) -> Vec<String> {
    let kinds = [EventKind::Purchase as i16, EventKind::OfferRedeemed as i16];
    let of = rows.iter().filter(|row| !row.decision_id.is_empty() && kinds.contains(&row.kind));
    of.map(|row| row.decision_id.clone()).collect::<HashSet<_>>().into_iter().collect()
}

/// Amounts of different currencies are never added: a report in another one than the plan's tells no amount.
fn in_currency(plan: &Plan, answer: &Answer) -> bool {
    answer.currency.is_empty() || answer.currency == plan.currency
}

fn found(base: &Shared, plan: &Plan, offer_id: &str, answers: &[&Answer]) -> Option<(Redeemed, i64)> {
    let offer = plan.offers.iter().find(|offer| offer.offer_id == offer_id);
    let found = redeemed(offer, offer_id, answers, base.strategy.infer_redemptions)?;
    // Redeemed, but nobody says for how much: the most it may be, until somebody does.
    let most = offer.map_or(0, |offer| plan.worst(offer).ceil() as i64);
    Some((found, found.discount.unwrap_or(most)))
}

/// Bookings of a decision: its cost, and what it used of the plan's limits.
fn booked(
    plan: &Plan,
    id: &str,
    offer_id: &str,
    channel: i32,
    found: Option<(Redeemed, i64)>,
) -> Vec<Booking> {
    let of_limit = plan.limits.iter().enumerate().filter(|(_, limit)| match &limit.of {
        Of::Offer(offer) => found.is_some() && *offer == offer_id,
        Of::Channel(number) => *number == channel,
    });
    let count =
        |(at, _)| Booking { id: account(id, at), account: account(&plan.id, at), cost: 1, redeemed: None };
    let mut bookings: Vec<Booking> = of_limit.map(count).collect();
    bookings.extend(found.map(|(redeemed, cost)| Booking {
        id: id.to_owned(),
        account: plan.account().to_owned(),
        cost,
        redeemed: Some((redeemed.at, redeemed.inferred)),
    }));
    bookings
}

async fn book(base: &Shared, bookings: &[Booking]) -> Result<()> {
    if !bookings.is_empty() {
        let spent = base.store.settle(bookings).await?;
        base.deciding.tell_spent(&spent);
    }
    Ok(())
}
