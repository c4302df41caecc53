use chassis::calendar::Calendar;
use pbjson_types::{Duration, Timestamp};
use proto::common::v1 as wire;
use proto::evaluator::v1 as wire_evaluator;
use proto::validate::Violations;

use crate::metric::Moments;
use crate::stats::Interval;

/// The last second a timestamp may hold: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

pub(super) fn micros(at: &Timestamp) -> i64 {
    at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000)
}

pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

/// A length of time, microseconds.
pub(super) fn duration(micros: i64) -> Duration {
    Duration {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

pub(super) fn interval(interval: Interval) -> wire::Interval {
    let Interval { estimate, lower, upper, level } = interval;
    wire::Interval { estimate, lower, upper, level }
}

/// Returns the calendar of a request's time zone; the shop's where none is given.
pub(super) fn calendar(found: &mut Violations, base: &super::Shared, time_zone: &str) -> Calendar {
    if time_zone.is_empty() {
        return base.calendar;
    }
    Calendar::new(time_zone).unwrap_or_else(|error| {
        found.add("time_zone", "UNKNOWN_TIME_ZONE", error.to_string());
        base.calendar
    })
}

/// Checks a time.
pub(super) fn time(found: &mut Violations, field: &str, at: &Timestamp) {
    if !(0..=LAST_SECOND).contains(&at.seconds) || !(0..1_000_000_000).contains(&at.nanos) {
        found.add(field, "OUT_OF_RANGE", "must be a time from 1970 to 9999 with nanos of 0 to 999999999");
    }
}

/// The span from `from` and before `until`, checked.
pub(super) fn span(
    found: &mut Violations,
    from: Option<&Timestamp>,
    until: Option<&Timestamp>,
) -> (Option<i64>, Option<i64>) {
    for (field, at) in [("from", from), ("until", until)] {
        if let Some(at) = at {
            time(found, field, at);
        }
    }
    let (from, until) = (from.map(micros), until.map(micros));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        found.add("until", "EMPTY_SPAN", "must be after from");
    }
    (from, until)
}

impl From<wire_evaluator::Moments> for Moments {
    fn from(given: wire_evaluator::Moments) -> Self {
        let wire_evaluator::Moments {
            units,
            sum,
            sum_squares,
            denominator_sum,
            denominator_sum_squares,
            cross_sum,
            covariate_sum,
            covariate_sum_squares,
            covariate_cross_sum,
            covariate_denominator_sum,
            covariate_denominator_sum_squares,
            covariate_denominator_cross_sum,
            outcome_covariate_denominator_sum,
            denominator_covariate_sum,
            denominator_covariate_denominator_sum,
        } = given;
        Self {
            units,
            sum,
            sum_squares,
            denominator_sum,
            denominator_sum_squares,
            cross_sum,
            covariate_sum,
            covariate_sum_squares,
            covariate_cross_sum,
            covariate_denominator_sum,
            covariate_denominator_sum_squares,
            covariate_denominator_cross_sum,
            outcome_covariate_denominator_sum,
            denominator_covariate_sum,
            denominator_covariate_denominator_sum,
        }
    }
}

impl From<Moments> for wire_evaluator::Moments {
    fn from(kept: Moments) -> Self {
        let Moments {
            units,
            sum,
            sum_squares,
            denominator_sum,
            denominator_sum_squares,
            cross_sum,
            covariate_sum,
            covariate_sum_squares,
            covariate_cross_sum,
            covariate_denominator_sum,
            covariate_denominator_sum_squares,
            covariate_denominator_cross_sum,
            outcome_covariate_denominator_sum,
            denominator_covariate_sum,
            denominator_covariate_denominator_sum,
        } = kept;
        Self {
            units,
            sum,
            sum_squares,
            denominator_sum,
            denominator_sum_squares,
            cross_sum,
            covariate_sum,
            covariate_sum_squares,
            covariate_cross_sum,
            covariate_denominator_sum,
            covariate_denominator_sum_squares,
            covariate_denominator_cross_sum,
            outcome_covariate_denominator_sum,
            denominator_covariate_sum,
            denominator_covariate_denominator_sum,
        }
    }
}
