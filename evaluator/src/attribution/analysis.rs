//! One question about journeys, answered whole: window, credits, intervals, calibration, rounding.

use super::bootstrap::{self, Spread};
use super::calibrate::{self, Disagreement, Lift};
use super::credit::{Attribution, Model, attribute_as};
use super::journeys::Journeys;
use super::whole::apportion;
use super::window::Window;
use crate::error::{Error, Result, Violation};

/// Most of a total that is still told exactly by `f64`.
const MOST_UNITS: f64 = 9_007_199_254_740_992.0;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// How credit is shared.
    pub model: Model,
    /// Which touches count.
    pub window: Window,
    /// Draws for intervals; 0: none.
    pub samples: u32,
    /// Seed of the draws.
    pub seed: u64,
    /// Whether value is in whole minor units, and so shall be the credits.
    pub whole_value: bool,
    /// What experiments measured.
    pub lifts: Vec<Lift>,
}

impl Question {
    /// Credits by `model`, nothing more.
    pub fn of(model: Model) -> Self {
        let window = Window::default();
        Self { model, window, samples: 0, seed: 0, whole_value: false, lifts: Vec::new() }
    }
}

/// The credits and what belongs to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The credits.
    pub attribution: Attribution,
    /// Intervals of each credit, where they were asked for.
    pub spreads: Option<Vec<Spread>>,
    /// The model beside each measured lift.
    pub disagreements: Vec<Disagreement>,
}

/// Answers `question` about `journeys`.
pub fn answer(journeys: Journeys, question: &Question) -> Result<Answer> {
    if question.whole_value {
        check_whole(&journeys)?;
    }
    let journeys = question.window.applied(journeys)?;
    let mut attribution = attribute_as(&journeys, journeys.counts(), question.model)?;
    let disagreements = calibrate::calibrate(&mut attribution, &question.lifts)?;
    if question.whole_value {
        let shares: Vec<f64> = attribution.credits.iter().map(|credit| credit.value).collect();
        let whole = apportion(&shares, attribution.total_value as i64);
        for (credit, value) in attribution.credits.iter_mut().zip(whole) {
            credit.value = value as f64;
        }
    }
    let spreads = (question.samples > 0)
        .then(|| {
            let share = |counts: &_, random: &mut _| {
                let mut drawn = attribute_as(&journeys, counts, question.model)?;
                let lifts = calibrate::redrawn(&question.lifts, drawn.total_conversions, random);
                calibrate::calibrate(&mut drawn, &lifts)?;
                Ok(drawn)
            };
            bootstrap::intervals(journeys.counts(), &attribution, question.samples, question.seed, share)
        })
        .transpose()?;
    Ok(Answer { attribution, spreads, disagreements })
}

fn check_whole(journeys: &Journeys) -> Result<()> {
    let broken = |(index, row): (usize, &super::Counts)| {
        (row.value.fract() != 0.0).then(|| {
            let text = format!("must be whole minor units of the currency, is {}", row.value);
            Violation::new(format!("journeys[{index}].value"), "NOT_WHOLE", text)
        })
    };
    let faults: Vec<Violation> = journeys.counts().iter().enumerate().filter_map(broken).take(100).collect();
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let (_, total) = journeys.totals();
    if total.abs() > MOST_UNITS {
        let text = format!("must sum to at most {MOST_UNITS} either way, sums to {total}");
        return Err(Error::invalid("journeys.value", "OUT_OF_RANGE", text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::journeys::Counts;

    fn journeys(value: f64) -> Journeys {
        let mut journeys = Journeys::new();
        for (touches, conversions) in [(&["a", "b", "c"][..], 1.0), (&["a"], 2.0), (&[], 1.0)] {
            let counts = Counts { conversions, value: value * conversions, nulls: 3.0 };
            journeys.push(|| "j".into(), touches.iter().copied(), &[], counts).expect("sound");
        }
        journeys
    }

    #[test]
    fn value_in_a_currency_is_given_away_to_the_last_unit() {
        let question = Question { whole_value: true, ..Question::of(Model::Linear) };
        let found = answer(journeys(100.0), &question).expect("answered").attribution;
        let values: Vec<f64> = found.credits.iter().map(|credit| credit.value).collect();
        assert_eq!(values, [234.0, 100.0, 33.0, 33.0], "{found:?}");
        assert!(answer(journeys(0.5), &question).is_err(), "half a cent is no amount");
    }

    #[test]
    fn intervals_of_measured_channels_are_those_of_the_measurement() {
        let lift = Lift { channel: "a".into(), conversions: 2.0, standard_error: 0.1 };
        let question = Question { samples: 2_000, lifts: vec![lift], ..Question::of(Model::LastTouch) };
        let mut many = Journeys::new();
        for (channel, conversions) in [("a", 4_000.0), ("b", 4_000.0)] {
            many.push(|| "j".into(), [channel], &[], Counts { conversions, ..Counts::default() })
                .expect("sound");
        }
        let found = answer(many, &question).expect("answered");
        let place =
            found.attribution.credits.iter().position(|credit| credit.channel == "a").expect("credited");
        let spread = found.spreads.expect("asked for")[place].conversions;
        assert!((spread.estimate - 2.0).abs() < 1e-12 && (spread.lower - 1.804).abs() < 0.02, "{spread:?}");
        assert!((found.disagreements[0].z - 39_980.0).abs() < 1e-6);
    }
}
