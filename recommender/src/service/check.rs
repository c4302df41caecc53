//! What requests must be.

use chrono::Utc;
use proto::common::v1::{Event, EventKind};
use proto::recommender::v1::{DeleteItemsRequest, PredictIntentRequest, RecommendRequest};
use proto::validate::{self, Violation, Violations};
use tonic::Status;

use super::refuse;
use crate::signals::Signals;

/// Events and ids a request may carry.
pub(super) const MOST_ROWS: usize = 1000;

pub(super) fn person(user_id: &str) -> Result<(), Status> {
    let mut found = Violations::new();
    found.required_id("user_id", user_id);
    refuse(found)
}

pub(super) fn deletion(request: &DeleteItemsRequest) -> Result<(), Status> {
    let mut found = Violations::new();
    if request.item_ids.is_empty() {
        found.add("item_ids", "EMPTY", "must name at least one item");
    }
    found.at_most("item_ids", request.item_ids.len(), MOST_ROWS);
    for (index, id) in request.item_ids.iter().enumerate() {
        found.required_id(&format!("item_ids[{index}]"), id);
    }
    found.optional_id("request_id", &request.request_id);
    refuse(found)
}

pub(super) fn intents(request: &PredictIntentRequest) -> Result<(), Status> {
    let mut found = Violations::new();
    if request.user_ids.is_empty() {
        found.add("user_ids", "EMPTY", "must name at least one person");
    }
    found.at_most("user_ids", request.user_ids.len(), MOST_ROWS);
    for (index, id) in request.user_ids.iter().enumerate() {
        found.required_id(&format!("user_ids[{index}]"), id);
    }
    if request.horizon_days == 0 {
        found.add("horizon_days", "OUT_OF_RANGE", "must be at least 1");
    }
    refuse(found)
}

pub(super) fn item(item_id: &str, limit: u32) -> Result<(), Status> {
    let mut found = Violations::new();
    found.required_id("item_id", item_id);
    found.limit("limit", limit);
    refuse(found)
}

/// Refuses a rating that is not on the shop's scale: what it says of the item is not known.
pub(super) fn rating(event: &Event, signals: &Signals) -> Option<Violation> {
    let rating = event.rating.filter(|_| event.kind() == EventKind::Rating)?;
    let Signals { rating_min, rating_max, .. } = signals;
    let described = format!(
        "must be {rating_min} to {rating_max}, the scale set by events.rating_min and events.rating_max; is {rating}"
    );
    (!signals.is_on_scale(rating)).then(|| Violation::new("rating", "OUT_OF_RANGE", described))
}

pub(super) fn recommend(request: &RecommendRequest, signals: &Signals) -> Result<(), Status> {
    let mut found = Violations::new();
    // Neither may be given: that person is unknown, and gets what is popular.
    found.optional_id("user_id", &request.user_id);
    found.optional_id("visitor_id", &request.visitor_id);
    found.limit("limit", request.limit);
    found.at_most("recent_events", request.recent_events.len(), MOST_ROWS);
    let now = Utc::now().timestamp();
    for (index, event) in request.recent_events.iter().enumerate() {
        let path = format!("recent_events[{index}]");
        found.add_within(&path, validate::event(event, now));
        found.add_within(&path, rating(event, signals).into_iter().collect());
    }
    if let Some(given) = &request.rules {
        found.add_within("rules", validate::rules(given));
    }
    refuse(found)
}
