//! Credits: every conversion given away exactly once, to channels or to "unmatched".

use super::heuristic::{HALF_LIFE_DAYS, HALF_LIFE_STEPS, Rule};
use super::journeys::{Counts, Journeys, UNMATCHED};
use super::{markov, shapley};
use crate::error::Result;

/// How credit is shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Model {
    /// All to the last touch.
    LastTouch,
    /// All to the first touch.
    FirstTouch,
    /// The same to each touch.
    Linear,
    /// Halved for each half-life before the end.
    TimeDecay {
        /// Days, or steps where times are not known; `None`: a week, or a step.
        half_life: Option<f64>,
    },
    /// Two fifths to the first and the last.
    Position,
    /// Removal from a Markov chain with a memory of `order` touches.
    Markov {
        /// At least 1.
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
pub fn attribute(journeys: &Journeys, model: Model) -> Result<Attribution> {
    attribute_as(journeys, journeys.counts(), model)
}

/// The same with other `counts`, one a journey.
pub(super) fn attribute_as(journeys: &Journeys, counts: &[Counts], model: Model) -> Result<Attribution> {
    let channels = journeys.channels().len();
    let mut shared = vec![Counts::default(); channels];
    let (mut matched, mut unmatched) = (Counts::default(), Counts::default());
    for row in journeys.rows_as(counts) {
        let side = if row.touches.is_empty() { &mut unmatched } else { &mut matched };
        add(side, row.counts, 1.0);
        side.nulls += row.counts.nulls;
    }
    let mut removal_effects = None;
    let mut probability = rate(matched, unmatched);
    match model {
        Model::Markov { order } => {
            let removal = markov::removal(journeys, counts, order)?;
            // Where all value together is none or less, no share of it can be lost: conversions then tell the shares.
            let by_value = removal.value.iter().any(|lost| *lost > 0.0);
            let value_effects = if by_value { &removal.value } else { &removal.conversions };
            let parts = [
                proportionally(&removal.conversions, matched.conversions),
                proportionally(value_effects, matched.value),
            ];
            for (channel, credit) in shared.iter_mut().enumerate() {
                (credit.conversions, credit.value) = (parts[0][channel], parts[1][channel]);
            }
            probability = removal.conversion_probability;
            removal_effects = Some(removal.conversions);
        }
        Model::Shapley => {
            for row in journeys.rows_as(counts).filter(|row| row.counts.conversions > 0.0) {
                shapley::shares(row, |channel, share| {
                    add(&mut shared[usize::from(channel)], row.counts, share);
                });
            }
        }
        _ => {
            let rule = rule(model, journeys.is_timed());
            for row in journeys.rows_as(counts).filter(|row| row.counts.conversions > 0.0) {
                rule.shares(&row, |place, share| {
                    add(&mut shared[usize::from(row.touches[place])], row.counts, share);
                });
            }
        }
    }
    let mut credits: Vec<Credit> = journeys
        .channels()
        .iter()
        .zip(shared)
        .enumerate()
        .map(|(channel, (name, shared))| Credit {
            channel: name.clone(),
            conversions: shared.conversions,
            value: shared.value,
            removal_effect: removal_effects.as_ref().map(|effects| effects[channel]),
        })
        .collect();
    if unmatched.conversions > 0.0 {
        let Counts { conversions, value, .. } = unmatched;
        credits.push(Credit { channel: UNMATCHED.into(), conversions, value, removal_effect: None });
    }
    credits.sort_by(|a, b| b.conversions.total_cmp(&a.conversions).then_with(|| a.channel.cmp(&b.channel)));
    Ok(Attribution {
        credits,
        total_conversions: matched.conversions + unmatched.conversions,
        total_value: matched.value + unmatched.value,
        conversion_probability: probability,
    })
}

/// Share that converted; 0 where nobody came.
fn rate(matched: Counts, unmatched: Counts) -> f64 {
    let conversions = matched.conversions + unmatched.conversions;
    let all = conversions + matched.nulls + unmatched.nulls;
    if all > 0.0 { conversions / all } else { 0.0 }
}

fn add(into: &mut Counts, counts: Counts, share: f64) {
    into.conversions += share * counts.conversions;
    into.value += share * counts.value;
}

/// `total` shared in proportion to `effects`. Where nothing would be lost without any channel there is no total.
fn proportionally(effects: &[f64], total: f64) -> Vec<f64> {
    let sum: f64 = effects.iter().sum();
    effects.iter().map(|effect| if sum > 0.0 { total * effect / sum } else { 0.0 }).collect()
}

fn rule(model: Model, timed: bool) -> Rule {
    match model {
        Model::FirstTouch => Rule::First,
        Model::Linear => Rule::Linear,
        Model::TimeDecay { half_life } => {
            let usual = if timed { HALF_LIFE_DAYS } else { HALF_LIFE_STEPS };
            Rule::TimeDecay { half_life: half_life.unwrap_or(usual) }
        }
        Model::Position => Rule::Position,
        Model::LastTouch | Model::Markov { .. } | Model::Shapley => Rule::Last,
    }
}
