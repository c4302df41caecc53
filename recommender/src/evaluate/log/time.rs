//! Timestamps in the forms logs have them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Whole units and billionths of a whole number, a decimal, an RFC 3339 time, `YYYY-MM-DD[ HH:MM:SS]`.
pub(super) fn parse(text: &str) -> Option<(i64, u32)> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some((whole, 0));
    }
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some((time.timestamp(), time.timestamp_subsec_nanos()));
    }
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?
        .and_utc();
    Some((naive.timestamp(), naive.timestamp_subsec_nanos()))
}

/// Whole seconds since 1970 of any of these forms.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    parse(text).map(|(seconds, _)| seconds)
}

/// Whole units and billionths of a number; none where it is not finite or too large.
pub(super) fn of_number(number: f64) -> Option<(i64, u32)> {
    if number.is_nan() || number.abs() >= 9.0e18 {
        return None;
    }
    let whole = number.floor();
    Some((whole as i64, ((number - whole) * 1e9) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_seconds_and_billionths() {
        for (text, expected) in [
            ("12", (12, 0)),
            ("-1.5", (-2, 500_000_000)),
            ("1700000000123456789", (1_700_000_000_123_456_789, 0)),
            ("2010-12-01 08:26:00", (1_291_191_960, 0)),
            ("2010-12-01T09:26:00+01:00", (1_291_191_960, 0)),
            ("1970-01-02", (86_400, 0)),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in ["", "soon", "NaN", "inf", "1e300", "2010-13-01"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
