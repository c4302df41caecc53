//! What became of the events of one call.

use proto::common::v1::RowWarning;
use proto::gateway::v1::{StreamEventsResponse, TrackEventsResponse};
use proto::rejections::{MAX_NAMED, Rejections};
use proto::validate::Violation;

use crate::service::{rejection, row_id};
use crate::token::Refused;

/// Counts of one call.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    /// Position at or before which all events stored so far stand.
    pub(super) position: i64,
    rejections: Rejections,
    warnings: Vec<RowWarning>,
    warning_count: u64,
}

impl Tally {
    /// Counts a row that is not stored.
    pub(super) fn reject(&mut self, id: &str, number: usize, found: Violation) {
        self.rejections.add(rejection(id, number, found));
    }

    /// Counts a row that is stored without its decision token.
    pub(super) fn warn(&mut self, id: &str, number: usize, refused: Refused) {
        self.warning_count += 1;
        if self.warnings.len() < MAX_NAMED {
            self.warnings.push(RowWarning {
                id: row_id(id, number),
                field: "decision_token".into(),
                reason: refused.reason().into(),
                description: format!("{refused}. The event is stored without attribution"),
            });
        }
    }
}

impl From<Tally> for TrackEventsResponse {
    fn from(tally: Tally) -> Self {
        Self {
            accepted: tally.accepted,
            duplicates: tally.duplicates,
            rejected: tally.rejections.into_parts().0,
            warnings: tally.warnings,
            log_position: tally.position.cast_unsigned(),
        }
    }
}

impl From<Tally> for StreamEventsResponse {
    fn from(tally: Tally) -> Self {
        let (rejected, rejected_count) = tally.rejections.into_parts();
        Self {
            accepted: tally.accepted,
            duplicates: tally.duplicates,
            rejected,
            warnings: tally.warnings,
            log_position: tally.position.cast_unsigned(),
            rejected_count,
            warning_count: tally.warning_count,
        }
    }
}
