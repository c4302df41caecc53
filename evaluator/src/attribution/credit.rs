//! Credits: every conversion given away exactly once, to channels or to "unmatched".

use super::heuristic::{HALF_LIFE_DAYS, HALF_LIFE_STEPS, Rule};
use super::journeys::{Journeys, UNMATCHED};
use super::{markov, shapley};

/// How credit is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// All to the last touch.
    LastTouch,
    /// All to the first touch.
    FirstTouch,
    /// The same to each touch.
    Linear,
    /// Halved each week, or each step where times are not known.
    TimeDecay,
    /// Two fifths to the first and the last.
    Position,
    /// Removal from a Markov chain with a memory of `order` touches.
    Markov {
        /// 1 to 4.
        order: usize,
    },
    /// The Shapley value.
    Shapley,
}

/// One channel's credit.
#[derive(Debug, Clone, PartialEq)]
pub struct Credit {
    /// The channel, or [`UNMATCHED`].
    pub channel: String,
    /// Conversions credited.
    pub conversions: f64,
    /// Value credited.
    pub value: f64,
    /// Of Markov: share of conversions lost without it.
    pub removal_effect: Option<f64>,
}

/// The credits of all journeys.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// The most conversions first, then by name.
    pub credits: Vec<Credit>,
    /// Σ conversions.
    pub total_conversions: f64,
    /// Σ value.
    pub total_value: f64,
    /// Of Markov the chain's, else the share of journeys that converted.
    pub conversion_probability: f64,
}

/// Shares the conversions of `journeys` by `model`. Credits sum to the totals to the rounding of `f64`.
pub fn attribute(journeys: &Journeys, model: Model) -> Attribution {
    let channels = journeys.channels().len();
    let mut conversions = vec![0.0; channels];
    let mut value = vec![0.0; channels];
    let mut unmatched = (0.0, 0.0);
    let mut matched = (0.0, 0.0);
    for row in journeys.rows() {
        let side = if row.touches.is_empty() { &mut unmatched } else { &mut matched };
        *side = (side.0 + row.conversions, side.1 + row.value);
    }
    let mut removal_effects = None;
    let mut probability = journeys.conversion_rate();
    match model {
        Model::Markov { order } => {
            let removal = markov::removal(journeys, order);
            proportionally(&mut conversions, &removal.conversions, matched.0);
            proportionally(&mut value, &removal.value, matched.1);
            probability = removal.conversion_probability;
            removal_effects = Some(removal.conversions);
        }
        Model::Shapley => {
            for row in journeys.rows().iter().filter(|row| row.conversions > 0.0) {
                shapley::shares(row, |channel, share| {
                    conversions[usize::from(channel)] += share * row.conversions;
                    value[usize::from(channel)] += share * row.value;
                });
            }
        }
        Model::LastTouch | Model::FirstTouch | Model::Linear | Model::TimeDecay | Model::Position => {
            for row in journeys.rows().iter().filter(|row| row.conversions > 0.0) {
                rule(model, row.ages.is_empty()).shares(row, |position, share| {
                    let channel = usize::from(row.touches[position]);
                    conversions[channel] += share * row.conversions;
                    value[channel] += share * row.value;
                });
            }
        }
    }
    let mut credits: Vec<Credit> = journeys
        .channels()
        .iter()
        .enumerate()
        .map(|(channel, name)| Credit {
            channel: name.clone(),
            conversions: conversions[channel],
            value: value[channel],
            removal_effect: removal_effects.as_ref().map(|effects| effects[channel]),
        })
        .collect();
    if unmatched.0 > 0.0 {
        let (conversions, value) = unmatched;
        credits.push(Credit { channel: UNMATCHED.into(), conversions, value, removal_effect: None });
    }
    credits.sort_by(|a, b| b.conversions.total_cmp(&a.conversions).then_with(|| a.channel.cmp(&b.channel)));
    let (total_conversions, total_value) = journeys.totals();
    Attribution { credits, total_conversions, total_value, conversion_probability: probability }
}

fn rule(model: Model, untimed: bool) -> Rule {
    match model {
        Model::FirstTouch => Rule::First,
        Model::Linear => Rule::Linear,
        Model::TimeDecay => {
            Rule::TimeDecay { half_life: if untimed { HALF_LIFE_STEPS } else { HALF_LIFE_DAYS } }
        }
        Model::Position => Rule::Position,
        Model::LastTouch | Model::Markov { .. } | Model::Shapley => Rule::Last,
    }
}

/// `total` shared in proportion to `effects`. Where nothing would be lost without any channel there is no total.
fn proportionally(into: &mut [f64], effects: &[f64], total: f64) {
    let sum: f64 = effects.iter().sum();
    if sum > 0.0 {
        for (credit, effect) in into.iter_mut().zip(effects) {
            *credit = total * effect / sum;
        }
    }
}
