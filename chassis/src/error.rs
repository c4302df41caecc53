//! One way to say no: a gRPC code, a machine-readable reason, and what would be right.
//!
//! Every refusal carries `google.rpc.ErrorInfo` (reason in `UPPER_SNAKE`, domain `bespoke`); bad input adds
//! `BadRequest` with a violation a field; overload adds `RetryInfo`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `ErrorInfo.domain` of every refusal.
pub const DOMAIN: &str = "bespoke";

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field as on the wire: `events[3].purchase.revenue`.
    pub field: String,
    /// `UPPER_SNAKE` reason a program can match.
    pub reason: &'static str,
    /// What is wrong and what would be right.
    pub description: String,
}

impl FieldViolation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Self {
        Self { field: field.into(), reason, description: description.into() }
    }
}

/// `INVALID_ARGUMENT` naming every violated field; the message names the first.
pub fn invalid(violations: impl IntoIterator<Item = FieldViolation>) -> Status {
    let mut details = ErrorDetails::new();
    let mut message = String::new();
    let mut reason = "INVALID_ARGUMENT";
    for (index, violation) in violations.into_iter().enumerate() {
        if index == 0 {
            message = format!("{}: {}", violation.field, violation.description);
            reason = violation.reason;
        }
        let described = format!("{} ({})", violation.description, violation.reason);
        details.add_bad_request_violation(violation.field, described);
    }
    details.set_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// `INVALID_ARGUMENT` for one field.
pub fn invalid_field(
    field: impl Into<String>,
    reason: &'static str,
    description: impl Into<String>,
) -> Status {
    invalid([FieldViolation::new(field, reason, description)])
}

/// A refusal with `code`, `reason` (`UPPER_SNAKE`) and a message that says what to do next.
pub fn status(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new()))
}

/// `RESOURCE_EXHAUSTED` with `RetryInfo`: admitted work is full, come back after `retry_after`.
pub fn overloaded(retry_after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info("OVERLOADED", DOMAIN, HashMap::new());
    details.set_retry_info(Some(retry_after));
    let message = format!("overloaded: retry after {} ms", retry_after.as_millis());
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// `UNIMPLEMENTED`, saying what is missing.
pub fn unimplemented(what: &str) -> Status {
    status(Code::Unimplemented, "NOT_IMPLEMENTED", format!("not built yet: {what}"))
}

/// `INTERNAL` for a fault the caller can do nothing about. The cause is logged here, once, and kept from the caller.
pub fn internal(cause: &dyn std::fmt::Display) -> Status {
    tracing::error!(%cause, "internal error");
    status(Code::Internal, "INTERNAL", "internal error; the service's log has the cause under this trace")
}

/// The `ErrorInfo.reason` of a refusal, where it carries one.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violated_field_is_named() {
        let status = invalid([
            FieldViolation::new("limit", "OUT_OF_RANGE", "must be 1 to 1000"),
            FieldViolation::new("user_id", "EMPTY", "must not be empty"),
        ]);
        let request = status.get_details_bad_request().expect("bad request details");
        let fields: Vec<_> = request.field_violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["limit", "user_id"]);
        assert_eq!(reason(&status).as_deref(), Some("OUT_OF_RANGE"));
        assert_eq!(status.message(), "limit: must be 1 to 1000");
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let status = overloaded(Duration::from_millis(250));
        let info = status.get_details_retry_info().expect("retry info");
        assert_eq!(info.retry_delay, Some(Duration::from_millis(250)));
    }
}
