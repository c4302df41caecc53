//! Linear and logistic regression with a ridge penalty on standardised features.

mod cholesky;
mod fit;
mod model;
mod sums;

pub use cholesky::Cholesky;
pub use fit::{logistic, ridge};
pub use model::Linear;
pub use sums::{add_gram, scores};

#[cfg(test)]
mod tests;
