//! Distributions and intervals: the arithmetic under every figure this service prints.
//!
//! Functions take and give plain `f64`; none returns NaN for finite input inside the stated domain.

pub mod adjust;
pub mod chi;
pub mod interval;
pub mod normal;
pub mod student;

pub use interval::Interval;
