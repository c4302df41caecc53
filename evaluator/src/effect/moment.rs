//! What a moment adds to what is known of a person: where and when it is.

use std::collections::BTreeMap;

use chassis::calendar::Calendar;
use proto::common::v1::Channel;

/// What names of features of the day of the week begin with.
const WEEKDAY: &str = "weekday:";
/// Days of the week from Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Place among them of the day 1970 began with.
const FIRST: i32 = 3;
/// What names of features of the hour begin with.
const DAYPART: &str = "daypart:";
/// Parts of the day, six hours each from midnight.
const DAYPARTS: [&str; 4] = ["night", "morning", "afternoon", "evening"];

/// Name of a channel in features.
pub fn channel_name(channel: Channel) -> String {
    channel.as_str_name().trim_start_matches("CHANNEL_").to_ascii_lowercase()
}

/// Name of the feature that tells the channel.
pub fn channel_feature(channel: Channel) -> String {
    format!("channel:{}", channel_name(channel))
}

/// Adds the channel to the features given by name.
pub fn with_channel(mut features: BTreeMap<String, f64>, channel: Channel) -> BTreeMap<String, f64> {
    if channel != Channel::Unspecified {
        features.entry(channel_feature(channel)).or_insert(1.0);
    }
    features
}

/// Adds the channel, and the day of the week and the part of the day of `at` (microseconds since 1970) in the shop's time
/// zone, unless the features hold these already. A flag each, and not a wave: a day never seen has no flag, and so is taken
/// for the mean of those that were.
pub fn with_moment(
    features: BTreeMap<String, f64>,
    channel: Channel,
    calendar: Calendar,
    at: i64,
) -> BTreeMap<String, f64> {
    let mut features = with_channel(features, channel);
    let day = DAYS[calendar.day_number(at).saturating_add(FIRST).rem_euclid(7) as usize];
    let part = DAYPARTS[calendar.hour(at) as usize / 6 % DAYPARTS.len()];
    for (prefix, name) in [(WEEKDAY, day), (DAYPART, part)] {
        if !features.keys().any(|known| known.starts_with(prefix)) {
            features.insert(format!("{prefix}{name}"), 1.0);
        }
    }
    features
}

/// Whether a feature of that name tells when it is, and nothing of the person.
pub fn is_of_time(name: &str) -> bool {
    name.starts_with(WEEKDAY) || name.starts_with(DAYPART)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 26 November 2026 is a Thursday, as 1 January 1970 was; the day before that was a Wednesday.
    #[test]
    fn a_moment_tells_its_channel_its_day_and_its_part_of_the_day() {
        let names = |at| {
            let found = with_moment(BTreeMap::new(), Channel::App, Calendar::UTC, at);
            found.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(1_795_651_200_000_000), ["channel:app", "daypart:night", "weekday:thu"]);
        assert_eq!(names(1_795_651_199_999_999), ["channel:app", "daypart:evening", "weekday:wed"]);
        assert_eq!(names(0)[2], "weekday:thu");
        assert_eq!(names(-1)[2], "weekday:wed");
        assert!(is_of_time("weekday:thu") && is_of_time("daypart:night") && !is_of_time("channel:app"));
    }

    #[test]
    fn a_moment_that_was_logged_stays_as_it_was() {
        let logged = [("weekday:sun".to_owned(), 1.0), ("daypart:evening".to_owned(), 1.0)].into();
        let found = with_moment(logged, Channel::Unspecified, Calendar::UTC, 0);
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["daypart:evening", "weekday:sun"]);
    }
}
