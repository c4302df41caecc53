//! An ordinary shop in a sandbox: its people, its catalogue, its own books, and the properties that the services must
//! have at the end of every simulated day.
//!
//! Events carry times of past days; the server's clock is real. Within a "minute" (a batch of visits) the catalogue
//! stands still, so that every answer of the minute can be judged by it.

pub mod books;
pub mod catalogue;
pub mod checks;
pub mod client;
pub mod people;
pub mod play;
pub mod visit;

use std::time::Duration;

use chrono::{DateTime, NaiveDate};

/// The shop's time zone. Its offset is constant and no whole hour, so that days can be told here by plain arithmetic.
pub const TIME_ZONE: &str = "Asia/Kolkata";
/// Seconds by which the shop's clock is ahead of UTC.
const UTC_OFFSET: i64 = 19_800;
/// Seconds in a day.
pub const DAY: i64 = 86_400;
/// The running experiment.
pub const EXPERIMENT: &str = "home-order";

/// How large the shop is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of people.
    pub people: usize,
    /// Number of items at the start.
    pub items: usize,
    /// Number of simulated days.
    pub days: u32,
    /// Visits of a day as a share of the people.
    pub visit_rate: f64,
    /// Items that Personalise is asked for in one visit.
    pub placements: u32,
    /// Items looked at beside them in one visit.
    pub browsed: usize,
    /// Visits that happen side by side, between which the catalogue stands still.
    pub visits_a_minute: usize,
    /// Time after which a change of the catalogue must be visible in every replica.
    pub visibility: Duration,
    /// Seed of all chance.
    pub seed: u64,
}

/// The day of the shop's calendar that contains `at`, seconds since 1970.
pub fn local_day(at: i64) -> NaiveDate {
    DateTime::from_timestamp(at + UTC_OFFSET, 0).unwrap_or_default().date_naive()
}

/// The moment at which the first of `days` whole past days of the shop begins, as seen at `now`.
pub fn first_midnight(now: i64, days: u32) -> i64 {
    (now + UTC_OFFSET).div_euclid(DAY) * DAY - UTC_OFFSET - i64::from(days) * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_the_shop_begins_at_half_past_six_in_the_evening_utc() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").timestamp();
        assert_eq!(local_day(at("2026-11-29T18:29:59Z")).to_string(), "2026-11-29");
        assert_eq!(local_day(at("2026-11-29T18:30:00Z")).to_string(), "2026-11-30");
        assert_eq!(first_midnight(at("2026-11-30T16:00:00Z"), 2), at("2026-11-27T18:30:00Z"));
    }
}
