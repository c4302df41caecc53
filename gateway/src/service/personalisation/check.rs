//! What a request for content must be.

use chrono::Utc;
use proto::common::v1::{Channel, Money};
use proto::gateway::v1::{PersonaliseRequest, Purpose};
use proto::recommender::v1::Rules;
use proto::validate::{self, Violations};
use tonic::Status;

use crate::service::refuse;

/// Placements that may get copy.
const MOST_COPIES: u32 = 20;
/// Events and ids a request may carry.
const MOST_ROWS: usize = 1000;

/// Refuses a request that cannot be answered; fields are named below `path`.
pub(super) fn request(request: &PersonaliseRequest, path: &str) -> Result<(), Status> {
    let mut found = Violations::new();
    if request.user_id.is_empty() && request.visitor_id.is_empty() {
        found.add("user_id", "EMPTY", "one of user_id and visitor_id must be given");
    }
    found.optional_id("user_id", &request.user_id);
    found.optional_id("visitor_id", &request.visitor_id);
    found.optional_id("placement", &request.placement);
    found.limit("limit", request.limit);
    found.known_enum::<Channel>("channel", request.channel, false);
    if !matches!(request.locale.as_str(), "" | "en" | "zh-CN") {
        let locale = &request.locale;
        found.add("locale", "UNKNOWN_LOCALE", format!("must be \"en\" or \"zh-CN\", is {locale:?}"));
    }
    if request.copy_for > MOST_COPIES {
        found.add("copy_for", "OUT_OF_RANGE", format!("must be 0 to {MOST_COPIES}, is {}", request.copy_for));
    }
    for (index, purpose) in request.purposes.iter().enumerate() {
        found.known_enum::<Purpose>(&format!("purposes[{index}]"), *purpose, true);
    }
    at_most(&mut found, "recent_events", request.recent_events.len());
    let now = Utc::now().timestamp();
    for (index, event) in request.recent_events.iter().enumerate() {
        found.add_within(&format!("recent_events[{index}]"), validate::event(event, now));
    }
    if let Some(given) = &request.rules {
        rules(&mut found, given);
    }
    let mut found = found.into_vec();
    for violation in &mut found {
        violation.field.insert_str(0, path);
    }
    refuse(found)
}

fn rules(found: &mut Violations, rules: &Rules) {
    found.within_range("rules.diversity", rules.diversity, 0.0, 1.0);
    found.within_range("rules.explore", rules.explore, 0.0, 1.0);
    for (field, ids) in
        [("rules.exclude_item_ids", &rules.exclude_item_ids), ("rules.only_item_ids", &rules.only_item_ids)]
    {
        at_most(found, field, ids.len());
        for (index, id) in ids.iter().enumerate() {
            found.required_id(&format!("{field}[{index}]"), id);
        }
    }
    at_most(found, "rules.categories", rules.categories.len());
    for (field, bound) in [("rules.price_min", &rules.price_min), ("rules.price_max", &rules.price_max)] {
        if let Some(money) = bound {
            found.add_within(field, validate::money(money));
        }
    }
    if let (Some(least), Some(most)) = (&rules.price_min, &rules.price_max) {
        bounds(found, least, most);
    }
}

fn bounds(found: &mut Violations, least: &Money, most: &Money) {
    if least.currency_code != most.currency_code {
        found.add("rules.price_max", "MIXED_CURRENCIES", "must be in price_min's currency");
    } else if least.minor_units > most.minor_units {
        found.add("rules.price_max", "OUT_OF_RANGE", "must not be below price_min");
    }
}

fn at_most(found: &mut Violations, field: &str, count: usize) {
    if count > MOST_ROWS {
        found.add(field, "TOO_MANY", format!("must be at most {MOST_ROWS}, are {count}"));
    }
}
