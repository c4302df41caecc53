//! What a request for content must be.

use chrono::Utc;
use proto::common::v1::Channel;
use proto::gateway::v1::{PersonaliseRequest, Purpose};
use proto::validate::{self, Violations};
use tonic::Status;

use crate::intake;
use crate::personalise::known;
use crate::service::refuse;

/// Placements that may get copy.
const MOST_COPIES: u32 = 20;
/// Events a request may carry.
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
    if request.copy_count > MOST_COPIES {
        found.add(
            "copy_count",
            "OUT_OF_RANGE",
            format!("must be 0 to {MOST_COPIES}, is {}", request.copy_count),
        );
    }
    for (index, purpose) in request.purposes.iter().enumerate() {
        found.known_enum::<Purpose>(&format!("purposes[{index}]"), *purpose, true);
    }
    found.at_most("recent_events", request.recent_events.len(), MOST_ROWS);
    let now = Utc::now().timestamp();
    for (index, event) in request.recent_events.iter().enumerate() {
        let violation = intake::check(event, now).err().or_else(|| known::check_recent(event));
        found.add_within(&format!("recent_events[{index}]"), violation.into_iter().collect());
    }
    if let Some(given) = &request.rules {
        found.add_within("rules", validate::rules(given));
    }
    let mut found = found.into_vec();
    for violation in &mut found {
        violation.field.insert_str(0, path);
    }
    refuse(found)
}
