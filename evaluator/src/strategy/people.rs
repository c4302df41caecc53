//! The people a plan is made for, as the log last knew them.

use std::collections::HashMap;

use proto::common::v1::{Channel, Offer};
use rayon::prelude::*;

use super::generate::Brief;
use super::knapsack::{Candidate, Use};
use super::limit::redeemed;
use super::plan::Plan;
use crate::effect::train::Outcome;
use crate::effect::{Model, Prediction};
use crate::metric::fact::DAY;

/// A log of less than an hour tells of an hour.
const LEAST_DAYS: f64 = 1.0 / 24.0;

/// A person as the log knows them.
pub(super) struct Person {
    pub(super) channel: Channel,
    pub(super) visits: f64,
    pub(super) base: f64,
    pub(super) predictions: Vec<Prediction>,
}

/// Everybody the log knows in the channels asked for, as last seen.
pub(super) fn people(brief: &Brief, model: &Model, log: &[Outcome], offers: &[Offer]) -> Vec<Person> {
    let mut last: HashMap<&str, (&Outcome, f64)> = HashMap::new();
    let suits = |row: &&Outcome| {
        brief.channels.is_empty()
            || row.channel == Channel::Unspecified
            || brief.channels.contains(&row.channel)
    };
    let (mut first_at, mut last_at) = (i64::MAX, i64::MIN);
    for row in log.iter().filter(suits) {
        first_at = first_at.min(row.at);
        last_at = last_at.max(row.at);
        let entry = last.entry(&row.unit).or_insert((row, 0.0));
        entry.0 = row;
        entry.1 += 1.0;
    }
    // Traffic goes on as it was: visits a day of the log, for the days of the window.
    let days = |micros: i64| (micros as f64 / DAY as f64).max(LEAST_DAYS);
    let factor = match brief.window {
        Some((from, until)) if last_at > i64::MIN && until < i64::MAX => {
            days(until - from) / days(last_at - first_at)
        }
        _ => 1.0,
    };
    let mut units: Vec<(&str, (&Outcome, f64))> = last.into_iter().collect();
    units.sort_by_key(|(unit, _)| *unit);
    let person = |(_, (row, visits)): (&str, (&Outcome, f64))| {
        let features = model.row(&row.features);
        let forecast = model.forecast(&features);
        let predictions = offers.iter().map(|offer| model.among(&forecast.arms, Some(offer))).collect();
        Person { channel: row.channel, visits: visits * factor, base: forecast.base, predictions }
    };
    units.into_par_iter().map(person).collect()
}

/// Each person's offers as the knapsack takes them.
pub(super) fn candidates(plan: &Plan, people: &[Person]) -> Vec<Vec<Candidate>> {
    let of = |person: &Person| {
        let outside =
            !plan.segments.is_empty() && !plan.segments.iter().any(|name| name == plan.segment(person.base));
        let value = |(offer, prediction): (&Offer, &Prediction)| {
            let value = plan.value(prediction);
            let taken = plan.uses(&offer.offer_id, person.channel, redeemed(person.base, prediction));
            // An offer has one limit and a channel one.
            let mut uses = [None; 2];
            let taken = taken
                .iter()
                .enumerate()
                .filter_map(|(limit, taken)| taken.map(|(amount, _)| (limit, amount)));
            for (place, (limit, amount)) in uses.iter_mut().zip(taken) {
                *place = Some(Use { limit, amount: amount * person.visits });
            }
            Candidate {
                value: if outside { -1.0 } else { value * person.visits },
                cost: prediction.spend.mean.max(0.0) * person.visits,
                uses,
            }
        };
        plan.offers.iter().zip(&person.predictions).map(value).collect()
    };
    people.iter().map(of).collect()
}
