//! Metrics: what is measured, kept as additive sums, read as a value with an interval.

pub mod activity;
pub mod behaviour;
pub mod cohort;
pub mod fact;
pub mod moments;
pub mod named;
pub mod report;
pub mod statistic;
pub mod sums;

pub use moments::Moments;
pub use named::Named;
pub use statistic::{MetricKind, Statistic};
pub use sums::{Figures, Sums};
