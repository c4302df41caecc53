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

/// `ErrorInfo.metadata` key of the number of violations that a refusal does not list.
pub const OMITTED_VIOLATIONS: &str = "omitted_violations";

/// Violations listed by one refusal at most.
const MAX_VIOLATIONS: usize = 20;
/// Characters of a field's path and of a description at most.
const MAX_DETAIL_CHARS: usize = 200;
/// Bytes of all listed violations together at most. A status travels in HTTP/2 headers, base64 and percent-encoded, and
/// common clients end the whole connection where those exceed 8 KiB.
const MAX_DETAILS_BYTES: usize = 3_500;
/// Bytes of a status message at most; percent-encoding may triple them.
const MAX_MESSAGE_BYTES: usize = 700;

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

/// `INVALID_ARGUMENT` naming the violated fields; the message names the first.
///
/// At most 20 violations are listed, each field and description cut to 200 characters, so that the headers of the answer
/// stay below 8 KiB; how many are not listed is in the message and in `ErrorInfo.metadata`.
pub fn invalid(violations: impl IntoIterator<Item = FieldViolation>) -> Status {
    let mut details = ErrorDetails::new();
    let mut message = String::new();
    let mut reason = "INVALID_ARGUMENT";
    let (mut listed, mut omitted, mut bytes) = (0_usize, 0_usize, 0_usize);
    for violation in violations {
        let field = cut(&violation.field, MAX_DETAIL_CHARS, MAX_DETAILS_BYTES);
        let description = cut(&violation.description, MAX_DETAIL_CHARS, MAX_DETAILS_BYTES);
        if listed == 0 {
            message = format!("{field}: {description}");
            reason = violation.reason;
        }
        let described = format!("{description} ({})", violation.reason);
        bytes += field.len() + described.len();
        if listed == MAX_VIOLATIONS || omitted > 0 || (bytes > MAX_DETAILS_BYTES && listed > 0) {
            omitted += 1;
            continue;
        }
        details.add_bad_request_violation(field, described);
        listed += 1;
    }
    let mut metadata = HashMap::new();
    let mut message = cut(&message, usize::MAX, MAX_MESSAGE_BYTES);
    if omitted > 0 {
        message = format!("{message} ({omitted} more violations are not listed)");
        metadata.insert(OMITTED_VIOLATIONS.to_owned(), omitted.to_string());
    }
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Returns `text` cut to at most so many characters and bytes; "…" stands for what was cut.
fn cut(text: &str, max_chars: usize, max_bytes: usize) -> String {
    const ELLIPSIS: char = '…';
    let fits =
        |(chars, (at, c)): &(usize, (usize, char))| *chars < max_chars && at + c.len_utf8() <= max_bytes;
    let end =
        text.char_indices().enumerate().take_while(fits).last().map_or(0, |(_, (at, c))| at + c.len_utf8());
    if end == text.len() {
        return text.to_owned();
    }
    let kept = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    format!("{}{ELLIPSIS}", &text[..kept])
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
    let message = cut(&message.into(), usize::MAX, MAX_MESSAGE_BYTES);
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

    /// Bytes of the headers that carry `status`.
    fn header_bytes(status: &Status) -> usize {
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).expect("headers");
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    #[test]
    fn twenty_violations_of_200_characters_are_listed_and_the_rest_counted() {
        for letter in ["x", "\u{1}", "é", "好", "🙂"] {
            let long = letter.repeat(20_000);
            let many = (0..10_000).map(|_| FieldViolation::new(&*long, "UNKNOWN_METRIC", &*long));
            let status = invalid(many);
            assert!(header_bytes(&status) < 8 * 1024, "{letter}: {} bytes", header_bytes(&status));
            let request = status.get_details_bad_request().expect("bad request details");
            let listed = request.field_violations.len();
            assert!((1..=20).contains(&listed), "{listed}");
            assert!(request.field_violations.iter().all(|v| v.field.chars().count() <= 200));
            let info = status.get_details_error_info().expect("error info");
            assert_eq!(info.metadata[OMITTED_VIOLATIONS], (10_000 - listed).to_string());
        }
        let short =
            invalid((0..30).map(|i| FieldViolation::new(format!("rows[{i}].id"), "EMPTY", "must be given")));
        assert_eq!(short.get_details_bad_request().expect("details").field_violations.len(), 20);
        assert_eq!(short.message(), "rows[0].id: must be given (10 more violations are not listed)");
        assert!(header_bytes(&super::status(Code::NotFound, "NOT_FOUND", "好".repeat(20_000))) < 8 * 1024);
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let status = overloaded(Duration::from_millis(250));
        let info = status.get_details_retry_info().expect("retry info");
        assert_eq!(info.retry_delay, Some(Duration::from_millis(250)));
    }
}
