//! What to offer whom.

pub mod budget;
pub mod choose;
mod describe;
pub mod displace;
pub mod generate;
pub mod knapsack;
pub mod ledger;
pub mod limit;
pub mod measure;
pub mod optimism;
mod people;
pub mod plan;
pub mod terms;
pub mod uniform;
