//! Fatigue: who was given offers all week takes the next one less. How many there were is a feature like any other, and
//! the model learns from the log what it does, if anything, where training is told to use it.

use std::collections::{HashMap, VecDeque};

use super::NONE;
use super::train::Outcome;
use crate::metric::fact::DAY;

/// Name of the feature: offers made to the person in the week before. Where there were none it is not there.
pub const RECENT: &str = "offers:week";
/// How long an offer is remembered, microseconds.
pub const REMEMBERED: i64 = 7 * DAY;

/// Adds the feature to a log in order of time.
pub fn add(log: &mut [Outcome]) {
    let mut made: HashMap<&str, VecDeque<i64>> = HashMap::new();
    for row in log {
        let Outcome { unit, at, action, features, .. } = row;
        let mine = made.entry(unit).or_default();
        while mine.front().is_some_and(|made| *made < *at - REMEMBERED) {
            mine.pop_front();
        }
        if !mine.is_empty() {
            features.insert(RECENT.to_owned(), mine.len() as f64);
        }
        if action != NONE {
            mine.push_back(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_of_a_week_are_counted_and_older_ones_forgotten() {
        let row = |unit: &str, day: i64, action: &str| Outcome {
            unit: unit.into(),
            at: day * DAY,
            action: action.into(),
            ..Outcome::default()
        };
        let mut log = [
            row("a", 0, "ten"),
            row("a", 1, NONE),
            row("b", 1, "ten"),
            row("a", 2, "ten"),
            row("a", 3, "ten"),
            row("a", 8, NONE),
            row("a", 20, NONE),
        ];
        add(&mut log);
        let counts: Vec<Option<f64>> = log.iter().map(|row| row.features.get(RECENT).copied()).collect();
        assert_eq!(counts, [None, Some(1.0), None, Some(1.0), Some(2.0), Some(2.0), None]);
    }
}
