//! Returns set off against the purchases they belong to.

use std::collections::HashMap;

/// A line of an order: person, order, item.
type LineKey = (String, String, String);

/// Pieces returned of each order line, not yet set off against a purchase.
#[derive(Debug, Default)]
pub(super) struct Returns {
    lines: HashMap<LineKey, Returned>,
}

#[derive(Debug, Default)]
struct Returned {
    /// Pieces not yet set off.
    left: i64,
    /// Time of the last return, in seconds since 1970.
    last_at: i64,
}

/// What became of a purchase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kept {
    /// Share of its pieces that was not returned, 0 to 1.
    pub(super) share: f32,
    /// When the last piece was returned, in seconds since 1970; none while a piece is kept.
    pub(super) undone_at: Option<i64>,
}

/// A purchase of which nothing was returned.
pub(super) const WHOLE: Kept = Kept { share: 1.0, undone_at: None };

impl Returns {
    /// Adds a return of `quantity` pieces. A return that names no order belongs to no purchase.
    pub(super) fn add(&mut self, person: &str, order: &str, item: &str, quantity: i64, at: i64) {
        if order.is_empty() {
            return;
        }
        let line = (person.to_owned(), order.to_owned(), item.to_owned());
        let returned = self.lines.entry(line).or_default();
        returned.left = returned.left.saturating_add(quantity.max(0));
        returned.last_at = returned.last_at.max(at);
    }

    /// Sets off what was returned against a purchase of `quantity` pieces. Several purchases of one line are set off
    /// one after the other, and more returned than bought is ignored.
    pub(super) fn set_off(&mut self, person: &str, order: &str, item: &str, quantity: i64) -> Kept {
        if self.lines.is_empty() || order.is_empty() || quantity <= 0 {
            return WHOLE;
        }
        let line = (person.to_owned(), order.to_owned(), item.to_owned());
        let Some(returned) = self.lines.get_mut(&line) else { return WHOLE };
        let pieces = returned.left.min(quantity);
        returned.left -= pieces;
        Kept {
            share: 1.0 - pieces as f32 / quantity as f32,
            undone_at: (pieces == quantity).then_some(returned.last_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_returns_add_up_and_never_exceed_what_was_bought() {
        let mut returns = Returns::default();
        returns.add("p", "o", "i", 1, 10);
        returns.add("p", "o", "i", 4, 20);
        let kept = returns.set_off("p", "o", "i", 2);
        assert_eq!(kept, Kept { share: 0.0, undone_at: Some(20) });
        let kept = returns.set_off("p", "o", "i", 4);
        assert!((kept.share - 0.25).abs() < 1e-6 && kept.undone_at.is_none(), "3 of 4 were left to set off");
        assert_eq!(returns.set_off("p", "o", "i", 5), WHOLE);
        assert_eq!(returns.set_off("p", "", "i", 5), WHOLE, "a purchase without an order");
    }
}
