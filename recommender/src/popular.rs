//! What many people took lately.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use proto::common::v1::{Event, EventKind};

use crate::signal::weight;
use crate::store::{Crowd, micros};

/// An event counts half as much after this many weeks.
const HALF_LIFE_WEEKS: f64 = 8.0;
const WEEK_MICROS: f64 = 7.0 * 24.0 * 3600.0 * 1e6;

/// Items' popularity, kept up to date as events come in.
#[derive(Default)]
pub struct Popularity {
    counts: RwLock<Counts>,
    stale: AtomicBool,
}

#[derive(Default)]
struct Counts {
    /// The week at which an event weighs as much as it is worth; later ones weigh more.
    origin: f64,
    by_item: HashMap<String, f64>,
}

impl Counts {
    fn add(&mut self, item_id: &str, worth: f64, week: f64) {
        let grown = worth * ((week - self.origin) / HALF_LIFE_WEEKS).exp2();
        match self.by_item.get_mut(item_id) {
            Some(sum) => *sum += grown,
            None => {
                self.by_item.insert(item_id.to_owned(), grown);
            }
        }
    }
}

fn worth(kind: EventKind) -> f64 {
    f64::from(weight(kind, Some(5.0))).max(0.0)
}

impl Popularity {
    /// Counts anew from all that is stored.
    pub fn reset(&self, crowds: &[Crowd]) {
        let newest = crowds.iter().map(|crowd| crowd.week).max().unwrap_or_default();
        let mut counts = Counts { origin: newest as f64, by_item: HashMap::new() };
        for crowd in crowds {
            counts.add(&crowd.item_id, worth(crowd.kind) * crowd.count as f64, crowd.week as f64);
        }
        *self.counts.write().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// Counts events that were stored just now, none of them known before.
    pub fn add(&self, events: &[Event]) {
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        if counts.by_item.is_empty()
            && let Some(at) = events.iter().filter_map(|event| event.occurred_at.as_ref()).map(micros).max()
        {
            counts.origin = (at as f64 / WEEK_MICROS).floor();
        }
        for event in events.iter().filter(|event| !event.item_id.is_empty()) {
            let at = event.occurred_at.as_ref().map_or(0, micros);
            let week = (at as f64 / WEEK_MICROS).floor();
            counts.add(&event.item_id, worth(event.kind()), week);
        }
    }

    /// Notes that the counts no longer follow from what is stored.
    pub fn outdate(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// Whether [`Popularity::outdate`] was called since this was last asked.
    pub fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::Relaxed)
    }

    /// The popularity of each of `items`, relative to the most popular of them: 0 to 1.
    pub fn of<'a>(&self, items: impl Iterator<Item = &'a str>) -> Vec<f32> {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        let sums: Vec<f64> = items.map(|item| counts.by_item.get(item).copied().unwrap_or_default()).collect();
        let largest = sums.iter().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        sums.into_iter().map(|sum| (sum / largest) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lately_counts_more_than_long_ago() {
        let crowd = |item: &str, week, count| Crowd { item_id: item.into(), kind: EventKind::Purchase, week, count };
        let popularity = Popularity::default();
        popularity.reset(&[crowd("old", 2_500, 10), crowd("new", 2_540, 10), crowd("rare", 2_540, 1)]);
        let of = popularity.of(["old", "new", "rare", "unknown"].into_iter());
        assert!(of[1] > of[2] && of[2] > of[0] && of[0] > of[3], "{of:?}");
        assert!((of[1] - 1.0).abs() < 1e-6);
    }
}
