//! Deeds by number: people's and items' names are kept once, however many rows they are in.

use std::collections::HashMap;

use crate::algorithm::{Histories, Past};
use crate::history::{Dated, keep_last_ratings, visits};
use crate::signals::Signals;
use crate::store::Deed;

/// Everybody's deeds, as they come from the database in order of time.
#[derive(Debug)]
pub struct Numbered {
    signals: Signals,
    numbers: HashMap<String, u32>,
    columns: HashMap<String, u32>,
    /// One list a person, the oldest first.
    people: Vec<Vec<Dated>>,
    item_ids: Vec<String>,
}

impl Numbered {
    /// Nobody's deeds yet.
    pub fn new(signals: Signals) -> Self {
        let (numbers, columns) = (HashMap::new(), HashMap::new());
        Self { signals, numbers, columns, people: Vec::new(), item_ids: Vec::new() }
    }

    /// Takes one deed more; it must not be older than the last. A deed that tells nothing is left out, and one that
    /// says the same once more.
    pub fn add(&mut self, deed: Deed) {
        let (kind, strength) = (deed.kind, self.signals.strength(&deed));
        let weight = self.signals.weight(kind) * strength;
        if weight == 0.0 {
            return;
        }
        let next = self.people.len() as u32;
        let person = *self.numbers.entry(deed.person).or_insert(next);
        if person == next {
            self.people.push(Vec::new());
        }
        let item = self.columns.get(&deed.item_id).copied().unwrap_or_else(|| {
            let next = self.item_ids.len() as u32;
            self.item_ids.push(deed.item_id.clone());
            self.columns.insert(deed.item_id, next);
            next
        });
        let deed = Dated { item, weight, strength, at: deed.at, kind };
        let past = &mut self.people[person as usize];
        if !self.signals.repeats(past, &deed) {
            past.push(deed);
        }
    }

    /// All there is has been taken: what machines did is left out, and the older a deed the less it tells.
    pub fn settle(&mut self) {
        for deeds in &mut self.people {
            *deeds = self.signals.by_people(deeds);
            keep_last_ratings(deeds);
        }
        self.reweigh(self.signals.clone());
    }

    /// Weighs what was settled by other signals.
    pub fn reweigh(&mut self, signals: Signals) {
        let newest = self.people.iter().filter_map(|deeds| deeds.last()).map(|deed| deed.at).max();
        for deed in self.people.iter_mut().flatten() {
            let faded = signals.faded(newest.unwrap_or(deed.at) - deed.at);
            deed.weight = signals.weight(deed.kind) * deed.strength * faded;
        }
        self.signals = signals;
    }

    /// What the deeds are weighed by.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Deeds that tell something.
    pub fn deeds(&self) -> usize {
        self.people.iter().map(Vec::len).sum()
    }

    /// Each person's deeds.
    pub fn people(&self) -> &[Vec<Dated>] {
        &self.people
    }

    /// Number of different items.
    pub fn items(&self) -> usize {
        self.item_ids.len()
    }

    /// All of it as models learn from it, and the item of each column.
    pub fn into_histories(self) -> (Histories, Vec<String>) {
        let people: Vec<Vec<Past>> = self.people.into_iter().map(|deeds| visits(&deeds)).collect();
        (Histories { people, items: self.item_ids.len() }, self.item_ids)
    }
}

impl Extend<Deed> for Numbered {
    fn extend<T: IntoIterator<Item = Deed>>(&mut self, deeds: T) {
        deeds.into_iter().for_each(|deed| self.add(deed));
    }
}
