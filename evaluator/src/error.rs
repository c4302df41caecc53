//! Everything this service can say no with. `service/status.rs` turns it into a gRPC status, nothing else does.

/// What is wrong with one part of what a caller gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as on the wire: `arms[1].moments.sum`.
    pub field: String,
    /// `UPPER_SNAKE` reason.
    pub reason: &'static str,
    /// What is wrong, and what would be right.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Self {
        Self { field: field.into(), reason, description: description.into() }
    }
}

/// A refusal or a failure, in the domain's own terms.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong and will stay wrong.
    #[error("{}", describe(.0))]
    Invalid(Vec<Violation>),
    /// There is no such thing.
    #[error("{kind} {id:?} does not exist")]
    NotFound {
        /// What was looked for: `experiment`.
        kind: &'static str,
        /// The id given.
        id: String,
    },
    /// The thing exists with other content.
    #[error("{kind} {id:?} exists already with other content")]
    AlreadyExists {
        /// What exists.
        kind: &'static str,
        /// The id given.
        id: String,
    },
    /// Right input at the wrong moment: a state must change first.
    #[error("{message}")]
    Precondition {
        /// `UPPER_SNAKE` reason.
        reason: &'static str,
        /// What must change.
        message: String,
    },
    /// Too much is being computed already.
    #[error("the analysis pool is full; try again shortly")]
    Overloaded,
    /// Nobody waits for the answer any more.
    #[error("the caller has gone")]
    Cancelled,
    /// A position of the event log was not reached in time.
    #[error("{0}")]
    TooLate(String),
    /// The contract has it, this build does not.
    #[error("{0}")]
    Unimplemented(&'static str),
    /// The database failed. The text is for the log, never for a caller.
    #[error("the database failed: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Our own fault. The text is for the log, never for a caller.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// One wrong field.
    pub fn invalid(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation::new(field, reason, description)])
    }

    /// A state that must change first.
    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Precondition { reason, message: message.into() }
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn describe(violations: &[Violation]) -> String {
    violations.iter().map(|v| format!("{}: {}", v.field, v.description)).collect::<Vec<_>>().join("; ")
}
