//! Days, weeks and months of a time zone, with daylight saving time.
//!
//! The IANA time zone database is compiled in (chrono-tz): no file of the system is read. Moments are microseconds since
//! 1970 UTC, as everywhere in the services; only where a day begins and what it is called depend on the zone.

use chrono::{
    DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, TimeZone as _, Timelike as _, Utc,
};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Serialize};

use crate::config::Problems;

/// The shop's own settings, alike in every service that counts by days.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShopConfig {
    /// IANA time zone of the shop's days, weeks and months, such as `Europe/Berlin`.
    pub time_zone: String,
}

impl Default for ShopConfig {
    fn default() -> Self {
        Self { time_zone: "UTC".into() }
    }
}

impl ShopConfig {
    /// Adds a problem if the time zone is not known.
    pub fn validate(&self, problems: &mut Problems) {
        if let Err(error) = self.calendar() {
            problems.add("shop.time_zone", error);
        }
    }

    /// Returns the calendar of the shop's time zone.
    ///
    /// # Errors
    /// The time zone is not known.
    pub fn calendar(&self) -> Result<Calendar, UnknownTimeZone> {
        Calendar::new(&self.time_zone)
    }
}

/// The name is not one of the IANA time zone database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an IANA time zone such as \"Europe/Berlin\" or \"UTC\", is {0:?}")]
pub struct UnknownTimeZone(String);

/// Length of a calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// A calendar day: 24 hours, 23 or 25 where the clock is changed.
    Day,
    /// An ISO week, from Monday on.
    Week,
    /// A calendar month.
    Month,
}

/// The calendar of one time zone. Cheap to copy.
///
/// Days are cut so that they never overlap and leave nothing out: a day begins at the first moment whose local date is
/// that day, even where midnight is skipped or happens twice, and ends where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar(Tz);

/// The longest accepted name, bytes; the longest of the database has 32.
const MAX_NAME_BYTES: usize = 64;
const MICROS_PER_SECOND: i64 = 1_000_000;
/// Moments from the year 1 to the end of the year 9999, which the wire's timestamps hold; others count as the nearest.
const MOMENTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

fn clamped(at: i64) -> i64 {
    at.clamp(*MOMENTS.start(), *MOMENTS.end())
}

impl Calendar {
    /// The calendar of coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// Returns the calendar of the IANA time zone `name`; names are case-sensitive.
    ///
    /// # Errors
    /// The name is not in the database.
    pub fn new(name: &str) -> Result<Self, UnknownTimeZone> {
        let known = (name.len() <= MAX_NAME_BYTES).then(|| name.parse().ok()).flatten();
        known.map(Self).ok_or_else(|| UnknownTimeZone(name.chars().take(MAX_NAME_BYTES).collect()))
    }

    /// Returns the IANA name of the time zone.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Returns the day that contains the moment `at`.
    pub fn date(&self, at: i64) -> NaiveDate {
        let at = clamped(at);
        let local = self.local(at).date();
        // Where a clock is set back across midnight, the new day has begun although its local date is the old one.
        match local.succ_opt() {
            Some(next) if self.start_of_date(next) <= at => next,
            _ => local,
        }
    }

    /// Returns the day that contains the moment `at` as days since 1 January 1970.
    pub fn day_number(&self, at: i64) -> i32 {
        const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
        if *self == Self::UTC {
            return clamped(at).div_euclid(MICROS_PER_DAY) as i32;
        }
        self.date(at).signed_duration_since(NaiveDate::default()).num_days() as i32
    }

    /// Returns the local hour, 0 to 23, of the moment `at`.
    pub fn hour(&self, at: i64) -> u32 {
        self.local(at).hour()
    }

    /// Returns the first moment of `date`. A day that the zone skipped begins, and ends, where the next one does.
    pub fn start_of_date(&self, date: NaiveDate) -> i64 {
        let midnight = NaiveDateTime::from(date);
        let first = self.0.from_local_datetime(&midnight).earliest();
        let first = first.or_else(|| GapInfo::new(&midnight, &self.0).and_then(|gap| gap.end));
        first.map_or_else(|| midnight.and_utc().timestamp_micros(), |first| first.timestamp_micros())
    }

