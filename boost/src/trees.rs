//! Gradient-boosted trees over histograms: Friedman (2001), with second-order leaves (Chen and Guestrin 2016, eq. 5–7)
//! and leaf-wise growth (Ke et al. 2017).

mod bins;
mod boosting;
mod grow;
mod histogram;
mod model;
mod settings;
mod split;

pub use boosting::fit;
pub use model::{Fork, Node, Tree, Trees};
pub use settings::{Monotone, Settings, Stopping};

#[cfg(test)]
mod tests;
