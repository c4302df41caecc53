//! What to offer whom.

pub mod uniform;
