//! Why a model cannot be fitted.

/// Why a model cannot be fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Lengths that should agree do not.
    #[error("{what}: {expected} numbers are needed, {found} are given")]
    Length {
        /// What has the wrong length.
        what: &'static str,
        /// The right one.
        expected: usize,
        /// The one found.
        found: usize,
    },
    /// There is nothing to learn from.
    #[error("no row has a weight above 0")]
    Empty,
    /// A number outside what the place takes.
    #[error("{what} of row {row} is {value}: {rule}")]
    Value {
        /// What is wrong: "target", "weight", "feature".
        what: &'static str,
        /// Its row, from 0.
        row: usize,
        /// The number.
        value: f64,
        /// What would be right.
        rule: &'static str,
    },
    /// A setting outside its range.
    #[error("{setting}: {rule}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What would be right.
        rule: &'static str,
    },
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
