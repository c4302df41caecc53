//! What requests must be.

use chrono::Utc;
use proto::recommender::v1::{DeleteItemsRequest, PredictIntentRequest, RecommendRequest, Rules};
use proto::validate::{self, Violations};
use tonic::Status;

use super::refuse;

/// Events and ids a request may carry.
const MOST_ROWS: usize = 1000;

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
    at_most(&mut found, "item_ids", request.item_ids.len());
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
    at_most(&mut found, "user_ids", request.user_ids.len());
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

pub(super) fn recommend(request: &RecommendRequest) -> Result<(), Status> {
    let mut found = Violations::new();
    // Neither may be given: that person is unknown, and gets what is popular.
    found.optional_id("user_id", &request.user_id);
    found.optional_id("visitor_id", &request.visitor_id);
    found.limit("limit", request.limit);
    at_most(&mut found, "recent_events", request.recent_events.len());
    let now = Utc::now().timestamp();
    for (index, event) in request.recent_events.iter().enumerate() {
        found.add_within(&format!("recent_events[{index}]"), validate::event(event, now));
    }
    if let Some(given) = &request.rules {
        rules(&mut found, given);
    }
    refuse(found)
}

fn rules(found: &mut Violations, rules: &Rules) {
    found.within_range("rules.diversity", rules.diversity, 0.0, 1.0);
    found.within_range("rules.explore", rules.explore, 0.0, 1.0);
    at_most(found, "rules.only_item_ids", rules.only_item_ids.len());
    at_most(found, "rules.exclude_item_ids", rules.exclude_item_ids.len());
    at_most(found, "rules.categories", rules.categories.len());
    for (field, bound) in [("rules.price_min", &rules.price_min), ("rules.price_max", &rules.price_max)] {
        if let Some(money) = bound {
            found.add_within(field, validate::money(money));
        }
    }
    if let (Some(least), Some(most)) = (&rules.price_min, &rules.price_max) {
        if least.currency_code != most.currency_code {
            found.add("rules.price_max", "MIXED_CURRENCIES", "must be in price_min's currency");
        } else if least.minor_units > most.minor_units {
            found.add("rules.price_max", "OUT_OF_RANGE", "must not be below price_min");
        }
    }
}

pub(super) fn at_most(found: &mut Violations, field: &str, count: usize) {
    if count > MOST_ROWS {
        found.add(field, "TOO_MANY", format!("must be at most {MOST_ROWS}, are {count}"));
    }
}
