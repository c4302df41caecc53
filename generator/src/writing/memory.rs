use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What was asked for lately, by key: read without the database.
///
/// Two generations: what is read or kept goes to the young one; when that is full it becomes the old one and the old
/// one is forgotten. Every step is constant, and what is asked for at least once a generation stays.
pub(super) struct Memory<T> {
    generations: Mutex<Generations<T>>,
    most: usize,
}

struct Generations<T> {
    young: HashMap<String, T>,
    old: HashMap<String, T>,
}

impl<T: Clone> Memory<T> {
    /// A memory of at most `most` entries.
    pub(super) fn new(most: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Self { generations: Mutex::new(generations), most }
    }

    /// What is kept under `key`.
    pub(super) fn get(&self, key: &str) -> Option<T> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.young.get(key) {
            return Some(found.clone());
        }
        let found = generations.old.remove(key)?;
        generations.put(key.to_owned(), found.clone(), self.most);
        Some(found)
    }

    /// Keeps `value` under `key`.
    pub(super) fn keep(&self, key: String, value: T) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.old.remove(&key);
        generations.put(key, value, self.most);
    }
}

impl<T> Generations<T> {
    fn put(&mut self, key: String, value: T, most: usize) {
        if self.young.len() >= most.div_ceil(2).max(1) && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stays_and_what_is_not_goes() {
        let memory = Memory::new(4);
        memory.keep("asked".into(), 0);
        for n in 1..100 {
            memory.keep(n.to_string(), n);
            assert_eq!(memory.get("asked"), Some(0), "after {n}");
        }
        assert_eq!(memory.get("1"), None);
        assert_eq!(memory.get("99"), Some(99));
    }

    #[test]
    fn the_newest_value_counts_and_the_bound_holds() {
        let memory = Memory::new(4);
        memory.keep("a".into(), 1);
        memory.keep("a".into(), 2);
        assert_eq!(memory.get("a"), Some(2));
        (0..50).for_each(|n| memory.keep(n.to_string(), n));
        assert!((0..50).filter(|n| memory.get(&n.to_string()).is_some()).count() <= 4);
    }
}
