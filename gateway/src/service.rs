//! From the contract to the gateway's own parts and back; no logic.

pub mod catalogue;
pub mod events;
pub mod personalisation;
pub mod privacy;

use chassis::error::{self, FieldViolation};
use proto::common::v1::Rejection;
use proto::validate::Violation;
use tonic::{Code, Status};

use crate::outbox;

/// `INVALID_ARGUMENT` where there is any violation.
pub(crate) fn refuse(violations: Vec<Violation>) -> Result<(), Status> {
    if violations.is_empty() {
        return Ok(());
    }
    let fields = violations.into_iter();
    Err(error::invalid(fields.map(|found| FieldViolation::new(found.field, found.reason, found.description))))
}

/// The first violation of a row as its rejection.
fn rejection(id: &str, number: usize, violation: Violation) -> Rejection {
    Rejection {
        id: row_id(id, number),
        field: violation.field,
        reason: format!("{} ({})", violation.description, violation.reason),
    }
}

/// How a row is named: by its own id, or by its number from 0.
fn row_id(id: &str, number: usize) -> String {
    if id.is_empty() { format!("#{number}") } else { id.to_owned() }
}

fn not_stored(failure: &outbox::Error) -> Status {
    match failure {
        outbox::Error::Overloaded => error::overloaded(outbox::RETRY_AFTER),
        outbox::Error::Closed => {
            error::status(Code::Unavailable, "STOPPING", "this replica is stopping; send it again")
        }
        outbox::Error::Store(cause) => error::internal(cause),
    }
}
