//! A history as the model reads it: each item once, with its age.

use std::collections::HashMap;

/// Repeats tell less each time: one event of weight 1 counts 1, three count 2. What is below zero (a return,
/// a dislike) counts as it is.
pub(super) fn damped(sum: f32) -> f32 {
    if sum > 0.0 { (1.0 + sum).log2() } else { sum }
}

/// (item, damped weight, number of distinct items newer) of the items below `items`, the newest first.
pub(super) fn recent(history: &[(u32, f32)], items: usize) -> Vec<(u32, f32, usize)> {
    let mut places: HashMap<u32, usize> = HashMap::with_capacity(history.len());
    let mut entries: Vec<(u32, f32, usize)> = Vec::with_capacity(history.len());
    for &(item, weight) in history.iter().rev().filter(|(item, _)| (*item as usize) < items) {
        let age = entries.len();
        match places.entry(item) {
            std::collections::hash_map::Entry::Occupied(place) => entries[*place.get()].1 += weight,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(age);
                entries.push((item, weight, age));
            }
        }
    }
    for entry in &mut entries {
        entry.1 = damped(entry.1);
    }
    entries
}
