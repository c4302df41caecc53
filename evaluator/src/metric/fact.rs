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
    /// Where.
    pub channel: Channel,
    /// The campaign; may be empty.
    pub campaign: String,
    /// The decision it answers to; may be empty.
    pub decision: String,
    /// The offer; may be empty.
    pub offer: String,
    /// What was bought.
    pub sale: Option<Sale>,
    /// The rating given.
    pub rating: Option<f64>,
}

/// A line of an order, minor units.
#[derive(Debug, Clone, PartialEq)]
pub struct Sale {
    /// The order; empty: an order of its own.
    pub order: String,
    /// Currency of the amounts.
    pub currency: String,
    /// What was paid.
    pub revenue: i64,
    /// What it cost the shop, where known.
    pub cost: Option<i64>,
    /// Tax within the revenue, where known.
    pub tax: Option<i64>,
}

impl Sale {
    /// Revenue less tax and cost; `None` where the cost is not known.
    pub fn profit(&self) -> Option<i64> {
        self.cost.map(|cost| self.revenue - self.tax.unwrap_or(0) - cost)
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

/// A unit seen in a variant of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// The unit.
    pub unit: String,
    /// The variant.
    pub variant_id: String,
    /// When first, microseconds since 1970.
    pub first_at: i64,
    /// Decisions made for it in this variant.
    pub decisions: u64,
}