    /// Returns the first day of the period that contains the moment `at`: the day itself, its Monday or its month's first.
    pub fn first_date(&self, period: Period, at: i64) -> NaiveDate {
        period.first_date(self.date(at))
    }

    /// Returns the first moment of the period that contains the moment `at`.
    pub fn start(&self, period: Period, at: i64) -> i64 {
        self.start_of_date(self.first_date(period, at))
    }

    /// Returns the first moment after the period that contains the moment `at`: always later than `at`.
    pub fn end(&self, period: Period, at: i64) -> i64 {
        let at = clamped(at);
        let mut first = self.first_date(period, at);
        loop {
            first = period.next_date(first);
            let start = self.start_of_date(first);
            if start > at || first == NaiveDate::MAX {
                return start;
            }
        }
    }

    fn local(self, at: i64) -> NaiveDateTime {
        let utc =
            DateTime::<Utc>::from_timestamp(clamped(at).div_euclid(MICROS_PER_SECOND), 0).unwrap_or_default();
        utc.with_timezone(&self.0).naive_local()
    }
}

impl Period {
    /// Returns the first day of the period that contains `date`.
    pub fn first_date(self, date: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => date,
            Self::Week => {
                let days = Days::new(date.weekday().num_days_from_monday().into());
                date.checked_sub_days(days).unwrap_or(NaiveDate::MIN)
            }
            Self::Month => date.with_day(1).unwrap_or(date),
        }
    }

    /// Returns the first day of the period after the one that begins with `first`.
    pub fn next_date(self, first: NaiveDate) -> NaiveDate {
        let next = match self {
            Self::Day => first.succ_opt(),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
        };
        next.unwrap_or(NaiveDate::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * MICROS_PER_SECOND;

    fn zone(name: &str) -> Calendar {
        Calendar::new(name).expect("a known zone")
    }

    /// Microseconds of an RFC 3339 time.
    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros()
    }

    fn day_hours(zone: Calendar, noon: &str) -> i64 {
        (zone.end(Period::Day, at(noon)) - zone.start(Period::Day, at(noon))) / HOUR
    }

    #[test]
    fn days_have_23_24_or_25_hours_as_clocks_are_changed() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(day_hours(berlin, "2026-03-29T12:00:00Z"), 23);
        assert_eq!(day_hours(berlin, "2026-03-30T12:00:00Z"), 24);
        assert_eq!(day_hours(berlin, "2026-10-25T12:00:00Z"), 25);
        let new_york = zone("America/New_York");
        assert_eq!(day_hours(new_york, "2026-03-08T16:00:00Z"), 23);
        assert_eq!(day_hours(new_york, "2026-11-01T16:00:00Z"), 25);
        assert_eq!(day_hours(Calendar::UTC, "2026-03-29T12:00:00Z"), 24);
    }

    #[test]
    fn midnight_is_the_zones_own() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(berlin.start(Period::Day, at("2026-07-15T22:00:00Z")), at("2026-07-15T22:00:00Z"));
        assert_eq!(berlin.date(at("2026-07-15T21:59:59Z")).to_string(), "2026-07-15");
        assert_eq!(berlin.date(at("2026-07-15T22:00:00Z")).to_string(), "2026-07-16");
        let new_york = zone("America/New_York");
        assert_eq!(new_york.date(at("2026-01-01T04:59:59Z")).to_string(), "2025-12-31");
        assert_eq!(new_york.start(Period::Day, at("2026-01-01T12:00:00Z")), at("2026-01-01T05:00:00Z"));
        assert_eq!(
            zone("Asia/Kathmandu").start_of_date("2026-01-02".parse().expect("a date")),
            at("2026-01-01T18:15:00Z")
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let berlin = zone("Europe/Berlin");
        let sunday = at("2026-11-29T22:59:59Z");
        assert_eq!(berlin.first_date(Period::Week, sunday).to_string(), "2026-11-23");
        assert_eq!(berlin.end(Period::Week, sunday), at("2026-11-29T23:00:00Z"));
        assert_eq!(berlin.first_date(Period::Month, at("2026-10-31T23:00:00Z")).to_string(), "2026-11-01");
        assert_eq!(berlin.start(Period::Month, at("2026-11-15T00:00:00Z")), at("2026-10-31T23:00:00Z"));
        assert_eq!(berlin.end(Period::Month, at("2026-10-01T00:00:00Z")), at("2026-10-31T23:00:00Z"));
        assert_eq!(berlin.end(Period::Month, at("2026-12-31T22:00:00Z")), at("2026-12-31T23:00:00Z"));
    }

    #[test]
    fn a_day_without_midnight_begins_after_the_gap() {
        // Brazil: clocks went from 00:00 to 01:00 on 4 November 2018.
        let sao_paulo = zone("America/Sao_Paulo");
        assert_eq!(sao_paulo.start(Period::Day, at("2018-11-04T12:00:00Z")), at("2018-11-04T03:00:00Z"));
        assert_eq!(day_hours(sao_paulo, "2018-11-04T12:00:00Z"), 23);
        // Toronto: from 23:30 to 00:30 on 30 March 1919.
        let toronto = zone("America/Toronto");
        assert_eq!(toronto.start_of_date("1919-03-31".parse().expect("a date")), at("1919-03-31T04:30:00Z"));
    }

    #[test]
    fn a_midnight_that_happens_twice_begins_the_day_once() {
        // Newfoundland: clocks went from 00:01 back to 23:01 of the day before on 7 November 2010.
        let st_johns = zone("America/St_Johns");
        let first_midnight = at("2010-11-07T02:30:00Z");
        assert_eq!(st_johns.start_of_date("2010-11-07".parse().expect("a date")), first_midnight);
        for minutes in 0..180 {
            let moment = first_midnight + minutes * 60 * MICROS_PER_SECOND;
            assert_eq!(st_johns.date(moment).to_string(), "2010-11-07");
        }
        assert_eq!(st_johns.end(Period::Day, first_midnight), at("2010-11-08T03:30:00Z"));
    }

    #[test]
    fn a_day_that_was_skipped_is_empty() {
        // Samoa skipped 30 December 2011.
        let apia = zone("Pacific/Apia");
        assert_eq!(apia.end(Period::Day, at("2011-12-30T09:59:59Z")), at("2011-12-30T10:00:00Z"));
        assert_eq!(apia.date(at("2011-12-30T10:00:00Z")).to_string(), "2011-12-31");
    }

    #[test]
    fn periods_follow_each_other_without_gap_or_overlap() {
        for name in ["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "America/Sao_Paulo", "Africa/Cairo"]
        {
            let zone = zone(name);
            for period in [Period::Day, Period::Week, Period::Month] {
                let (mut start, last) =
                    (zone.start(period, at("2010-10-20T00:00:00Z")), at("2012-01-10T00:00:00Z"));
                while start < last {
                    let end = zone.end(period, start);
                    assert!(end > start, "{name} {period:?}");
                    for inside in [start, start.midpoint(end), end - 1] {
                        assert_eq!(
                            (zone.start(period, inside), zone.end(period, inside)),
                            (start, end),
                            "{name}"
                        );
                    }
                    start = end;
                }
            }
        }
    }

    #[test]
    fn unknown_zones_are_refused_by_name() {
        for name in ["", "Berlin", "europe/berlin", "UTC+1", &"x".repeat(20_000)] {
            let error = Calendar::new(name).expect_err("unknown").to_string();
            assert!(error.contains("IANA") && error.len() < 200, "{error}");
        }
        let mut problems = Problems::default();
        ShopConfig { time_zone: "Mars/Olympus".into() }.validate(&mut problems);
        assert!(!problems.is_empty());
        ShopConfig::default().calendar().expect("UTC is known");
    }

    #[test]
    fn moments_at_the_ends_of_time_do_not_panic() {
        for moment in [i64::MIN, i64::MAX, at("9999-12-31T23:59:59Z"), 0] {
            for period in [Period::Day, Period::Week, Period::Month] {
                zone("Pacific/Kiritimati").start(period, moment);
                zone("Pacific/Pago_Pago").end(period, moment);
            }
        }
    }
}
