//! Rules that share a conversion by the place of each touch in its journey.

use super::journeys::Journey;

/// How a touch's place sets its share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// All to the last.
    Last,
    /// All to the first.
    First,
    /// The same to each.
    Linear,
    /// Halved for each `half_life` before the conversion: days where touches have times, else steps.
    TimeDecay {
        /// Days, or steps.
        half_life: f64,
    },
    /// Two fifths to the first and to the last, the rest the same to each between; halves where there are two.
    Position,
}

/// The half-life of [`Rule::TimeDecay`] in days.
pub const HALF_LIFE_DAYS: f64 = 7.0;
/// Its half-life in steps, where times are not known.
pub const HALF_LIFE_STEPS: f64 = 1.0;

impl Rule {
    /// Calls `give(touch's position, share)` for each touch; shares sum to 1. Not called for an empty journey.
    pub fn shares(self, journey: &Journey<'_>, mut give: impl FnMut(usize, f64)) {
        let count = journey.touches.len();
        let Some(last) = count.checked_sub(1) else { return };
        match self {
            Self::Last => give(last, 1.0),
            Self::First => give(0, 1.0),
            Self::Linear => (0..count).for_each(|i| give(i, 1.0 / count as f64)),
            Self::TimeDecay { half_life } => {
                let age = |i: usize| journey.ages.get(i).copied().unwrap_or((last - i) as f64);
                // Ages are taken from the youngest: a common factor cancels, and old journeys do not underflow.
                let youngest = (0..count).map(age).fold(f64::INFINITY, f64::min);
                let weight = |i: usize| (-(age(i) - youngest) / half_life).exp2();
                let total: f64 = (0..count).map(weight).sum();
                (0..count).for_each(|i| give(i, weight(i) / total));
            }
            Self::Position => match count {
                1 => give(0, 1.0),
                2 => (0..2).for_each(|i| give(i, 0.5)),
                _ => {
                    let between = 0.2 / (count - 2) as f64;
                    (0..count).for_each(|i| give(i, if i == 0 || i == last { 0.4 } else { between }));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::journeys::Counts;

    fn shares(rule: Rule, touches: usize, ages: Vec<f64>) -> Vec<f64> {
        let places = vec![0; touches];
        let journey = Journey { touches: &places, ages: &ages, counts: Counts::default() };
        let mut answer = vec![0.0; touches];
        rule.shares(&journey, |i, share| answer[i] += share);
        answer
    }

    #[test]
    fn every_rule_gives_a_conversion_away_exactly_once() {
        for rule in
            [Rule::Last, Rule::First, Rule::Linear, Rule::TimeDecay { half_life: 7.0 }, Rule::Position]
        {
            for touches in 1..8 {
                let total: f64 = shares(rule, touches, Vec::new()).iter().sum();
                assert!((total - 1.0).abs() < 1e-12, "{rule:?} over {touches} gives {total}");
            }
            assert!(shares(rule, 0, Vec::new()).is_empty());
        }
    }

    #[test]
    fn a_touch_one_half_life_older_earns_half() {
        let found = shares(Rule::TimeDecay { half_life: 7.0 }, 2, vec![1007.0, 1000.0]);
        assert!((found[1] - 2.0 * found[0]).abs() < 1e-12);
    }

    #[test]
    fn position_gives_two_fifths_to_the_ends() {
        assert_eq!(shares(Rule::Position, 4, Vec::new()), [0.4, 0.1, 0.1, 0.4]);
    }
}
