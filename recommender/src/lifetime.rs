//! Customer lifetime value without a contract: how often a customer still buys (BG/NBD), what an order brings
//! (Gamma-Gamma), and the recency, frequency and monetary scores shops sort customers by.

mod bg_nbd;
mod gamma_gamma;
mod hypergeometric;
mod read;
mod rfm;
mod simplex;
mod value;

pub use bg_nbd::BgNbd;
pub use gamma_gamma::GammaGamma;
pub use read::{Order, orders, summaries_in};
pub use rfm::{Rfm, rfm};
pub use value::{lifetime_value, summaries};

/// What the models need of one customer; times in one unit, such as weeks.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Summary {
    /// The customer.
    pub id: String,
    /// Purchases after the first, x.
    pub frequency: f64,
    /// From the first purchase to the last, t_x.
    pub recency: f64,
    /// From the first purchase to the end of what was observed, T.
    #[serde(rename = "T")]
    pub age: f64,
    /// Mean value of the purchases after the first; 0 where there is none.
    pub monetary: f64,
}

impl Summary {
    /// Refuses what no customer can have.
    ///
    /// # Errors
    /// A number that is not finite or below 0, a recency above the age, a purchase without a time for it.
    pub fn check(&self) -> Result<(), LifetimeError> {
        let Self { id, frequency, recency, age, monetary } = self;
        let refuse = |reason: String| Err(LifetimeError::Customer { id: id.clone(), reason });
        for (name, value) in
            [("frequency", frequency), ("recency", recency), ("T", age), ("monetary_value", monetary)]
        {
            if !(value.is_finite() && *value >= 0.0) {
                return refuse(format!("{name} must be a number of at least 0, is {value}"));
            }
        }
        if recency > age {
            return refuse(format!("recency {recency} must not be above T {age}"));
        }
        if (*frequency > 0.0) != (*recency > 0.0) {
            return refuse(format!(
                "frequency {frequency} and recency {recency} must both be 0 or both above 0"
            ));
        }
        Ok(())
    }
}

/// Customers could not be read or a model not fitted.
#[derive(Debug, thiserror::Error)]
pub enum LifetimeError {
    /// A customer's numbers make no sense.
    #[error("customer {id}: {reason}")]
    Customer {
        /// The customer.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// Too little to fit a model on.
    #[error("{0}")]
    TooLittle(&'static str),
    /// The likelihood has no maximum inside the bounds.
    #[error("the likelihood of {0} has no maximum: its parameters run to the end of their range")]
    Unbounded(&'static str),
    /// A column is missing.
    #[error("a column {wanted} is missing; the file has: {found}")]
    Column {
        /// Names that would do.
        wanted: String,
        /// Those there are.
        found: String,
    },
    /// A row cannot be read.
    #[error("row {row}: {reason}")]
    Row {
        /// Number of the row, from 1, the header not counted.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
