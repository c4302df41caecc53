//! The size of work that a request asks for, bounded before anything is allocated for it.

use proto::validate::Violations;

/// Cells of a table, a matrix or a set of samples that one inline request may fill at most: 80 MB of numbers.
pub(super) const MAX_CELLS: u64 = 10_000_000;

/// A product of counts that decides what a request costs.
pub(super) struct Size {
    cells: u64,
    terms: Vec<String>,
}

impl Size {
    /// A single cell.
    pub(super) fn new() -> Self {
        Self { cells: 1, terms: Vec::new() }
    }

    /// Multiplies by `count` of what `name` says, such as "rows".
    #[must_use]
    pub(super) fn times(mut self, count: usize, name: &str) -> Self {
        self.cells = self.cells.saturating_mul(count as u64);
        self.terms.push(format!("{count} {name}"));
        self
    }

    /// Adds a violation of `field` if there are more cells than `max`.
    pub(super) fn check(self, found: &mut Violations, field: &str, max: u64) {
        if self.cells > max {
            let text = format!("must be at most {max}, is {}: {}", self.cells, self.terms.join(" × "));
            found.add(field, "TOO_LARGE", text);
        }
    }
}
