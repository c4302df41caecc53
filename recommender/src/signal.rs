//! How much an event tells of a taste.

use proto::common::v1::EventKind;

/// The weight of an event: 1 for a purchase, below 0 where it speaks against the item, 0 where it tells nothing.
///
/// A rating is read on the usual scale of five: 2.5 says nothing, 5 as much as a purchase, 0 its opposite.
pub fn weight(kind: EventKind, rating: Option<f64>) -> f32 {
    match kind {
        EventKind::Purchase => 1.0,
        EventKind::Cart => 0.7,
        EventKind::Favourite | EventKind::Share => 0.6,
        EventKind::Click => 0.4,
        EventKind::View => 0.2,
        EventKind::Rating => rating.map_or(0.0, |stars| ((stars - 2.5) / 2.5).clamp(-1.0, 1.0) as f32),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_more_tells_more() {
        let kinds = [EventKind::Impression, EventKind::View, EventKind::Click, EventKind::Cart, EventKind::Purchase];
        let weights = kinds.map(|kind| weight(kind, None));
        assert!(weights.is_sorted(), "{weights:?}");
        assert!(weight(EventKind::Dislike, None) < 0.0 && weight(EventKind::Rating, Some(1.0)) < 0.0);
        assert!((weight(EventKind::Rating, Some(100.0)) - 1.0).abs() < 1e-6);
    }
}
