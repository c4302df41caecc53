//! Metrics: what is measured, kept as additive sums, read as a value with an interval.

pub mod fact;
pub mod moments;
pub mod statistic;

pub use moments::Moments;
pub use statistic::{MetricKind, Statistic};
