//! What a person's own events tell about whether the person will buy.

use proto::common::v1::EventKind;

/// One event of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// Seconds since 1970.
    pub at: i64,
    /// What was done.
    pub kind: EventKind,
    /// Revenue of a purchase in minor units, below 0 the amount of a return; else 0.
    pub value: i64,
    /// When the last piece of a purchase was returned, in seconds since 1970; [`KEPT`] while a piece is kept.
    pub undone_at: i64,
}

/// [`Act::undone_at`] of an act that was not undone.
pub const KEPT: i64 = i64::MAX;

impl Act {
    /// An act that was not undone.
    pub fn new(at: i64, kind: EventKind, value: i64) -> Self {
        Self { at, kind, value, undone_at: KEPT }
    }
}

const DAY: f64 = 86_400.0;

/// Names of [`features`].
pub const NAMES: [&str; 17] = [
    "days_since_first_event",
    "days_since_last_event",
    "days_since_last_purchase",
    "has_bought",
    "purchase_days",
    "purchase_days_30",
    "purchase_days_90",
    "days_between_purchases",
    "silence_in_own_gaps",
    "spent",
    "spent_90",
    "views_7",
    "views_30",
    "interest_7",
    "interest_30",
    "carts_3",
    "active_days_30",
];

/// The features of a person with these `acts`, the oldest first, at `now`; later acts must be left out.
///
/// Purchases of one day are one; one that was wholly returned by `now` is none, and what was paid back counts against
/// what was spent. "interest" is clicks, carts, favourites and shares.
pub fn features(acts: &[Act], now: i64) -> [f64; NAMES.len()] {
    let ago = |at: i64| ((now - at) as f64 / DAY).max(0.0);
    let first = acts.first().map_or(0.0, |act| ago(act.at));
    let last = acts.last().map_or(first, |act| ago(act.at));
    let within = |days: f64| acts.iter().rev().take_while(move |act| ago(act.at) <= days);
    let count =
        |days: f64, kinds: &[EventKind]| within(days).filter(|act| kinds.contains(&act.kind)).count() as f64;
    let purchases = || acts.iter().filter(|act| act.kind == EventKind::Purchase && act.undone_at > now);
    let mut days: Vec<i64> = purchases().map(|act| act.at.div_euclid(86_400)).collect();
    days.dedup();
    let recent = |span: f64| days.iter().rev().take_while(|day| ago(**day * 86_400) <= span).count() as f64;
    let bought = days.len() as f64;
    let silence = purchases().next_back().map(|act| ago(act.at));
    let gap = match (days.first(), days.last()) {
        (Some(first), Some(last)) if days.len() > 1 => (last - first) as f64 / (bought - 1.0),
        // Whoever bought once may have any habit; the whole time known is the only bound.
        _ => first.max(1.0),
    };
    let interest = [EventKind::Click, EventKind::Cart, EventKind::Favourite, EventKind::Share];
    let mut active: Vec<i64> = within(30.0).map(|act| act.at.div_euclid(86_400)).collect();
    active.dedup();
    [
        first,
        last,
        silence.unwrap_or(first),
        f64::from(silence.is_some()),
        bought,
        recent(30.0),
        recent(90.0),
        gap,
        silence.unwrap_or(first) / gap.max(1.0),
        acts.iter().map(|act| act.value as f64).sum(),
        within(90.0).map(|act| act.value as f64).sum(),
        count(7.0, &[EventKind::View]),
        count(30.0, &[EventKind::View]),
        count(7.0, &interest),
        count(30.0, &interest),
        count(3.0, &[EventKind::Cart]),
        active.len() as f64,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_history_by_hand() {
        let act = |day: i64, kind, value| Act::new(day * 86_400, kind, value);
        let acts = [
            act(0, EventKind::View, 0),
            act(0, EventKind::Purchase, 500),
            act(0, EventKind::Purchase, 300),
            act(40, EventKind::Purchase, 200),
            act(95, EventKind::Cart, 0),
            act(99, EventKind::View, 0),
        ];
        let found = features(&acts, 100 * 86_400);
        let of = |name: &str| found[NAMES.iter().position(|one| *one == name).expect("a feature")];
        for (name, value) in [
            ("days_since_first_event", 100.0),
            ("days_since_last_event", 1.0),
            ("days_since_last_purchase", 60.0),
            ("has_bought", 1.0),
            ("purchase_days", 2.0),
            ("purchase_days_30", 0.0),
            ("purchase_days_90", 1.0),
            ("days_between_purchases", 40.0),
            ("silence_in_own_gaps", 1.5),
            ("spent", 1000.0),
            ("spent_90", 200.0),
            ("views_7", 1.0),
            ("interest_7", 1.0),
            ("carts_3", 0.0),
            ("active_days_30", 2.0),
        ] {
            assert!((of(name) - value).abs() < 1e-9, "{name}: {} but {value}", of(name));
        }
        let returned = Act { undone_at: 98 * 86_400, ..acts[3] };
        let paid_back = act(98, EventKind::Return, -200);
        let acts = [acts[0], acts[1], acts[2], returned, acts[4], paid_back, acts[5]];
        let found = features(&acts, 100 * 86_400);
        let of = |name: &str| found[NAMES.iter().position(|one| *one == name).expect("a feature")];
        for (name, value) in [("purchase_days", 1.0), ("spent", 800.0), ("spent_90", 0.0)] {
            assert!((of(name) - value).abs() < 1e-9, "after a return, {name}: {} but {value}", of(name));
        }
        let before = features(&acts[..5], 97 * 86_400);
        assert!((before[4] - 2.0).abs() < 1e-9, "a later return is not known before it");
        assert!(features(&[], 5).iter().all(|value| value.is_finite()), "nobody's features are numbers too");
    }
}
