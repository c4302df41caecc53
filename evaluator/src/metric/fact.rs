//! What happened, reduced to what metrics are made of.

use proto::common::v1::{Channel, EventKind};

/// Microseconds in a day.
pub const DAY: i64 = 86_400_000_000;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Pseudonym of the person, or of the visitor where the person is not known.
    pub unit: String,
    /// What happened.
    pub kind: EventKind,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Day in the shop's time zone, days since 1 January 1970.
    pub day: i32,
    /// Where.
    pub channel: Channel,
    /// The campaign; may be empty.
    pub campaign: String,
    /// The decision it answers to; may be empty.
    pub decision: String,
    /// The offer; may be empty.
    pub offer: String,
    /// Order line bought or returned.
    pub sale: Option<Sale>,
    /// The rating given.
    pub rating: Option<f64>,
}

/// A line of an order that was bought or returned, minor units. Returns carry the same amounts with a minus sign.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sale {
    /// The order; empty: an order of its own.
    pub order: String,
    /// The item.
    pub item: String,
    /// Pieces: bought above 0, returned below 0.
    pub quantity: i64,
    /// Currency of the amounts.
    pub currency: String,
    /// Amount paid; of a return the amount paid back, at most 0.
    pub revenue: i64,
    /// Cost to the shop where known; of a return the cost recovered, at most 0.
    pub cost: Option<i64>,
    /// Tax within the revenue, where known.
    pub tax: Option<i64>,
}

impl Sale {
    /// Returns revenue less tax and cost; `None` where the cost is not known.
    pub fn profit(&self) -> Option<i64> {
        self.cost.map(|cost| self.net().saturating_sub(cost))
    }

    /// Returns revenue less tax.
    pub fn net(&self) -> i64 {
        self.revenue.saturating_sub(self.tax.unwrap_or(0))
    }

    /// Whether it was returned rather than bought.
    pub fn is_return(&self) -> bool {
        self.quantity < 0
    }
}

/// A decision made for a unit in a variant of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The decision.
    pub decision: String,
    /// The experiment.
    pub experiment: String,
    /// The variant.
    pub variant: String,
    /// The unit.
    pub unit: String,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Number of the channel.
    pub channel: i16,
    /// Segment of the unit when it was decided; empty: not known.
    pub segment: String,
}
