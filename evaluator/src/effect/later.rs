//! What an offer changes in the days after its decision: sales it only moves forward, purchases it does not get credit
//! for, and offers of the next days that are minded less.
//!
//! Outcomes of a person's next days are far noisier than those of one decision, so little is asked of them: how the profit
//! of these days, less what is expected of the person, goes with three things an offer does — that it was made, the
//! purchases it brings, and the discount it gives. Each coefficient has a normal prior around 0 (a later day is not moved),
//! which noisy logs leave where it is.

use boost::linear::Cholesky;
use boost::{Linear, Matrix, Sample, ridge};
use serde::{Deserialize, Serialize};

use super::train::Outcome;
use crate::error::{Error, Result};
use crate::metric::fact::DAY;

/// How long after a decision a person's other outcomes are looked at, microseconds.
pub const WINDOW: i64 = 7 * DAY;
/// Things an offer does.
const TERMS: usize = 3;
/// Standard deviations of the coefficients before anything is seen: shares of a person's later profit, of the profit of
/// the purchases brought, and of the discount given.
const SPREADS: [f64; TERMS] = [0.05, 0.5, 0.5];
/// Fewer rows with their whole window in the log tell nothing.
const LEAST_ROWS: usize = 1_000;
/// Penalty of the model of what is expected of a person, in rows.
const L2: f64 = 20.0;
/// Share of rows whose later profit is cut to that of the largest others, on either side: a bulk order in a week is chance.
const CUT: f64 = 0.002;

/// What decisions change later.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Later {
    /// Profit of a person's next days without knowing what was offered.
    expected: Option<Linear>,
    /// Of each thing an offer does.
    coefficients: [f64; TERMS],
    /// Their covariance, row-major.
    covariance: Vec<f64>,
}

/// What an offer does at its own decision.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Own {
    /// Change of the profit before discounts, minor units.
    pub profit: f64,
    /// Discount, minor units.
    pub discount: f64,
}

/// Change of the profit of later days, minor units, and its squared standard error.
pub type Change = (f64, f64);

impl Later {
    /// Learns it from rows in order of time; `own` tells what a row's offer did, `None` where there was none.
    pub(super) fn fit(rows: &[&Outcome], features: &Matrix, own: &[Option<Own>]) -> Result<Self> {
        let Some(end) = rows.last().map(|row| row.at) else { return Ok(Self::default()) };
        let later = profits_after(rows);
        let known: Vec<usize> = (0..rows.len()).filter(|&row| rows[row].at + WINDOW <= end).collect();
        let offered = known.iter().filter(|&&row| own[row].is_some()).count();
        if offered < LEAST_ROWS || known.len() - offered < LEAST_ROWS {
            return Ok(Self::default());
        }
        let values = cut(known.iter().map(|&row| later[row]).collect());
        let of_known = features.select(&known);
        let expected = ridge(&Sample::new(&of_known, &values), L2)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let guesses: Vec<f64> = (0..known.len()).map(|at| expected.predict(of_known.row(at))).collect();
        let terms: Vec<[f64; TERMS]> =
            known.iter().zip(&guesses).map(|(&row, guess)| terms(*guess, own[row])).collect();
        let left: Vec<f64> = values.iter().zip(&guesses).map(|(value, guess)| value - guess).collect();
        Ok(solve(expected, &terms, &left))
    }

    /// What an offer that does `own` changes for a person of these features.
    pub fn change(&self, row: &[f64], own: Own) -> Change {
        let Some(expected) = &self.expected else { return (0.0, 0.0) };
        let terms = terms(expected.predict(row), Some(own));
        let mean = terms.iter().zip(&self.coefficients).map(|(term, by)| term * by).sum();
        let along = |i: usize| (0..TERMS).map(|j| self.covariance[i * TERMS + j] * terms[j]).sum::<f64>();
        (mean, (0..TERMS).map(|i| terms[i] * along(i)).sum::<f64>().max(0.0))
    }

    /// The coefficients: of an offer being made, of the purchases it brings, of the discount it gives.
    pub fn coefficients(&self) -> [f64; TERMS] {
        self.coefficients
    }
}

/// Profit of each row's person within the window after it, minor units.
fn profits_after(rows: &[&Outcome]) -> Vec<f64> {
    let mut by_person: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
    for (row, outcome) in rows.iter().enumerate() {
        by_person.entry(&outcome.unit).or_default().push(row);
    }
    let mut found = vec![0.0; rows.len()];
    for mine in by_person.values() {
        for (place, &row) in mine.iter().enumerate() {
            let within = mine[place + 1..].iter().take_while(|&&next| rows[next].at <= rows[row].at + WINDOW);
            found[row] = within.map(|&next| rows[next].profit).sum();
        }
    }
    found
}

