//! The metrics that have a name, and what each is made of.

use super::activity::Activity;
use super::fact::DAY;
use super::{Figures, MetricKind};

/// A metric with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// Clicks ÷ impressions.
    Ctr,
    /// Share of people who bought.
    Cr,
    /// Revenue ÷ orders.
    Aov,
    /// Revenue: a person's mean in an experiment, the total in a report.
    Revenue,
    /// Revenue less tax and cost, of the lines whose cost is known: mean or total likewise.
    Profit,
    /// Share of people seen again a week after: in an experiment within [`RETENTION`] of the first exposure, in a report on
    /// the day that is asked for.
    Retention,
    /// Mean satisfaction given in surveys.
    Satisfaction,
    /// Mean rating given to items.
    ProductRating,
}

/// When retention looks in an experiment, microseconds after a unit's first exposure: on the seventh day.
pub const RETENTION: std::ops::Range<i64> = 7 * DAY..8 * DAY;

/// All of them.
pub const ALL: [Named; 8] = [
    Named::Ctr,
    Named::Cr,
    Named::Aov,
    Named::Revenue,
    Named::Profit,
    Named::Retention,
    Named::Satisfaction,
    Named::ProductRating,
];

impl Named {
    /// The metric of that name.
    pub fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ctr => "CTR",
            Self::Cr => "CR",
            Self::Aov => "AOV",
            Self::Revenue => "REVENUE",
            Self::Profit => "PROFIT",
            Self::Retention => "RETENTION",
            Self::Satisfaction => "SATISFACTION",
            Self::ProductRating => "PRODUCT_RATING",
        }
    }

    /// What it is made of.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::Ctr | Self::Aov | Self::Satisfaction | Self::ProductRating => MetricKind::Ratio,
            Self::Cr | Self::Retention => MetricKind::Proportion,
            Self::Revenue | Self::Profit => MetricKind::Mean,
        }
    }

    /// Whether it is an amount of money.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Aov | Self::Revenue | Self::Profit)
    }

    /// One person's numerator and denominator; money in `currency`.
    pub fn pair(self, activity: &Activity, currency: &str) -> (f64, f64) {
        let money = activity.money.get(currency);
        match self {
            Self::Ctr => (f64::from(activity.clicks), f64::from(activity.impressions)),
            Self::Cr => (f64::from(u8::from(activity.purchases > 0)), 1.0),
            Self::Aov => money
                .map_or((0.0, 0.0), |money| (money.revenue as f64, activity.orders(Some(currency)) as f64)),
            Self::Revenue => (money.map_or(0.0, |money| money.revenue as f64), 1.0),
            Self::Profit => (activity.profit(currency) as f64, 1.0),
            Self::Retention => (f64::from(u8::from(activity.retained)), 1.0),
            Self::Satisfaction => (activity.surveys.sum, f64::from(activity.surveys.count)),
            Self::ProductRating => (activity.product_ratings.sum, f64::from(activity.product_ratings.count)),
        }
    }

    /// How many parts of the metric's unit its exact sums count: ratings may have decimals.
    pub fn scale(self) -> f64 {
        if matches!(self, Self::Satisfaction | Self::ProductRating) { 1e6 } else { 1.0 }
    }

    /// One person's exact figures, with what the person did `before`; money in `currency`.
    pub fn figures(self, activity: &Activity, before: &Activity, currency: &str) -> Figures {
        let (outcome, denominator) = self.pair(activity, currency);
        let (covariate, covariate_denominator) = self.pair(before, currency);
        let scaled = |value: f64| (value * self.scale()).round() as i64;
        let is_ratio = self.kind() == MetricKind::Ratio;
        Figures {
            outcome: scaled(outcome),
            denominator: denominator as i64,
            covariate: scaled(covariate),
            covariate_denominator: if is_ratio { covariate_denominator as i64 } else { 0 },
        }
    }
}
