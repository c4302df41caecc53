//! Attribution: which touches earned a conversion.

pub mod bootstrap;
pub mod chain;
pub mod credit;
pub mod heuristic;
pub mod journeys;
pub mod markov;
pub mod observed;
pub mod shapley;

pub use credit::{Attribution, Credit, attribute};
pub use journeys::{Journeys, UNMATCHED};
