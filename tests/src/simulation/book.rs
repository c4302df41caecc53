//! What a policy brought, as expected and as it came.

use super::world::{Arm, Visit, World};

/// Sums over visits, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Book {
    /// Visits decided.
    pub visits: u64,
    /// Visits that were given an offer.
    pub offered: u64,
    /// Profit on average, given what was decided.
    pub expected_profit: f64,
    /// Discounts on average.
    pub expected_discount: f64,
    /// Profit as it came.
    pub profit: i64,
    /// Discounts as they came.
    pub discount: i64,
    /// Sales.
    pub sales: u64,
}

impl Book {
    /// Enters a visit.
    pub fn enter(&mut self, world: &World, visit: &Visit, arm: Arm) {
        let mean = world.mean(visit, arm);
        self.visits += 1;
        self.offered += u64::from(arm.is_some());
        self.expected_profit += mean.profit;
        self.expected_discount += mean.discount;
        if let Some(sale) = world.outcome(visit, arm) {
            self.sales += 1;
            self.profit += sale.profit();
            self.discount += sale.discount;
        }
    }
}
