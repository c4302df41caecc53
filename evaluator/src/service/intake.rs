//! Rows of a stream: judged one by one, stored a thousand at a time.

use pbjson_types::Timestamp;
use prost::Message as _;
use proto::common::v1::{Channel, Event, ProductReturn, Purchase, Rejection};
use proto::evaluator::v1::Decision;
use proto::rejections::Rejections;
use proto::validate::{self, MAX_AHEAD_SECONDS, Violation, Violations};

use super::{Shared, convert, now};
use crate::experiment::dimension::segment_of;
use crate::store::{DecisionRow, EventRow, Ingested, Recorded};

/// Rows of one transaction.
pub(super) const BATCH: usize = 1_000;
/// Most offers that a decision may name as those it chose among.
const MAX_AVAILABLE: usize = 1_000;
/// Largest size of a feature.
const MAX_FEATURE: f64 = 1e12;

/// What became of the rows.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) rejections: Rejections,
}

impl Tally {
    /// Notes a batch of `rows`, `fresh` of them new.
    pub(super) fn stored(&mut self, rows: usize, fresh: u64) {
        self.accepted += fresh;
        self.duplicates += (rows as u64).saturating_sub(fresh);
    }

    /// Counts a batch of `rows` events.
    pub(super) fn ingested(&mut self, rows: usize, stored: Ingested) {
        self.stored(rows - stored.refused.len(), stored.fresh);
        self.rejections.extend(stored.refused.into_iter().map(|id| Rejection {
            id,
            field: "visitor_id".to_owned(),
            reason: "VISITOR_LINKED_ELSEWHERE: must not be linked to another user already; a visitor is one user for ever"
                .to_owned(),
        }));
    }

    /// Notes a row that is refused for the first of `found`.
    pub(super) fn refuse(&mut self, id: &str, index: u64, found: Vec<Violation>) {
        let id = if id.is_empty() { format!("#{index}") } else { id.to_owned() };
        if let Some(first) = found.into_iter().next() {
            self.rejections.add(Rejection { id, field: first.field, reason: first.description });
        }
    }
}

/// The event as it is stored: pseudonyms for people.
pub(super) fn event(shared: &Shared, mut event: Event) -> Result<EventRow, (String, Vec<Violation>)> {
    let mut found = validate::event(&event, now() / 1_000_000);
    let mut more = Violations::new();
    more.optional_id("decision_id", &event.decision_id);
    found.extend(more.into_vec());
    if !found.is_empty() {
        return Err((event.event_id, found));
    }
    event.user_id = shared.names.pseudonym(&event.user_id);
    event.visitor_id = shared.names.pseudonym(&event.visitor_id);
    event.decision_token.clear();
    let payload = event.encode_to_vec();
    let line = OrderLine::of(event.purchase, event.product_return);
    Ok(EventRow {
        kind: i16::try_from(event.kind).unwrap_or_default(),
        channel: i16::try_from(event.channel).unwrap_or_default(),
        occurred_at: event.occurred_at.as_ref().map_or(0, convert::micros),
        event_id: event.event_id,
        person: event.user_id,
        visitor: event.visitor_id,
        campaign_id: event.campaign_id,
        decision_id: event.decision_id,
        offer_id: event.offer_id,
        item_id: event.item_id,
        quantity: line.quantity,
        order_id: line.order_id,
        currency: line.currency,
        revenue: line.revenue,
        cost: line.cost,
        tax: line.tax,
        rating: event.rating,
        payload,
    })
}

/// The order line of a purchase, or of a return with its amounts and pieces below 0.
#[derive(Default)]
struct OrderLine {
    order_id: String,
    quantity: i64,
    currency: String,
    revenue: Option<i64>,
    cost: Option<i64>,
    tax: Option<i64>,
}

impl OrderLine {
    fn of(purchase: Option<Purchase>, returned: Option<ProductReturn>) -> Self {
        let (order_id, quantity, amounts, sign) = match (purchase, returned) {
            (Some(bought), _) => {
                (bought.order_id, bought.quantity, [bought.revenue, bought.cost, bought.tax], 1)
            }
            (None, Some(back)) => (back.order_id, back.quantity, [back.amount, back.cost, back.tax], -1),
            (None, None) => return Self::default(),
        };
        let currency = amounts[0].as_ref().map(|money| money.currency_code.clone()).unwrap_or_default();
        let [revenue, cost, tax] =
            amounts.map(|money| money.map(|money| money.minor_units.saturating_mul(sign)));
        Self { order_id, quantity: i64::from(quantity) * sign, currency, revenue, cost, tax }
    }
}

