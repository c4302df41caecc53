//! The best few of many scores that come in blocks, without keeping them all.

/// The `limit` best so far, the best first; of equals the lower number.
#[derive(Debug)]
pub(super) struct Top {
    limit: usize,
    best: Vec<(u32, f32)>,
}

impl Top {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, best: Vec::with_capacity(limit + 1) }
    }

    /// What a score must exceed to be among them.
    pub(super) fn bar(&self) -> f32 {
        match self.best.last() {
            Some(last) if self.best.len() == self.limit => last.1,
            _ if self.limit == 0 => f32::INFINITY,
            _ => f32::NEG_INFINITY,
        }
    }

    /// Takes one score more; numbers must ascend.
    pub(super) fn add(&mut self, number: u32, score: f32) {
        if score > self.bar() {
            let place = self.best.partition_point(|one| one.1 >= score);
            self.best.insert(place, (number, score));
            self.best.truncate(self.limit);
        }
    }

    pub(super) fn into_best(self) -> Vec<(u32, f32)> {
        self.best
    }
}
