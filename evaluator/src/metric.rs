//! Metrics: what is measured, kept as additive sums, read as a value with an interval.

pub mod activity;
pub mod behaviour;
pub mod bin;
pub mod cohort;
mod column;
pub mod definition;
pub mod fact;
pub mod known;
pub mod moments;
pub mod named;
pub mod quantile;
pub mod report;
pub mod statistic;
pub mod sums;
pub mod tally;
pub mod variants;

pub use known::{Known, Metric};
pub use moments::Moments;
pub use named::Named;
pub use statistic::{Covariate, MetricKind, Statistic};
pub use sums::{Figures, Sums};
pub use tally::Tally;
