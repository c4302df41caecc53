//! What deeds tell of a taste.

use std::collections::HashSet;

use proto::common::v1::EventKind;

use crate::algorithm::Past;

/// Deeds of one person that are folded in; older ones no longer weigh.
pub const FOLDED: u64 = 1000;
/// Seconds without a deed after which the next one begins another visit.
pub const PAUSE: i64 = 30 * 60;

/// A deed as models read it, and when it was done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dated {
    /// Column of the item.
    pub item: u32,
    /// How much it tells.
    pub weight: f32,
    /// Its strength in units of its kind's weight, as [`crate::signals::Signals::strength`] says.
    pub strength: f32,
    /// Seconds since 1970.
    pub at: i64,
    /// What was done.
    pub kind: EventKind,
}

/// One person's deeds, the oldest first, as visits: what is done without a long pause is done together.
pub fn visits(deeds: &[Dated]) -> Vec<Past> {
    let (mut step, mut last) = (0, deeds.first().map_or(0, |deed| deed.at));
    let visit = |&Dated { item, weight, at, .. }: &Dated| {
        step += u32::from(at - last >= PAUSE);
        last = at;
        Past { item, weight, step }
    };
    deeds.iter().map(visit).collect()
}

/// Leaves of several ratings of one item by one person, the oldest first, the last alone: it replaces the others.
pub fn keep_last_ratings(deeds: &mut Vec<Dated>) {
    let is_rating = |deed: &Dated| deed.kind == EventKind::Rating;
    if deeds.iter().filter(|deed| is_rating(deed)).count() < 2 {
        return;
    }
    let mut rated = HashSet::new();
    let last: Vec<bool> =
        deeds.iter().rev().map(|deed| !is_rating(deed) || rated.insert(deed.item)).collect();
    let mut last = last.into_iter().rev();
    deeds.retain(|_| last.next().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rating_replaces_an_earlier_one_of_the_same_item() {
        let rated = |item, weight| Dated { item, weight, strength: 1.0, at: 0, kind: EventKind::Rating };
        let viewed = Dated { kind: EventKind::View, ..rated(0, 0.2) };
        let mut deeds = vec![rated(0, -0.5), viewed, rated(1, 0.5), rated(0, 0.5)];
        keep_last_ratings(&mut deeds);
        assert_eq!(deeds, [viewed, rated(1, 0.5), rated(0, 0.5)]);
    }

    #[test]
    fn a_long_pause_begins_another_visit() {
        let deed = |item, at| Dated { item, weight: 1.0, strength: 1.0, at, kind: EventKind::Purchase };
        let visits = visits(&[deed(0, 100), deed(1, 100), deed(2, 100 + PAUSE - 1), deed(0, 99 + 3 * PAUSE)]);
        assert_eq!(
            visits.iter().map(|past| (past.item, past.step)).collect::<Vec<_>>(),
            [(0, 0), (1, 0), (2, 0), (0, 1)]
        );
    }
}
