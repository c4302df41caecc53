//! Which goods for this person now, and why.

pub mod evaluate;
pub mod factorise;
pub mod matrix;
pub mod taste;
pub mod artefact;
pub mod config;
pub mod store;
pub mod tools;
pub mod history;
pub mod live;
pub mod profile;
pub mod rank;
pub mod train;
