//! Distributions and intervals: the arithmetic under every figure this service prints.
//!
//! Functions take and give plain `f64`; none returns NaN for finite input inside the stated domain.

pub mod adjust;
pub mod beta;
pub mod chi;
pub mod fisher;
pub mod interval;
pub mod normal;
pub mod posterior;
pub mod proportion;
pub mod rank;
pub mod student;

pub use interval::Interval;
