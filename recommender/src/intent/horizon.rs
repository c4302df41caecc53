//! Whether a person buys within any number of days: a discrete-time hazard (Singer and Willett 1993).
//!
//! Days ahead are cut into spans. One model tells the probability of a first purchase in a span, given none before it;
//! P(h) = 1 − Π(1 − hazard), so a longer horizon is never less probable than a shorter one. A horizon within a span has
//! its hazard in proportion.

use std::collections::BTreeMap;

use ndarray::Array2;
use proto::common::v1::EventKind;
use serde::{Deserialize, Serialize};

use super::person::{Act, NAMES, features};
use super::{
    Compared, Feature, Intent, IntentError, Learner, Report, Sample, choose, drivers, log_odds, scatter,
};

const DAY: i64 = 86_400;
/// Days ahead at which spans end.
const EDGES: [u32; 9] = [1, 3, 7, 14, 21, 30, 45, 60, 90];
/// Moments in the past from which the future is learnt, at most.
const MOMENTS: i64 = 8;
/// Days of events wanted at least.
const LEAST_DAYS: u32 = 6;
/// Rows that are learnt from and that learners are compared on, at most.
const MOST_ROWS: usize = 40_000;
const COMPARED_ROWS: usize = 6_000;
const FOLDS: u32 = 3;
/// Standard normal quantile of a one-sided test at 5 %.
const ONE_SIDED_95: f64 = 1.645;

/// A model of who buys when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Buying {
    intent: Intent,
    /// Days at which the spans end.
    edges: Vec<u32>,
    /// Hazard of each span for somebody of whom nothing is known: that of everyone.
    base: Vec<f64>,
}

/// What is told of one person.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Probability of a purchase within the horizon.
    pub probability: f64,
    /// Each feature's addition to the log-odds over an ordinary person's, the strongest first.
    pub drivers: Vec<(&'static str, f64)>,
    /// Whether anything is known of the person.
    pub is_known: bool,
}

/// Two models on the same people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Mean of −ln of the probability that this model gave to what happened.
    pub log_loss: f64,
    /// The same of the other model.
    pub other_log_loss: f64,
    /// Whether this model's loss is larger by more than chance explains, in a one-sided paired test at 5 %.
    pub is_worse: bool,
}

impl Buying {
    /// Learns from everyone's `people`, the acts of each the oldest first. Runs on rayon's threads.
    ///
    /// # Errors
    /// Events that span too few days, too few purchases, or `told` saying no.
    pub fn learn(
        people: &[Vec<Act>],
        seed: u64,
        told: &(dyn Fn(&Compared) -> bool + Sync),
    ) -> Result<(Self, Report), IntentError> {
        let (sample, edges, base) = sample(people, seed)?;
        let some = thinned(&sample, COMPARED_ROWS, seed);
        let (small, report) = choose(&some, &Learner::ALL, FOLDS, seed, told)?;
        let intent = if some.outcomes.len() == sample.outcomes.len() {
            small
        } else {
            // Compared on some, fitted on all.
            choose(&sample, &[report.chosen], FOLDS, seed, told)?.0
        };
        Ok((Self { intent, edges, base }, report))
    }

    /// The longest horizon that the events have shown, in days.
    pub fn longest(&self) -> u32 {
        self.edges.last().copied().unwrap_or(0)
    }

    /// How it was found.
    pub fn learner(&self) -> Learner {
        self.intent.learner
    }

    /// The probability that a person with these `acts`, the oldest first, buys within `days` of `now`, and why.
    /// `days` above [`Buying::longest`] count as that.
    pub fn predict(&self, acts: &[Act], now: i64, days: u32) -> Prediction {
        let before = acts.partition_point(|act| act.at <= now);
        if before == 0 {
            let probability = self.through(days, |span| self.base[span]);
            return Prediction { probability, drivers: Vec::new(), is_known: false };
        }
        let person = features(&acts[..before], now);
        let usual = &self.intent.usual[..NAMES.len()];
        let of = |rows: ndarray::ArrayView2<'_, f64>| -> Vec<f64> {
            self.probabilities(rows, days).into_iter().map(log_odds).collect()
        };
        let row = Array2::from_shape_fn((1, NAMES.len()), |(_, column)| person[column]);
        let shares = drivers::shapley(&person, usual, &of);
        let mut drivers: Vec<(&'static str, f64)> = NAMES.into_iter().zip(shares).collect();
        drivers.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        Prediction { probability: self.probabilities(row.view(), days)[0], drivers, is_known: true }
    }

