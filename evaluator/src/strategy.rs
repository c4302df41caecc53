//! What to offer whom.

pub mod budget;
pub mod choose;
pub mod displace;
pub mod generate;
pub mod knapsack;
pub mod ledger;
pub mod measure;
pub mod plan;
pub mod terms;
pub mod uniform;
