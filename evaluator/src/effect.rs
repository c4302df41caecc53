//! What a treatment will bring to whom, learnt from logged decisions with their propensities.
//!
//! [`panel`] holds the rows; [`learner`] the S- and T-learners over [`response`] models; [`study`] compares them on rows
//! they have not seen and blends them by doubly robust loss; [`later`] is what an offer changes in the next days;
//! [`model`] is what is stored and predicts.

pub mod average;
mod blend;
pub mod calibrate;
pub mod fatigue;
mod fitting;
pub mod joint;
pub mod later;
pub mod learner;
pub mod log;
pub mod model;
pub mod moment;
pub mod outcomes;
pub mod panel;
mod pool;
pub mod qini;
pub mod response;
pub mod spread;
pub mod study;
pub mod support;
pub mod train;
pub mod uplift;

pub use model::{Estimate, Forecast, Model, Prediction};

/// The treatment every other is compared with.
pub const NONE: &str = "none";
/// Nominal coverage of the intervals.
pub const LEVEL: f64 = 0.95;
