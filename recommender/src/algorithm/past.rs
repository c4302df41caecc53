//! What people did, in the order they did it.

use std::collections::HashMap;

use super::FitError;
use crate::matrix::Csr;

/// One thing a person did with an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Past {
    /// The item.
    pub item: u32,
    /// How much it tells: 1 for an ordinary event, below 0 for a dislike.
    pub weight: f32,
    /// Number of the visit; ascends with time, and what was done together has the same.
    pub step: u32,
}

/// Everybody's past, the oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histories {
    /// One past a person.
    pub people: Vec<Vec<Past>>,
    /// Number of items; every `item` is below it.
    pub items: usize,
}

impl Histories {
    /// The people × items matrix: log₂(1 + the sum of a pair's weights); pairs that sum to nothing are left out.
    ///
    /// # Errors
    /// An item outside the shape, a weight that is not finite, or no entry above zero.
    pub fn matrix(&self) -> Result<Csr, FitError> {
        let entries = (0..).zip(&self.people);
        let entries =
            entries.flat_map(|(row, past)| past.iter().map(move |x| (row, x.item as usize, x.weight)));
        let sums = Csr::from_triplets(self.people.len(), self.items, entries)?;
        let kept = (0..self.people.len()).flat_map(|row| {
            let positive = sums.row(row).filter(|&(_, sum)| sum > 0.0);
            positive.map(move |(item, sum)| (row, item, damped(sum)))
        });
        let matrix = Csr::from_triplets(self.people.len(), self.items, kept)?;
        if matrix.nnz() == 0 {
            let what =
                format!("{} people and {} items without an interaction", self.people.len(), self.items);
            return Err(FitError::TooLittle { what, needed: "import events first" });
        }
        Ok(matrix)
    }
}

/// Repeats tell less each time: one event of weight 1 counts 1, three count 2. What is below zero (a return,
/// a dislike) counts as it is.
fn damped(sum: f32) -> f32 {
    if sum > 0.0 { (1.0 + sum).log2() } else { sum }
}

/// An item of a past as models read it: once, however often it was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Recent {
    pub(crate) item: u32,
    /// The sum of its weights, damped.
    pub(crate) weight: f32,
    /// Visits since it was last taken.
    pub(crate) age: u32,
}

/// The items below `items` of a past, the newest first.
pub(crate) fn recent(past: &[Past], items: usize) -> Vec<Recent> {
    let mut places: HashMap<u32, usize> = HashMap::with_capacity(past.len());
    let mut entries: Vec<Recent> = Vec::with_capacity(past.len());
    let (mut age, mut step) = (0, past.last().map_or(0, |newest| newest.step));
    for one in past.iter().rev() {
        // Steps need not be dense: visits of which nothing is left are no age.
        age += u32::from(one.step != step);
        step = one.step;
        if one.item as usize >= items {
            continue;
        }
        match places.entry(one.item) {
            std::collections::hash_map::Entry::Occupied(place) => entries[*place.get()].weight += one.weight,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(entries.len());
                entries.push(Recent { item: one.item, weight: one.weight, age });
            }
        }
    }
    for entry in &mut entries {
        entry.weight = damped(entry.weight);
    }
    entries
}
