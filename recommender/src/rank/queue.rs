//! Candidates from the best on, put in order only as far as somebody looks.

use std::cmp::Ordering;

use super::Candidate;

/// Candidates put in order at once, at least.
const BLOCK: usize = 64;

/// What is left to look at.
pub(super) struct Queue<'a> {
    all: Vec<Candidate<'a>>,
    /// The first so many are in order.
    ordered: usize,
    next: usize,
}

fn order(a: &Candidate, b: &Candidate) -> Ordering {
    let scores = b.score.total_cmp(&a.score).then(b.popularity.total_cmp(&a.popularity));
    scores.then_with(|| a.item.item_id.cmp(&b.item.item_id))
}

impl<'a> Queue<'a> {
    pub(super) fn new(all: Vec<Candidate<'a>>) -> Self {
        Self { all, ordered: 0, next: 0 }
    }
}

impl<'a> Iterator for Queue<'a> {
    type Item = Candidate<'a>;

    fn next(&mut self) -> Option<Candidate<'a>> {
        if self.next == self.ordered {
            let rest = &mut self.all[self.ordered..];
            // Each block as long as all before it: whoever looks at everything pays for one sort.
            let block = self.ordered.max(BLOCK).min(rest.len());
            if block < rest.len() {
                rest.select_nth_unstable_by(block, order);
            }
            rest[..block].sort_unstable_by(order);
            self.ordered += block;
        }
        let one = self.all.get(self.next).copied();
        self.next += usize::from(one.is_some());
        one
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn everything_comes_in_order() {
        let items: Vec<_> = (0..1_000)
            .map(|n| Arc::new(proto::common::v1::Item { item_id: format!("{n:04}"), ..Default::default() }))
            .collect();
        let score = |n: usize| f64::from((n * 7919 % 101) as u32);
        let all = items.iter().enumerate();
        let all = all.map(|(n, item)| Candidate {
            item,
            score: score(n),
            boost: 0.0,
            popularity: 0.0,
            column: None,
        });
        let mut sorted: Vec<Candidate> = all.clone().collect();
        sorted.sort_by(order);
        let ids = |all: Vec<Candidate>| all.iter().map(|one| one.item.item_id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(Queue::new(all.collect()).collect()), ids(sorted));
    }
}
