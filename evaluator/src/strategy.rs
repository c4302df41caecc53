//! What to offer whom.

pub mod budget;
pub mod choose;
mod describe;
pub mod displace;
pub mod explore;
pub mod generate;
pub mod holdout;
pub mod knapsack;
pub mod ledger;
pub mod limit;
pub mod measure;
pub mod offered;
pub mod optimism;
pub mod owed;
mod people;
pub mod plan;
mod refuse;
pub mod terms;
pub mod uniform;
