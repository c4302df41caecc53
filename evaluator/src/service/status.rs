use std::time::Duration;

use chassis::error::{FieldViolation, internal, invalid, overloaded, status, unimplemented};
use proto::validate::Violations;
use tonic::{Code, Status};

use crate::error::{Error, Violation};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(found) => {
                invalid(found.into_iter().map(|v| FieldViolation::new(v.field, v.reason, v.description)))
            }
            Error::NotFound { kind, .. } => {
                let reason = if kind == "experiment" { "EXPERIMENT_NOT_FOUND" } else { "NOT_FOUND" };
                status(Code::NotFound, reason, error.to_string())
            }
            Error::AlreadyExists { .. } => status(Code::AlreadyExists, "ALREADY_EXISTS", error.to_string()),
            Error::Precondition { reason, message } => status(Code::FailedPrecondition, reason, message),
            Error::Overloaded => overloaded(Duration::from_millis(250)),
            Error::Cancelled => status(Code::Cancelled, "CANCELLED", error.to_string()),
            Error::TooLate(message) => status(Code::DeadlineExceeded, "LOG_BEHIND", message),
            Error::Unimplemented(what) => unimplemented(what),
            Error::Store(_) | Error::Internal(_) => internal(&error),
        }
    }
}

/// Refuses unless nothing was found.
pub(super) fn refuse(found: Violations) -> Result<(), Status> {
    let found = found.into_vec();
    if found.is_empty() {
        return Ok(());
    }
    Err(invalid(found.into_iter().map(|v| FieldViolation::new(v.field, v.reason, v.description))))
}

/// Refuses unless nothing was found, at `path` where that is not empty.
pub(super) fn refuse_domain(path: &str, found: Vec<Violation>) -> Result<(), Status> {
    let mut all = Violations::new();
    for v in found {
        let field = if path.is_empty() { v.field } else { format!("{path}.{}", v.field) };
        all.add(field, v.reason, v.description);
    }
    refuse(all)
}
