//! Cohorts: of those who began in one period, how many came back in each period after.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Datelike as _, Days, NaiveDate};
use proto::common::v1::EventKind;

use super::fact::{DAY, Fact};
use super::report::LEVEL;
use crate::stats::{Interval, interval};

/// Length of a cohort's periods, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Days.
    Day,
    /// ISO weeks.
    Week,
    /// Months.
    Month,
}

/// People who began in one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// First day of the period.
    pub from: String,
    /// How many began.
    pub units: u64,
    /// Share that came back so many periods later, from 0 on; ends where a period is not over yet.
    pub retention: Vec<Interval>,
}

/// Who begins and who comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Length of a period.
    pub period: Period,
    /// Periods followed after the first.
    pub periods: u32,
    /// What begins; `None`: anything.
    pub begins: Option<EventKind>,
    /// What is coming back; `None`: anything.
    pub returns: Option<EventKind>,
    /// Cohorts that began before this moment are not told.
    pub from: Option<i64>,
    /// Periods that end after this moment are not over.
    pub until: i64,
}

/// The cohorts in order of time, and all of them pooled.
///
/// `facts` go back to everybody's first event, so that nobody begins twice; they end before `until`. A period that is
/// not over is left out rather than counted low. Intervals are Wilson's.
pub fn cohorts(facts: &[Fact], question: &Question) -> (Vec<Cohort>, Vec<Interval>) {
    let Question { period, .. } = *question;
    let mut people: HashMap<&str, (i64, BTreeSet<i64>)> = HashMap::new();
    for fact in facts {
        let at = period.index(fact.at);
        let is = |kind: Option<EventKind>| kind.is_none_or(|kind| fact.kind == kind);
        if is(question.begins) {
            people.entry(&fact.unit).or_insert_with(|| (at, BTreeSet::new()));
        }
        if let Some((_, seen)) = people.get_mut(fact.unit.as_str()).filter(|_| is(question.returns)) {
            seen.insert(at);
        }
    }
    let earliest = question.from.map_or(i64::MIN, |from| period.first_whole(from));
    let mut counts: BTreeMap<i64, (u64, BTreeMap<i64, u64>)> = BTreeMap::new();
    for (began, seen) in people.into_values().filter(|(began, _)| *began >= earliest) {
        let (units, back) = counts.entry(began).or_default();
        *units += 1;
        for at in seen {
            *back.entry(at - began).or_default() += 1;
        }
    }
    let over = period.index(question.until);
    let mut pooled: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    let mut found = Vec::new();
    for (began, (units, back)) in counts {
        let mut retention = Vec::new();
        for after in (0..=i64::from(question.periods)).take_while(|after| began + after < over) {
            let came = back.get(&after).copied().unwrap_or(0);
            retention.extend(interval::wilson(came as f64, units as f64, LEVEL));
            let sums = pooled.entry(after).or_default();
            *sums = (sums.0 + came, sums.1 + units);
        }
        found.push(Cohort { from: period.starts(began), units, retention });
    }
    let pooled =
        pooled.into_values().filter_map(|(came, of)| interval::wilson(came as f64, of as f64, LEVEL));
    (found, pooled.collect())
}

impl Period {
    /// Number of the period of a moment, microseconds since 1970.
    fn index(self, at: i64) -> i64 {
        let day = at.div_euclid(DAY);
        match self {
            Self::Day => day,
            // 1970 began on a Thursday.
            Self::Week => (day + 3).div_euclid(7),
            Self::Month => {
                let date = DateTime::from_timestamp_micros(at).unwrap_or_default().date_naive();
                i64::from(date.year()) * 12 + i64::from(date.month0())
            }
        }
    }

    /// Number of the first period that does not begin before a moment.
    fn first_whole(self, at: i64) -> i64 {
        let index = self.index(at);
        if index == self.index(at - 1) { index + 1 } else { index }
    }

    /// The first day of a period.
    fn starts(self, index: i64) -> String {
        let epoch = NaiveDate::default();
        let day = |days: i64| {
            let shift = Days::new(days.unsigned_abs());
            if days < 0 { epoch.checked_sub_days(shift) } else { epoch.checked_add_days(shift) }
        };
        let date = match self {
            Self::Day => day(index),
            Self::Week => day(index * 7 - 3),
            Self::Month => i32::try_from(index.div_euclid(12))
                .ok()
                .and_then(|year| NaiveDate::from_ymd_opt(year, index.rem_euclid(12) as u32 + 1, 1)),
        };
        date.unwrap_or(epoch).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::behaviour::tests::fact;

    fn weekly(until: i64) -> Question {
        Question {
            period: Period::Week,
            periods: 4,
            begins: None,
            returns: None,
            from: None,
            until: until * DAY,
        }
    }

    /// Day 4 is Monday, 5 January 1970.
    #[test]
    fn those_who_began_together_are_followed_together() {
        let facts = [
            fact("a", EventKind::View, 4),
            fact("b", EventKind::View, 10),
            fact("c", EventKind::View, 11),
            fact("a", EventKind::Purchase, 12),
            fact("b", EventKind::View, 19),
            fact("c", EventKind::View, 20),
        ];
        let (found, pooled) = cohorts(&facts, &weekly(25));
        let told: Vec<(&str, u64, Vec<f64>)> = found
            .iter()
            .map(|c| (c.from.as_str(), c.units, c.retention.iter().map(|share| share.estimate).collect()))
            .collect();
        assert_eq!(told, [("1970-01-05", 2, vec![1.0, 0.5, 0.5]), ("1970-01-12", 1, vec![1.0, 1.0])]);
        let pooled: Vec<f64> = pooled.iter().map(|share| share.estimate).collect();
        assert_eq!(pooled, [1.0, 2.0 / 3.0, 0.5]);

        let buyers = Question { returns: Some(EventKind::Purchase), ..weekly(25) };
        assert!((cohorts(&facts, &buyers).0[0].retention[1].estimate - 0.5).abs() < 1e-12);
        let later = Question { from: Some(5 * DAY), ..weekly(25) };
        assert_eq!(cohorts(&facts, &later).0.len(), 1, "who began before is no newcomer");
    }

    #[test]
    fn a_week_that_is_not_over_is_not_told() {
        let facts = [fact("a", EventKind::View, 4), fact("a", EventKind::View, 11)];
        assert_eq!(cohorts(&facts, &weekly(12)).0[0].retention.len(), 1);
        assert_eq!(cohorts(&facts, &weekly(18)).0[0].retention.len(), 2);
    }

    #[test]
    fn months_are_the_calendars() {
        let leap = 59 * DAY + 365 * 2 * DAY;
        assert_eq!(Period::Month.starts(Period::Month.index(leap)), "1972-02-01");
        assert_eq!(Period::Week.starts(Period::Week.index(0)), "1969-12-29");
    }
}
