//! Credit beside measured lift: what a model gives a channel against what an experiment says it causes.
//!
//! Attribution shares conversions that happened; only an experiment says how many would not have happened. Where a
//! channel's incremental conversions were measured, its credit is set to them. What it had too much goes to
//! [`UNMATCHED`], the conversions that would have come anyway; what it had too little is taken from there first and
//! then from channels nobody measured, in proportion to their credit. The sums stay as they were.

use rand::rngs::StdRng;
use rand_distr::{Distribution as _, StandardNormal};

use super::credit::{Attribution, Credit};
use super::journeys::UNMATCHED;
use crate::error::{Error, Result};
use crate::stats::normal;

/// Incremental conversions of one channel, as an experiment measured them.
#[derive(Debug, Clone, PartialEq)]
pub struct Lift {
    /// The channel.
    pub channel: String,
    /// Conversions it caused; at least 0.
    pub conversions: f64,
    /// Standard error of that; above 0.
    pub standard_error: f64,
}

/// The model's credit of one channel beside the measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// The channel.
    pub channel: String,
    /// What the model gave.
    pub attributed: f64,
    /// What was measured.
    pub measured: f64,
    /// Standard error of the measured.
    pub standard_error: f64,
    /// (attributed − measured) ÷ standard error.
    pub z: f64,
    /// Two-sided probability of a disagreement as large by the measurement's chance alone.
    pub p_value: f64,
}

/// Sets the credits of `found` to `lifts` and tells how far they lay apart.
///
/// Errors: a channel that has no credit, one given twice, a number out of range, or more measured in all than there
/// are conversions to give.
pub fn calibrate(found: &mut Attribution, lifts: &[Lift]) -> Result<Vec<Disagreement>> {
    if lifts.is_empty() {
        return Ok(Vec::new());
    }
    check(found, lifts)?;
    let disagreements = lifts.iter().filter_map(|lift| measure(found, lift)).collect();
    settle(found, lifts);
    Ok(disagreements)
}

fn check(found: &Attribution, lifts: &[Lift]) -> Result<()> {
    let place = |found: &Attribution, channel: &str| found.credits.iter().position(|c| c.channel == channel);
    for (index, lift) in lifts.iter().enumerate() {
        let refuse = |field: &str, reason, text: String| {
            Err(Error::invalid(format!("measured_lifts[{index}].{field}"), reason, text))
        };
        if lift.channel == UNMATCHED || place(found, &lift.channel).is_none() {
            return refuse(
                "channel",
                "UNKNOWN_CHANNEL",
                format!("{:?} has no touch in these journeys", lift.channel),
            );
        }
        if lifts[..index].iter().any(|before| before.channel == lift.channel) {
            return refuse("channel", "DUPLICATE", "must be given once".into());
        }
        if !(lift.conversions.is_finite() && lift.conversions >= 0.0) {
            let text = format!("must be a finite number of at least 0, is {}", lift.conversions);
            return refuse("conversions", "OUT_OF_RANGE", text);
        }
        if !(lift.standard_error.is_finite() && lift.standard_error > 0.0) {
            let text = format!("must be a finite number above 0, is {}", lift.standard_error);
            return refuse("standard_error", "OUT_OF_RANGE", text);
        }
    }
    let measured: f64 = lifts.iter().map(|lift| lift.conversions).sum();
    if measured > found.total_conversions {
        let text =
            format!("{measured} measured in all, but there are {} conversions", found.total_conversions);
        return Err(Error::invalid("measured_lifts", "MORE_THAN_THERE_IS", text));
    }
    Ok(())
}

/// Sets one credit and tells what it was.
fn measure(found: &mut Attribution, lift: &Lift) -> Option<Disagreement> {
    let average = found.total_value / found.total_conversions.max(f64::MIN_POSITIVE);
    let credit = found.credits.iter_mut().find(|credit| credit.channel == lift.channel)?;
    let z = (credit.conversions - lift.conversions) / lift.standard_error;
    let told = Disagreement {
        channel: lift.channel.clone(),
        attributed: credit.conversions,
        measured: lift.conversions,
        standard_error: lift.standard_error,
        z,
        p_value: (2.0 * normal::sf(z.abs())).min(1.0),
    };
    // Value goes with its conversions, at what the channel's conversions were worth.
    let worth = if credit.conversions > 0.0 { credit.value / credit.conversions } else { average };
    (credit.conversions, credit.value) = (lift.conversions, lift.conversions * worth);
    Some(told)
}

/// `lifts` as the same experiments might have measured them another time, at most `total` in all.
pub(super) fn redrawn(lifts: &[Lift], total: f64, random: &mut StdRng) -> Vec<Lift> {
    let mut drawn = lifts.to_vec();
    for lift in &mut drawn {
        let chance: f64 = StandardNormal.sample(random);
        lift.conversions = (lift.conversions + lift.standard_error * chance).max(0.0);
    }
    let sum: f64 = drawn.iter().map(|lift| lift.conversions).sum();
    if sum > total {
        // Below the total by a hair, so that rounding cannot lift it above again.
        for lift in &mut drawn {
            lift.conversions *= total / sum * (1.0 - 1e-12);
        }
    }
    drawn
}

