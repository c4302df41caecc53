//! Linear and logistic regression with a ridge penalty on standardised features.

mod cholesky;
mod fit;
mod model;

pub use cholesky::Cholesky;
pub use fit::{logistic, ridge};
pub use model::Linear;

#[cfg(test)]
mod tests;
