//! A log several policies made, one after the other.
//!
//! Each policy's own rows answer for another policy without bias; how well depends on how alike the two are. Pooling all
//! rows would let the few huge weights of a policy that hardly ever tries anything drown what an earlier one, which tried
//! everything, had told. So each policy's rows are judged apart, and what they say is averaged by how many decisions
//! they are worth (after Agarwal, Basu, Schnabel and Joachims 2017, with effective sample sizes in place of variances,
//! which luck makes small where nothing was tried).

use super::LEVEL;
use super::estimate::{Replayed, difference, replay};
use crate::stats::{Interval, normal};

/// What the rows of several policies say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Combined {
    /// What the policy brings, by doubly robust estimate.
    pub dr: Interval,
    /// What it brings over the one it is compared with.
    pub over: Interval,
    /// How many decisions the rows are worth.
    pub effective_sample_size: f64,
    /// The largest weight among them.
    pub max_weight: f64,
}

/// Judges a policy beside another by the rows of each policy that logged; rows of which nothing can be told are left
/// out. Why, where that is all of them.
pub fn combine(by_logger: &[(Vec<Replayed>, Vec<Replayed>)]) -> Result<Combined, String> {
    let mut told = Vec::new();
    let mut why = (f64::NEG_INFINITY, "there are no rows".to_owned());
    for (ours, other) in by_logger.iter().filter(|(ours, _)| !ours.is_empty()) {
        let found = replay(ours);
        match found.why() {
            None => {
                told.push((found.effective_sample_size, found.max_weight, found.dr, difference(ours, other)));
            }
            // What is told is why the rows that come nearest to an answer have none.
            Some(reason) if found.effective_sample_size > why.0 => {
                why = (found.effective_sample_size, reason);
            }
            Some(_) => {}
        }
    }
    if told.is_empty() {
        return Err(why.1);
    }
    let worth: f64 = told.iter().map(|(worth, ..)| worth).sum();
    let mean = |of: &dyn Fn(usize) -> Interval| {
        let z = normal::quantile(f64::midpoint(1.0, LEVEL));
        let share = |at: usize| told[at].0 / worth;
        let estimate = (0..told.len()).map(|at| share(at) * of(at).estimate).sum();
        let error = |at: usize| (of(at).upper - of(at).lower) / (2.0 * z);
        let variance: f64 = (0..told.len()).map(|at| (share(at) * error(at)).powi(2)).sum();
        Interval::around(estimate, z * variance.sqrt(), LEVEL)
    };
    Ok(Combined {
        dr: mean(&|at| told[at].2),
        over: mean(&|at| told[at].3),
        effective_sample_size: worth,
        max_weight: told.iter().map(|(_, largest, ..)| *largest).fold(0.0, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a logger that did what the policy wants with `propensity`; each such row brings 1, every other nothing.
    fn rows(count: usize, propensity: f64, of_wanted: usize) -> (Vec<Replayed>, Vec<Replayed>) {
        let row = |at: usize| {
            let wanted = at.is_multiple_of(of_wanted);
            let (chance, target, reward) =
                if wanted { (propensity, 1.0, 1.0) } else { (1.0 - propensity, 0.0, 0.0) };
            Replayed { propensity: chance, target, reward, guess: 0.0, direct: 0.0, person: at as u64 }
        };
        let none = |at: usize| Replayed { target: 1.0 - row(at).target, ..row(at) };
        ((0..count).map(row).collect(), (0..count).map(none).collect())
    }

    #[test]
    fn who_tried_everything_answers_and_who_tried_nothing_does_not_drown_it() {
        // Half of the first log is what is wanted, one row in a hundred of the second.
        let (even, rare) = (rows(400, 0.5, 2), rows(20_000, 0.01, 100));
        let alone = combine(std::slice::from_ref(&even)).expect("answers");
        assert!(
            (alone.dr.estimate - 1.0).abs() < 1e-12 && (alone.effective_sample_size - 200.0).abs() < 1e-9
        );
        let both = combine(&[even.clone(), rare]).expect("answers");
        assert!((both.effective_sample_size - 400.0).abs() < 1e-6, "{both:?}");
        assert!((both.over.estimate - 1.0).abs() < 1e-9 && both.dr.upper - both.dr.lower < 0.3, "{both:?}");
        // This one never did it, though it says it might have.
        let never = rows(20_000, 0.01, usize::MAX);
        let never = (never.0[1..].to_vec(), never.1[1..].to_vec());
        assert!(combine(std::slice::from_ref(&never)).is_err_and(|why| !why.is_empty()));
        let both = combine(&[even, never]).expect("answers");
        assert!((both.effective_sample_size - alone.effective_sample_size).abs() < 1e-12);
    }
}
