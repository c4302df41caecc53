//! Offers a replica made today, by person and channel.

use std::collections::HashMap;

use crate::metric::fact::DAY;

/// Offers made on one day.
#[derive(Debug, Clone, Default)]
pub struct Offered {
    day: i64,
    counts: HashMap<(String, i32), u32>,
}

impl Offered {
    /// Counts an offer made at a moment, microseconds since 1970. A later day begins anew.
    pub fn add(&mut self, unit: &str, channel: i32, at: i64) {
        let day = at.div_euclid(DAY);
        if self.day < day {
            *self = Self { day, counts: HashMap::new() };
        }
        if self.day == day {
            *self.counts.entry((unit.to_owned(), channel)).or_default() += 1;
        }
    }

    /// Returns the offers made to a person in a channel on the day of `at`.
    pub fn count(&self, unit: &str, channel: i32, at: i64) -> u32 {
        let today = self.day == at.div_euclid(DAY);
        self.counts.get(&(unit.to_owned(), channel)).filter(|_| today).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_counted_a_day() {
        let mut offered = Offered::default();
        offered.add("u", 3, 5);
        offered.add("u", 3, 6);
        assert_eq!(
            (offered.count("u", 3, 7), offered.count("u", 4, 7), offered.count("u", 3, DAY)),
            (2, 0, 0)
        );
        offered.add("u", 3, DAY);
        assert_eq!((offered.count("u", 3, DAY), offered.count("u", 3, 7)), (1, 0));
    }
}