/// One of a credit's two sums.
type Part = fn(&mut Credit) -> &mut f64;

/// Brings the sums back to the totals.
fn settle(found: &mut Attribution, lifts: &[Lift]) {
    let is_free = |credit: &Credit| lifts.iter().all(|lift| lift.channel != credit.channel);
    if found.credits.iter().all(|credit| credit.channel != UNMATCHED) {
        found.credits.push(Credit {
            channel: UNMATCHED.into(),
            conversions: 0.0,
            value: 0.0,
            removal_effect: None,
        });
    }
    let parts: [(Part, f64); 2] =
        [(|c| &mut c.conversions, found.total_conversions), (|c| &mut c.value, found.total_value)];
    for (part, total) in parts {
        let fixed: f64 = found.credits.iter_mut().filter(|c| !is_free(c)).map(|c| *part(c)).sum();
        let free: f64 =
            found.credits.iter_mut().filter(|c| is_free(c) && c.channel != UNMATCHED).map(|c| *part(c)).sum();
        // Measured value may exceed the total where cheap conversions became many: it is then scaled to it.
        let shrink = if fixed > total && fixed > 0.0 { total / fixed } else { 1.0 };
        let rest = total - fixed * shrink;
        let keep = if free > rest && free > 0.0 { rest / free } else { 1.0 };
        for credit in &mut found.credits {
            let factor = if is_free(credit) { keep } else { shrink };
            if credit.channel == UNMATCHED {
                *part(credit) = (rest - free * keep).max(0.0);
            } else {
                *part(credit) *= factor;
            }
        }
    }
    found.credits.retain(|credit| credit.channel != UNMATCHED || credit.conversions > 0.0);
    found
        .credits
        .sort_by(|a, b| b.conversions.total_cmp(&a.conversions).then_with(|| a.channel.cmp(&b.channel)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::credit::{Model, attribute};
    use crate::attribution::journeys::{Counts, Journeys};

    fn found() -> Attribution {
        let mut journeys = Journeys::new();
        for (channel, conversions) in [("search", 60.0), ("email", 30.0), ("push", 10.0)] {
            let counts = Counts { conversions, value: 2.0 * conversions, nulls: 100.0 };
            journeys.push(|| "j".into(), [channel], &[], counts).expect("sound");
        }
        attribute(&journeys, Model::LastTouch).expect("shared")
    }

    fn lift(channel: &str, conversions: f64) -> Lift {
        Lift { channel: channel.into(), conversions, standard_error: 5.0 }
    }

    fn of(found: &Attribution, channel: &str) -> (f64, f64) {
        found.credits.iter().find(|c| c.channel == channel).map_or((0.0, 0.0), |c| (c.conversions, c.value))
    }

    #[test]
    fn too_much_credit_becomes_conversions_that_would_have_come_anyway() {
        let mut found = found();
        let told = calibrate(&mut found, &[lift("search", 20.0)]).expect("sound");
        assert_eq!((of(&found, "search"), of(&found, "email")), ((20.0, 40.0), (30.0, 60.0)));
        assert_eq!(of(&found, UNMATCHED), (40.0, 80.0));
        // Φ(8) from tables: two sides are 1.2e-15.
        assert!((told[0].z - 8.0).abs() < 1e-12 && told[0].p_value < 2e-15, "{told:?}");
    }

    #[test]
    fn too_little_is_taken_from_channels_nobody_measured() {
        let mut found = found();
        calibrate(&mut found, &[lift("push", 55.0)]).expect("sound");
        let (search, email) = (of(&found, "search"), of(&found, "email"));
        assert!((search.0 - 30.0).abs() < 1e-12 && (email.0 - 15.0).abs() < 1e-12, "{found:?}");
        let sums = found.credits.iter().fold((0.0, 0.0), |sum, c| (sum.0 + c.conversions, sum.1 + c.value));
        assert!((sums.0 - 100.0).abs() < 1e-9 && (sums.1 - 200.0).abs() < 1e-9, "{sums:?}");
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        let refuse = |lifts: &[Lift]| match calibrate(&mut found(), lifts) {
            Err(Error::Invalid(faults)) => faults[0].reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(refuse(&[lift("tv", 1.0)]), "UNKNOWN_CHANNEL");
        assert_eq!(refuse(&[lift("push", 1.0), lift("push", 1.0)]), "DUPLICATE");
        assert_eq!(refuse(&[lift("push", -1.0)]), "OUT_OF_RANGE");
        assert_eq!(refuse(&[lift("push", 101.0)]), "MORE_THAN_THERE_IS");
        assert_eq!(refuse(&[Lift { standard_error: 0.0, ..lift("push", 1.0) }]), "OUT_OF_RANGE");
    }
}