/// The decision as it is stored: pseudonyms for people.
pub(super) fn decision(
    shared: &Shared,
    mut decision: Decision,
) -> Result<Recorded, (String, Vec<Violation>)> {
    let found = check(&decision);
    if !found.is_empty() {
        return Err((decision.decision_id, found));
    }
    decision.user_id = shared.names.pseudonym(&decision.user_id);
    decision.visitor_id = shared.names.pseudonym(&decision.visitor_id);
    let payload = decision.encode_to_vec();
    let by_feature = || segment_of(&decision.features).unwrap_or_default();
    let segment = Some(decision.segment.as_str()).filter(|name| !name.is_empty()).unwrap_or_else(by_feature);
    let segment = segment.to_owned();
    let assignments = decision
        .assignments
        .into_iter()
        .filter(|assignment| !assignment.variant_id.is_empty())
        .map(|assignment| (assignment.experiment_id, assignment.variant_id))
        .collect();
    let row = DecisionRow {
        decided_at: decision.decided_at.as_ref().map_or(0, convert::micros),
        decision_id: decision.decision_id,
        person: decision.user_id,
        visitor: decision.visitor_id,
        offer_id: decision.offer_id,
        offer_propensity: decision.offer_propensity,
        in_holdout: decision.in_holdout,
        payload,
    };
    Ok(Recorded {
        row,
        assignments,
        channel: i16::try_from(decision.channel).unwrap_or_default(),
        segment,
        plan_id: decision.plan_id,
        made: None,
    })
}

/// Checks a feature's value. Models square and multiply features: what is larger leaves them no numbers.
pub(super) fn feature(found: &mut Violations, field: &str, value: f64) {
    found.within_range(field, value, -MAX_FEATURE, MAX_FEATURE);
}

fn check(decision: &Decision) -> Vec<Violation> {
    let mut found = Violations::new();
    found.required_id("decision_id", &decision.decision_id);
    if decision.user_id.is_empty() && decision.visitor_id.is_empty() {
        found.add("user_id", "EMPTY", "user_id or visitor_id must be given");
    }
    found.optional_id("user_id", &decision.user_id);
    found.optional_id("visitor_id", &decision.visitor_id);
    decided_at(&mut found, decision.decided_at.as_ref());
    found.known_enum::<Channel>("channel", decision.channel, false);
    found.optional_id("offer_id", &decision.offer_id);
    found.optional_id("plan_id", &decision.plan_id);
    found.optional_id("segment", &decision.segment);
    found.within_range("offer_propensity", decision.offer_propensity, 0.0, 1.0);
    if decision.available_offer_ids.len() > MAX_AVAILABLE {
        let text = format!("must be at most {MAX_AVAILABLE}, are {}", decision.available_offer_ids.len());
        found.add("available_offer_ids", "TOO_MANY", text);
    }
    for (index, offer_id) in decision.available_offer_ids.iter().enumerate().take(MAX_AVAILABLE) {
        found.required_id(&format!("available_offer_ids[{index}]"), offer_id);
    }
    for (name, value) in &decision.features {
        found.required_id("features", name);
        feature(&mut found, &format!("features[{name}]"), *value);
    }
    for (index, placement) in decision.placements.iter().enumerate() {
        let path = |field| format!("placements[{index}].{field}");
        found.required_id(&path("item_id"), &placement.item_id);
        found.finite(&path("score"), placement.score);
        found.within_range(&path("propensity"), placement.propensity, 0.0, 1.0);
        if let Some(predicted) = placement.beats_average_probability {
            found.within_range(&path("beats_average_probability"), predicted, 0.0, 1.0);
        }
    }
    for (index, assignment) in decision.assignments.iter().enumerate() {
        let path = |field| format!("assignments[{index}].{field}");
        found.required_id(&path("experiment_id"), &assignment.experiment_id);
        found.optional_id(&path("variant_id"), &assignment.variant_id);
        found.within_range(&path("propensity"), assignment.propensity, 0.0, 1.0);
    }
    found.into_vec()
}

fn decided_at(found: &mut Violations, at: Option<&Timestamp>) {
    match at {
        None => found.add("decided_at", "EMPTY", "must be given"),
        Some(at) if at.seconds > now() / 1_000_000 + MAX_AHEAD_SECONDS => {
            found.add("decided_at", "IN_THE_FUTURE", "must be at most 24 hours ahead of the server's clock");
        }
        Some(at) if at.seconds < 0 || !(0..1_000_000_000).contains(&at.nanos) => {
            found.add("decided_at", "OUT_OF_RANGE", "must be a time after 1970 with nanos of 0 to 999999999");
        }
        Some(_) => {}
    }
}