/// The same with values beyond nearly all others cut to these.
fn cut(mut values: Vec<f64>) -> Vec<f64> {
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let at = (CUT * sorted.len() as f64) as usize;
    let (low, high) = (sorted[at], sorted[sorted.len() - 1 - at]);
    for value in &mut values {
        *value = value.clamp(low, high);
    }
    values
}

fn terms(expected: f64, own: Option<Own>) -> [f64; TERMS] {
    own.map_or([0.0; TERMS], |own| [expected.max(0.0), own.profit, own.discount])
}

/// Posterior mean and covariance, of a noise that is larger where more is expected.
fn solve(expected: Linear, terms: &[[f64; TERMS]], left: &[f64]) -> Later {
    // The mean of the log holds offers: terms are measured around theirs.
    let count = left.len() as f64;
    let means: [f64; TERMS] = std::array::from_fn(|i| terms.iter().map(|row| row[i]).sum::<f64>() / count);
    let noise = (left.iter().map(|value| value * value).sum::<f64>() / count).max(1e-9);
    let (mut gram, mut goal) = (vec![0.0; TERMS * TERMS], [0.0; TERMS]);
    for (row, value) in terms.iter().zip(left) {
        for i in 0..TERMS {
            goal[i] += (row[i] - means[i]) * value / noise;
            for j in 0..TERMS {
                gram[i * TERMS + j] += (row[i] - means[i]) * (row[j] - means[j]) / noise;
            }
        }
    }
    for (i, spread) in SPREADS.iter().enumerate() {
        gram[i * TERMS + i] += spread.powi(-2);
    }
    let Some(solved) = Cholesky::new(&gram, TERMS) else { return Later::default() };
    let found = solved.solve(&goal);
    Later {
        expected: Some(expected),
        coefficients: std::array::from_fn(|i| found[i]),
        covariance: solved.inverse(),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::effect::NONE;

    /// Two thousand people who come every other day for a month; each offer made takes `lost` of the profit of the visits
    /// of the week after it.
    fn log(lost: f64) -> Vec<Outcome> {
        let mut random = StdRng::seed_from_u64(7);
        let mut rows = Vec::new();
        for person in 0..2_000 {
            let usual = random.random_range(200.0..600.0);
            let mut made: Vec<i64> = Vec::new();
            for visit in 0..15_i64 {
                let at = visit * 2 * DAY;
                let recent = made.iter().filter(|made| **made >= at - WINDOW).count() as f64;
                let mean = usual * (1.0 - lost * recent);
                let offered = random.random_bool(0.5);
                if offered {
                    made.push(at);
                }
                rows.push(Outcome {
                    action: if offered { "ten".into() } else { NONE.into() },
                    propensity: 0.5,
                    unit: format!("p{person}"),
                    at: at + i64::from(person),
                    profit: mean * random.random_range(0.0..2.0),
                    features: [("usual".to_owned(), usual)].into(),
                    ..Outcome::default()
                });
            }
        }
        rows.sort_by_key(|row| row.at);
        rows
    }

    fn fitted(lost: f64) -> Later {
        let log = log(lost);
        let rows: Vec<&Outcome> = log.iter().collect();
        let usual = log.iter().map(|row| row.features["usual"]).collect();
        let features = Matrix::new(usual, log.len(), 1).expect("finite");
        let own: Vec<Option<Own>> =
            log.iter().map(|row| (row.action != NONE).then_some(Own::default())).collect();
        Later::fit(&rows, &features, &own).expect("fits")
    }

    /// An offer takes 4 % of each of the three visits of the week after it.
    #[test]
    fn what_an_offer_takes_from_the_next_days_is_found_and_nothing_where_it_takes_nothing() {
        let (change, variance) = fitted(0.04).change(&[400.0], Own::default());
        assert!((change + 0.04 * 3.0 * 400.0).abs() < 15.0, "{change} ± {}", variance.sqrt());
        let (change, variance) = fitted(0.0).change(&[400.0], Own::default());
        assert!(change.abs() < 3.0 * variance.sqrt() + 1.0 && change.abs() < 15.0, "{change}");
    }

    #[test]
    fn a_log_shorter_than_the_window_says_nothing() {
        let log = log(0.5);
        let rows: Vec<&Outcome> = log.iter().filter(|row| row.at < 5 * DAY).collect();
        let features = Matrix::new(vec![1.0; rows.len()], rows.len(), 1).expect("finite");
        let later = Later::fit(&rows, &features, &vec![Some(Own::default()); rows.len()]).expect("fits");
        assert_eq!(later.change(&[1.0], Own { profit: 100.0, discount: 50.0 }), (0.0, 0.0));
    }
}
