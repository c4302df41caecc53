//! Cohorts: of those who began in one period, how many came back in each period after.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chassis::calendar::{Calendar, Period};
use chrono::{Datelike as _, Days, NaiveDate};
use proto::common::v1::EventKind;

use super::activity::is_bookkeeping;
use super::fact::Fact;
use super::report::LEVEL;
use crate::stats::{Interval, interval};

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
    /// Calendar of the periods.
    pub calendar: Calendar,
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
    let index = |at: i64| index(question.period, question.calendar.date(at));
    let mut people: HashMap<&str, (i64, BTreeSet<i64>)> = HashMap::new();
    for fact in facts {
        let at = index(fact.at);
        let is = |kind: Option<EventKind>| kind.map_or(!is_bookkeeping(fact.kind), |kind| fact.kind == kind);
        if is(question.begins) {
            people.entry(&fact.unit).or_insert_with(|| (at, BTreeSet::new()));
        }
        if let Some((_, seen)) = people.get_mut(fact.unit.as_str()).filter(|_| is(question.returns)) {
            seen.insert(at);
        }
    }
    let first_whole = |from: i64| if index(from) == index(from - 1) { index(from) + 1 } else { index(from) };
    let earliest = question.from.map_or(i64::MIN, first_whole);
    let mut counts: BTreeMap<i64, (u64, BTreeMap<i64, u64>)> = BTreeMap::new();
    for (began, seen) in people.into_values().filter(|(began, _)| *began >= earliest) {
        let (units, back) = counts.entry(began).or_default();
        *units += 1;
        for at in seen {
            *back.entry(at - began).or_default() += 1;
        }
    }
    let over = index(question.until);
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
        found.push(Cohort { from: starts(question.period, began), units, retention });
    }
    let pooled =
        pooled.into_values().filter_map(|(came, of)| interval::wilson(came as f64, of as f64, LEVEL));
    (found, pooled.collect())
}

/// Number of the period that contains `date`; neighbours differ by one.
fn index(period: Period, date: NaiveDate) -> i64 {
    let day = date.signed_duration_since(NaiveDate::default()).num_days();
    match period {
        Period::Day => day,
        // 1970 began on a Thursday.
        Period::Week => (day + 3).div_euclid(7),
        Period::Month => i64::from(date.year()) * 12 + i64::from(date.month0()),
    }
}

/// The first day of a period.
fn starts(period: Period, index: i64) -> String {
    let epoch = NaiveDate::default();
    let day = |days: i64| {
        let shift = Days::new(days.unsigned_abs());
        if days < 0 { epoch.checked_sub_days(shift) } else { epoch.checked_add_days(shift) }
    };
    let date = match period {
        Period::Day => day(index),
        Period::Week => day(index * 7 - 3),
        Period::Month => i32::try_from(index.div_euclid(12))
            .ok()
            .and_then(|year| NaiveDate::from_ymd_opt(year, index.rem_euclid(12) as u32 + 1, 1)),
    };
    date.unwrap_or(epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::behaviour::tests::fact;
    use crate::metric::fact::DAY;

    fn weekly(until: i64) -> Question {
        Question {
            calendar: Calendar::UTC,
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
        let date = |at: i64| Calendar::UTC.date(at);
        let leap = date(59 * DAY + 365 * 2 * DAY);
        assert_eq!(starts(Period::Month, index(Period::Month, leap)), "1972-02-01");
        assert_eq!(starts(Period::Week, index(Period::Week, date(0))), "1969-12-29");
    }
}
