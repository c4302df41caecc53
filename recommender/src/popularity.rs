//! Popularity of items: the interest of all people, each person counted once an item, faded by age.

use crate::signals::Signals;
use crate::store::Deed;

/// Interest of one person in one item, as of `at` in seconds since 1970: the largest weight of their events that is left
/// at `at`. `deeds` are those of the person with the item, the oldest first. An event that speaks against the item, such
/// as a dislike, a rating below the middle of the scale or a returned purchase, ends the interest shown before it.
pub fn interest(deeds: &[Deed], signals: &Signals, at: i64) -> f64 {
    deeds.iter().fold(0.0, |interest: f64, deed| {
        let weight = f64::from(signals.weight_of(deed));
        if weight < 0.0 { 0.0 } else { interest.max(weight * signals.popularity_left(at - deed.at)) }
    })
}

#[cfg(test)]
mod tests {
    use proto::common::v1::EventKind;

    use super::*;

    const DAY: i64 = 86_400;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-6, "{found}, not {wanted}");
    }

    #[test]
    fn a_person_counts_once_by_the_strongest_event_that_is_left() {
        let signals = Signals::default();
        let deed = |kind, day: i64| Deed::new("p", kind, "i", day * DAY);
        let now = 60 * DAY;
        close(interest(&[], &signals, now), 0.0);
        close(interest(&[deed(EventKind::View, 60), deed(EventKind::View, 60)], &signals, now), 0.2);
        let bought_before = [deed(EventKind::Purchase, 0), deed(EventKind::View, 60)];
        close(interest(&bought_before, &signals, now), 0.25);
        let impressions: Vec<Deed> = (0..50).map(|day| deed(EventKind::Impression, day)).collect();
        close(interest(&impressions, &signals, now), 0.0);
    }

    #[test]
    fn an_event_against_the_item_ends_the_interest() {
        let signals = Signals::default();
        let deed = |kind, at| Deed::new("p", kind, "i", at);
        let bought = deed(EventKind::Purchase, 0);
        close(interest(&[bought.clone(), deed(EventKind::Dislike, 1)], &signals, 1), 0.0);
        let one_star = Deed { rating: Some(1.0), ..deed(EventKind::Rating, 1) };
        close(interest(&[bought.clone(), one_star], &signals, 1), 0.0);
        close(interest(&[Deed { kept: 0.0, ..bought }], &signals, 0), 0.0);
        let again = [deed(EventKind::Dislike, 1), deed(EventKind::Favourite, 2)];
        close(interest(&again, &signals, 2), 0.6);
    }
}
