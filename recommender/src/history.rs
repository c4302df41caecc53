//! What a deed tells of a taste.

use std::collections::HashMap;

use proto::common::v1::EventKind;

use crate::store::Deed;

/// Deeds of one person that are folded in; older ones no longer weigh.
pub const FOLDED: u64 = 1000;

/// How much a deed tells, in purchases; 0 tells nothing.
pub fn weight(kind: EventKind) -> f32 {
    match kind {
        EventKind::Purchase => 1.0,
        EventKind::Cart => 0.7,
        EventKind::Favourite | EventKind::Share => 0.6,
        EventKind::Rating => 0.5,
        EventKind::Click => 0.4,
        EventKind::View => 0.2,
        EventKind::Dislike => -1.0,
        EventKind::Unspecified
        | EventKind::Impression
        | EventKind::Unsubscribe
        | EventKind::Survey
        | EventKind::OfferShown
        | EventKind::OfferWithheld
        | EventKind::OfferRedeemed => 0.0,
    }
}

/// Deeds as the model reads them: (column, weight), the oldest first; what the model does not know is left out.
pub fn columns(deeds: &[Deed], columns: &HashMap<String, u32>) -> Vec<(u32, f32)> {
    let known = deeds.iter().filter_map(|deed| Some((*columns.get(&deed.item_id)?, weight(deed.kind))));
    known.filter(|(_, weight)| *weight != 0.0).collect()
}
