//! Which goods for this person now, and why.

pub mod evaluate;
pub mod factorise;
pub mod matrix;
pub mod taste;
