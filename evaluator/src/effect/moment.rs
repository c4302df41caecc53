//! What a moment adds to what is known of a person: where and when it is.

use std::collections::BTreeMap;

use proto::common::v1::Channel;

use crate::metric::fact::DAY;

/// What names of features of the day begin with.
const WEEKDAY: &str = "weekday:";
/// Days of the week from Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Place among them of the day 1970 began with.
const FIRST: i64 = 3;

/// Name of the feature that tells the channel.
pub fn channel_feature(channel: Channel) -> String {
    format!("channel:{}", channel.as_str_name().trim_start_matches("CHANNEL_").to_ascii_lowercase())
}

/// Adds the channel to the features given by name.
pub fn with_channel(mut features: BTreeMap<String, f64>, channel: Channel) -> BTreeMap<String, f64> {
    if channel != Channel::Unspecified {
        features.entry(channel_feature(channel)).or_insert(1.0);
    }
    features
}

/// Adds the channel and the day of the week of `at`, microseconds since 1970. A flag a day, and not a wave of the week:
/// a day never seen has no flag, and so is taken for the mean of those that were.
pub fn with_moment(features: BTreeMap<String, f64>, channel: Channel, at: i64) -> BTreeMap<String, f64> {
    let mut features = with_channel(features, channel);
    let day = DAYS[(at.div_euclid(DAY) + FIRST).rem_euclid(7) as usize];
    features.entry(format!("{WEEKDAY}{day}")).or_insert(1.0);
    features
}

/// Whether a feature of that name tells when it is, and nothing of the person.
pub fn is_of_time(name: &str) -> bool {
    name.starts_with(WEEKDAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 26 November 2026 is a Thursday, as 1 January 1970 was; the day before that was a Wednesday.
    #[test]
    fn a_moment_tells_its_channel_and_its_day() {
        let names = |at| {
            let found = with_moment(BTreeMap::new(), Channel::App, at);
            found.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(1_795_651_200_000_000), ["channel:app", "weekday:thu"]);
        assert_eq!(names(1_795_651_199_999_999), ["channel:app", "weekday:wed"]);
        assert_eq!(names(0)[1], "weekday:thu");
        assert_eq!(names(-1)[1], "weekday:wed");
        assert!(is_of_time("weekday:thu") && !is_of_time("channel:app"));
    }
}