    /// Log-losses of this model and of `other` on `people` that neither was fitted to; nothing where those are too few
    /// to tell.
    pub fn compare(&self, other: &Self, people: &[Vec<Act>], seed: u64) -> Option<Losses> {
        let (sample, _, _) = sample(people, seed).ok()?;
        // Spans begin at the same days in every model; one of fewer days has fewer of them.
        let spans = self.edges.len().min(other.edges.len()) as f64;
        let told = |row: &usize| sample.values[[*row, NAMES.len()]] < spans;
        let rows: Vec<usize> = (0..sample.outcomes.len()).filter(told).collect();
        let sample = sample.rows(&rows);
        if !sample.outcomes.contains(&true) || !sample.outcomes.contains(&false) {
            return None;
        }
        let losses = |model: &Self| -> Vec<f64> {
            let told = model.intent.probabilities(sample.values.view());
            let pairs = told.iter().zip(&sample.outcomes);
            pairs.map(|(p, came)| -(if *came { *p } else { 1.0 - p }).max(1e-15).ln()).collect()
        };
        let (own, others) = (losses(self), losses(other));
        // A person's rows go together: the differences of people, not of rows, are independent.
        let mut differences: BTreeMap<u32, f64> = BTreeMap::new();
        for ((own, other), person) in own.iter().zip(&others).zip(&sample.groups) {
            *differences.entry(*person).or_default() += own - other;
        }
        let people = differences.len() as f64;
        let mean = differences.values().sum::<f64>() / people;
        let squares: f64 = differences.values().map(|one| (one - mean) * (one - mean)).sum();
        let error = (squares / (people - 1.0).max(1.0) / people).sqrt();
        let rows = own.len() as f64;
        Some(Losses {
            log_loss: own.iter().sum::<f64>() / rows,
            other_log_loss: others.iter().sum::<f64>() / rows,
            is_worse: mean > ONE_SIDED_95 * error,
        })
    }

    fn probabilities(&self, people: ndarray::ArrayView2<'_, f64>, days: u32) -> Vec<f64> {
        let spans = self.edges.len();
        let mut rows = Array2::zeros((people.nrows() * spans, NAMES.len() + 1));
        for (person, values) in people.rows().into_iter().enumerate() {
            for span in 0..spans {
                let mut row = rows.row_mut(person * spans + span);
                row.iter_mut().zip(values).for_each(|(to, value)| *to = *value);
                row[NAMES.len()] = span as f64;
            }
        }
        let hazards = self.intent.probabilities(rows.view());
        hazards.chunks(spans).map(|hazards| self.through(days, |span| hazards[span])).collect()
    }

    fn through(&self, days: u32, hazard: impl Fn(usize) -> f64) -> f64 {
        let (mut stays, mut from) = (1.0_f64, 0);
        for (span, &until) in self.edges.iter().enumerate() {
            let share = f64::from(days.clamp(from, until) - from) / f64::from(until - from);
            stays *= (1.0 - hazard(span)).powf(share);
            from = until;
        }
        1.0 - stays
    }
}

/// The first of `times`, the last of which is `last`; where the oldest hundredth of them stretch the time to more than twice
/// its length, the first of the others: events of a wrong clock, decades old, must not decide where moments lie.
fn beginning(times: &mut [i64], last: i64) -> i64 {
    let Some(&oldest) = times.iter().min() else { return 0 };
    let hundredth = times.len() / 100;
    let usual = *times.select_nth_unstable(hundredth).1;
    if usual - oldest > last - usual { usual } else { oldest }
}

