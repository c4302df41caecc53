//! Rows of a stream that were refused, in bounded memory.

use crate::common::v1::Rejection;

/// Rejections that are named; all are counted.
pub const MAX_NAMED: usize = 10_000;

/// Rejections of one call: the first [`MAX_NAMED`] are kept, all are counted.
#[derive(Debug, Default)]
pub struct Rejections {
    named: Vec<Rejection>,
    count: u64,
}

impl Rejections {
    /// Counts a rejection, and keeps it while there is room.
    pub fn add(&mut self, rejection: Rejection) {
        self.count += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(rejection);
        }
    }

    /// The rejections kept, and how many there were.
    pub fn into_parts(self) -> (Vec<Rejection>, u64) {
        (self.named, self.count)
    }
}

impl Extend<Rejection> for Rejections {
    fn extend<I: IntoIterator<Item = Rejection>>(&mut self, rejections: I) {
        rejections.into_iter().for_each(|rejection| self.add(rejection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_named_and_all_are_counted() {
        let mut rejections = Rejections::default();
        rejections
            .extend((0..MAX_NAMED + 5).map(|n| Rejection { id: n.to_string(), ..Rejection::default() }));
        let (named, count) = rejections.into_parts();
        assert_eq!((named.len(), count), (MAX_NAMED, MAX_NAMED as u64 + 5));
        assert_eq!(named[0].id, "0");
    }
}
