//! Attribution: which touches earned a conversion.

pub mod absorption;
pub mod analysis;
pub mod bootstrap;
pub mod calibrate;
pub mod chain;
pub mod credit;
pub mod heuristic;
pub mod journeys;
pub mod markov;
mod names;
pub mod observed;
pub mod shapley;
mod walk;
pub mod whole;
pub mod window;

pub use credit::{Attribution, Credit, attribute};
pub use journeys::{Counts, Journeys, UNMATCHED};
pub use window::{Repeats, Window};