/// Rows of (features, span) with whether the first purchase fell into the span; the spans' ends; their mean hazards.
fn sample(people: &[Vec<Act>], seed: u64) -> Result<(Sample, Vec<u32>, Vec<f64>), IntentError> {
    let mut times: Vec<i64> = people.iter().flatten().map(|act| act.at).collect();
    let last = times.iter().max().copied().unwrap_or(0);
    let first = beginning(&mut times, last);
    let days = (last - first) as f64 / DAY as f64;
    let edges: Vec<u32> = EDGES.into_iter().filter(|edge| f64::from(*edge) <= days / 3.0).collect();
    if days < f64::from(LEAST_DAYS) {
        return Err(IntentError::TooShort { days, least: LEAST_DAYS });
    }
    // From a third of the time on, so that each moment has a past; the last moment has one day ahead of it.
    let (from, until) = (first + (last - first) / 3, last - DAY);
    let moments = MOMENTS.min((until - from) / DAY + 1).max(1);
    let moment = |n: i64| until - (until - from) * n / moments;
    let spans = edges.len();
    let (mut values, mut outcomes, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = vec![(0.0_f64, 0.0_f64); spans];
    // Everyone's rows would be too many: whole people are taken, evenly.
    let most_people = (MOST_ROWS / (moments as usize * spans).max(1)).max(1);
    let stride = people.len().div_ceil(most_people).max(1);
    for (person, acts) in people.iter().enumerate().step_by(stride) {
        for moment in (0..moments).map(moment) {
            let before = acts.partition_point(|act| act.at <= moment);
            if before == 0 {
                continue;
            }
            let known = features(&acts[..before], moment);
            let next = acts[before..].iter().find(|act| act.kind == EventKind::Purchase).map(|act| act.at);
            let mut begins = moment;
            for (span, edge) in edges.iter().enumerate() {
                let ends = moment + i64::from(*edge) * DAY;
                if ends > last {
                    break;
                }
                let came = next.is_some_and(|at| at > begins && at <= ends);
                values.extend(known);
                values.push(span as f64);
                outcomes.push(came);
                groups.push((scatter(person as u64, seed) >> 32) as u32);
                seen[span].0 += f64::from(came);
                seen[span].1 += 1.0;
                if came {
                    break;
                }
                begins = ends;
            }
        }
    }
    let base = seen.iter().map(|(came, rows)| came / rows.max(1.0)).collect();
    let names = NAMES.into_iter().chain(["days_ahead"]);
    let features: Vec<Feature> = names.map(Feature::number).collect();
    let values = Array2::from_shape_vec((outcomes.len(), features.len()), values)
        .map_err(|cause| IntentError::Sheet(cause.to_string()))?;
    Ok((Sample { features, values, outcomes, groups }, edges, base))
}

/// At most about `most` rows, whole groups, evenly.
fn thinned(sample: &Sample, most: usize, seed: u64) -> Sample {
    let parts = sample.outcomes.len().div_ceil(most) as u32;
    if parts <= 1 {
        return sample.clone();
    }
    let part = sample.folds(parts, seed ^ 0x7117);
    let places: Vec<usize> = (0..part.len()).filter(|row| part[*row] == 0).collect();
    sample.rows(&places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_events_of_a_wrong_clock_do_not_stretch_the_time() {
        let mut times: Vec<i64> = (1_000_000..1_001_000).collect();
        assert_eq!(beginning(&mut times, 1_000_999), 1_000_000);
        times.extend([0, 5]);
        assert!((1_000_000..1_000_020).contains(&beginning(&mut times, 1_000_999)));
        assert_eq!(beginning(&mut [], 0), 0);
    }

    /// Every fourth person buys each week, the others each sixtieth day or so; everyone looks around in between.
    fn people() -> Vec<Vec<Act>> {
        let one = |person: i64| {
            let every = if person % 4 == 0 { 7 } else { 60 };
            let offset = person * 13 % every;
            let mut acts: Vec<Act> = (0..240)
                .filter(|day| (day + offset) % every == 0)
                .map(|day| Act::new(day * DAY + person, EventKind::Purchase, 900))
                .collect();
            acts.extend((0..60).map(|n| Act::new(n * 4 * DAY + 7, EventKind::View, 0)));
            acts.sort_by_key(|act| act.at);
            acts
        };
        (0..160).map(one).collect()
    }

    #[test]
    fn habits_are_learnt_and_a_longer_horizon_is_never_less_probable() {
        let people = people();
        let (model, report) = Buying::learn(&people, 1, &|_| true).expect("learns");
        assert!(report.calibrated.auc > 0.9, "{report:?}");
        assert!(report.calibrated.log_loss < 0.5 * report.base_log_loss, "{report:?}");
        let now = 240 * DAY;
        let weekly = model.predict(&people[4], now, 7);
        let rare = model.predict(&people[5], now, 7);
        assert!(weekly.probability > 0.8 && rare.probability < 0.3, "{weekly:?} {rare:?}");
        assert!(weekly.is_known && !weekly.drivers.is_empty());
        let mut before = 0.0;
        for days in [1, 2, 5, 7, 20, 30, 60] {
            let now = model.predict(&people[5], now, days).probability;
            assert!((before..=1.0).contains(&now), "{days} days: {now} after {before}");
            before = now;
        }
        let nobody = model.predict(&[], now, 7);
        assert!(!nobody.is_known && rare.probability < nobody.probability, "{nobody:?}");
    }

    #[test]
    fn too_little_is_said_to_be_too_little() {
        let once = vec![vec![Act::new(0, EventKind::Purchase, 1)]];
        assert!(matches!(Buying::learn(&once, 1, &|_| true), Err(IntentError::TooShort { .. })));
        let looks: Vec<Act> = (0..90).map(|day| Act::new(day * DAY, EventKind::View, 0)).collect();
        assert!(matches!(Buying::learn(&[looks], 1, &|_| true), Err(IntentError::TooFew { .. })));
    }
}
