//! Number of distinct ids, whatever their order and however they are split and merged.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Hashes kept: up to so many distinct ids the count is exact.
const MAX_HASHES: usize = 1_024;

/// The smallest hashes of the ids seen (a k-minimum-values sketch, Bar-Yossef et al. 2002): exact up to 1 024 ids, within
/// about 3 % beyond.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Distinct(BTreeSet<u64>);

impl Distinct {
    pub(super) fn insert(&mut self, id: &str) {
        let hash = Sha256::digest(id);
        self.0.insert(hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)));
        self.trim();
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        self.trim();
    }

    pub(super) fn count(&self) -> f64 {
        match self.0.last() {
            // The k-th smallest of n uniform hashes lies near k/n of the whole range.
            Some(largest) if self.0.len() >= MAX_HASHES => {
                (MAX_HASHES - 1) as f64 / (*largest as f64 / u64::MAX as f64)
            }
            _ => self.0.len() as f64,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trim(&mut self) {
        while self.0.len() > MAX_HASHES {
            self.0.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_ids_are_counted_exactly_and_many_nearly_in_any_split() {
        let of = |ids: std::ops::Range<u32>| {
            let mut found = Distinct::default();
            ids.for_each(|id| found.insert(&format!("order-{id}")));
            found
        };
        assert!(of(0..0).count().abs() < 1e-12);
        let mut twice = of(0..700);
        twice.merge(of(300..1_000));
        assert!((twice.count() - 1_000.0).abs() < 1e-9);
        assert_eq!(twice, of(0..1_000));
        let many = of(0..50_000);
        assert!((many.count() / 50_000.0 - 1.0).abs() < 0.1, "{}", many.count());
        let mut halves = of(20_000..50_000);
        halves.merge(of(0..30_000));
        assert_eq!(halves, many);
    }
}
