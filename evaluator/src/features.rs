//! Features of a person, computed from the evaluator's own events and decisions.
//!
//! [`history`] sums up what a person did, one event at a time and in any order; [`vector`] turns it into named features as
//! of a moment; [`replay`] rebuilds them as of past decisions; [`scale`] is how models read them.

mod distinct;
pub mod history;
pub mod replay;
pub mod scale;
pub mod vector;

pub use history::{Activity, History};
pub use vector::Features;

/// Version of the feature vector: names, units and what they are computed from. It is stored with every decision and
/// model, and vectors of two versions are never mixed. Raise it with every change to this module's output.
pub const VERSION: u32 = 1;

/// What names of the evaluator's own features of a person begin with.
pub const PERSON: &str = "person:";
