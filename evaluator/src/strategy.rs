//! What to offer whom.

pub mod budget;
pub mod uniform;
