//! What a purchase brings under every arm: revenue, profit and discount from one model, so that they agree.

use boost::Objective;
use serde::{Deserialize, Serialize};

use super::Of;
use super::amounts::Amounts;
use super::baskets::{Baskets, Purchases};
use super::line::Lesson;
use crate::error::Result;

/// The fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sale {
    /// What people spend, where offers' terms are known.
    baskets: Option<Box<Baskets>>,
    revenue: Amounts,
    profit: Amounts,
    /// By arm: standard error of the mean profit of a purchase, as a share of it.
    errors: Vec<f64>,
}

/// A purchase on average, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Means {
    /// What is paid.
    pub revenue: f64,
    /// What is left for the shop.
    pub profit: f64,
    /// Discount; both are after it.
    pub discount: f64,
    /// Standard error of the profit before the discount.
    pub error: f64,
}

/// What each row brought, minor units.
#[derive(Clone, Copy)]
pub(crate) struct Sold<'a> {
    /// 1 where anything was bought, 0 elsewhere.
    pub(crate) bought: &'a [f64],
    pub(crate) revenue: &'a [f64],
    pub(crate) profit: &'a [f64],
    pub(crate) discount: &'a [f64],
}

impl Sale {
    /// Learns it from the rows where anything was bought; the values of `lesson` are not looked at.
    pub(crate) fn fit(lesson: Lesson<'_>, sold: Sold<'_>, purchases: Option<Purchases<'_>>) -> Result<Self> {
        let baskets = purchases.map_or(Ok(None), |purchases| Baskets::fit(lesson, purchases))?.map(Box::new);
        let fit = |values| {
            let lesson = Lesson { values, objective: Objective::Squared, ..lesson };
            Amounts::fit(lesson, Of::Left(sold.bought, sold.discount), sold.bought, baskets.as_deref())
        };
        let (revenue, profit) = rayon::join(|| fit(sold.revenue), || fit(sold.profit));
        let mut found = Self { revenue: revenue?, profit: profit?, errors: Vec::new(), baskets };
        found.errors = found.judge(lesson, sold);
        Ok(found)
    }

    fn judge(&self, lesson: Lesson<'_>, sold: Sold<'_>) -> Vec<f64> {
        // By arm: purchases, their predicted profit before discounts, and the squares of what that missed.
        let mut sums = vec![(0.0_f64, 0.0_f64, 0.0_f64); lesson.steps.to.len()];
        for row in (0..sold.bought.len()).filter(|&row| sold.bought[row] > 0.0) {
            let arm = lesson.action[row];
            let mean = self.means(lesson.features.row(row))[arm];
            let before = mean.profit + mean.discount;
            let sum = &mut sums[arm];
            sum.0 += 1.0;
            sum.1 += before;
            sum.2 += (sold.profit[row] + sold.discount[row] - before).powi(2);
        }
        let error = |(count, profit, squares): (f64, f64, f64)| {
            if profit > 0.0 { (squares.sqrt() / profit).min(1.0) } else { 1.0 / count.max(1.0).sqrt() }
        };
        sums.into_iter().map(error).collect()
    }

    /// A purchase of a row under every arm.
    pub fn means(&self, row: &[f64]) -> Vec<Means> {
        let spends = self.baskets.as_ref().map_or_else(Vec::new, |baskets| baskets.spends(row));
        let (revenue, discounts) = self.revenue.parts(row, &spends);
        let (profit, _) = self.profit.parts(row, &spends);
        let mean = |arm: usize| Means {
            revenue: revenue[arm] - discounts[arm],
            profit: profit[arm] - discounts[arm],
            discount: discounts[arm],
            error: self.errors.get(arm).map_or(0.0, |error| error * profit[arm].abs()),
        };
        (0..discounts.len()).map(mean).collect()
    }
}

#[cfg(test)]
mod tests;
