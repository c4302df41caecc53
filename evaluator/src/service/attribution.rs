//! Attribute: messages to a question and back.

use std::collections::HashSet;

use proto::common::v1::Interval;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::attribution_service_server::AttributionService;
use proto::validate::Violations;
use tonic::{Request, Response, Status};

use super::convert::{interval, span};
use super::size::{MAX_CELLS, Size};
use super::status::refuse;
use super::{Base, now, waiting};
use crate::attribution::analysis::{Answer, Question, answer};
use crate::attribution::calibrate::Lift;
use crate::attribution::credit::Model;
use crate::attribution::observed::{self, Observed, Span};
use crate::attribution::{Counts, Journeys, Repeats, Window};

/// `AttributionService`
pub(crate) struct Attributions(pub(crate) Base);

/// Most bootstrap samples.
const MOST_SAMPLES: u32 = 2_000;
/// Most days a touch may count.
const MOST_DAYS: u32 = 3_650;
/// Days a touch counts where none are given.
const USUAL_DAYS: u32 = 30;
/// Days after a touch in which a conversion counts where none are given.
const DEFAULT_CONVERSION_DAYS: u32 = 7;
/// The longest memory of a chain.
const LONGEST_MEMORY: u32 = 64;

#[tonic::async_trait]
impl AttributionService for Attributions {
    async fn attribute(
        &self,
        request: Request<wire::AttributeRequest>,
    ) -> Result<Response<wire::AttributeResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        let mut question = question(&mut found, &request);
        let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
        bound(&mut found, &request);
        refuse(found)?;
        waiting::wait_for(&self.0, request.after_position).await?;
        if !request.journeys.is_empty() {
            let work = move || {
                let journeys = inline(&request.journeys)?;
                if question.window.days.is_none() && journeys.is_timed() {
                    question.window.days = Some(USUAL_DAYS.into());
                }
                Ok(respond(answer(journeys, &question)?, question.seed, request.currency_code, 0))
            };
            return Ok(Response::new(self.0.pool.run::<Result<_, Status>, _>(work).await??));
        }
        question.window.days.get_or_insert(USUAL_DAYS.into());
        question.whole_value = true;
        let span = Span {
            from,
            until: until.unwrap_or(i64::MAX).min(now()),
            conversion_days: match request.conversion_window_days {
                0 => DEFAULT_CONVERSION_DAYS,
                days => days,
            },
            impressions: request.include_impressions,
        };
        let facts = self.0.store.facts(span.read_from(question.window.days), until, span.kinds()).await?;
        let work = move || {
            let Observed { journeys, currency, censored } =
                observed::journeys(&facts, &question.window, &span, &request.currency_code)?;
            // They are cut already, person by person.
            let question = Question { window: Window::default(), ..question };
            Ok(respond(answer(journeys, &question)?, question.seed, currency, censored))
        };
        Ok(Response::new(self.0.pool.run::<Result<_, Status>, _>(work).await??))
    }
}

/// Bounds what journeys given inline are multiplied out to: states of the chain, its first steps and bootstrap samples.
fn bound(found: &mut Violations, request: &wire::AttributeRequest) {
    let touches = || request.journeys.iter().flat_map(|journey| &journey.touches);
    let channels = touches().collect::<HashSet<_>>().len();
    let order = request.order.clamp(1, LONGEST_MEMORY) as usize;
    Size::new()
        .times(touches().count(), "touches")
        .times(order, "steps of memory")
        .check(found, "journeys", MAX_CELLS);
    Size::new().times(channels, "channels").times(request.bootstrap as usize, "bootstrap samples").check(
        found,
        "bootstrap",
        MAX_CELLS,
    );
}

/// Journeys given with a request.
fn inline(given: &[wire::Journey]) -> crate::error::Result<Journeys> {
    let mut journeys = Journeys::new();
    for (index, journey) in given.iter().enumerate() {
        let touches = journey.touches.iter().map(String::as_str);
        let counts = Counts { conversions: journey.conversions, value: journey.value, nulls: journey.nulls };
        journeys.push(|| format!("journeys[{index}]"), touches, &journey.ages_days, counts)?;
    }
    Ok(journeys)
}

fn question(found: &mut Violations, request: &wire::AttributeRequest) -> Question {
    let at_most = |found: &mut Violations, field: &str, given: u32, most: u32| {
        if given > most {
            found.add(field, "OUT_OF_RANGE", format!("must be 0 to {most}, is {given}"));
        }
    };
    at_most(found, "bootstrap", request.bootstrap, MOST_SAMPLES);
    at_most(found, "lookback_days", request.lookback_days, MOST_DAYS);
    at_most(found, "conversion_window_days", request.conversion_window_days, MOST_DAYS);
    at_most(found, "order", request.order, LONGEST_MEMORY);
    found.known_enum::<wire::AttributionModel>("model", request.model, false);
    found.known_enum::<wire::RepeatRule>("repeats", request.repeats, false);
    if let Some(half_life) = request.half_life {
        found.above_zero("half_life", half_life, f64::from(MOST_DAYS));
    }
    let currency = &request.currency_code;
    if !currency.is_empty() && (currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase())) {
        let text = format!("must be an ISO 4217 code such as \"CNY\", is {currency:?}");
        found.add("currency_code", "NOT_A_CURRENCY", text);
    }
    let repeats = match request.repeats() {
        wire::RepeatRule::Unspecified | wire::RepeatRule::Keep => Repeats::Keep,
        wire::RepeatRule::Collapse => Repeats::Collapse,
        wire::RepeatRule::First => Repeats::First,
        wire::RepeatRule::Last => Repeats::Last,
    };
    let lift = |lift: &wire::MeasuredLift| Lift {
        channel: lift.channel.clone(),
        conversions: lift.conversions,
        standard_error: lift.standard_error,
    };
    Question {
        model: model(request),
        window: Window {
            days: (request.lookback_days > 0).then_some(request.lookback_days.into()),
            steps: (request.lookback_steps > 0).then_some(request.lookback_steps as usize),
            repeats,
        },
        samples: request.bootstrap,
        seed: request.seed,
        whole_value: !request.currency_code.is_empty(),
        lifts: request.measured_lifts.iter().map(lift).collect(),
    }
}

fn model(request: &wire::AttributeRequest) -> Model {
    use wire::AttributionModel as Wire;
    match request.model() {
        Wire::Unspecified | Wire::LastTouch => Model::LastTouch,
        Wire::FirstTouch => Model::FirstTouch,
        Wire::Linear => Model::Linear,
        Wire::TimeDecay => Model::TimeDecay { half_life: request.half_life },
        Wire::Position => Model::Position,
        Wire::Markov => Model::Markov { order: request.order.max(1) as usize },
        Wire::Shapley => Model::Shapley,
    }
}

/// The answer as a message; the command line prints it too.
pub(crate) fn respond(
    answer: Answer,
    seed: u64,
    currency_code: String,
    censored_journeys: u64,
) -> wire::AttributeResponse {
    let Answer { attribution: found, spreads, disagreements } = answer;
    let point = |estimate: f64| Interval { estimate, lower: estimate, upper: estimate, level: 0.0 };
    let credit = |(index, credit): (usize, crate::attribution::Credit)| {
        let spread = spreads.as_ref().and_then(|spreads| spreads.get(index));
        wire::ChannelCredit {
            conversions: Some(spread.map_or_else(|| point(credit.conversions), |s| interval(s.conversions))),
            value: credit.value,
            removal_effect: credit.removal_effect,
            value_interval: spread.map(|spread| interval(spread.value)),
            removal_interval: spread.and_then(|spread| spread.removal_effect).map(interval),
            channel: credit.channel,
        }
    };
    wire::AttributeResponse {
        credits: found.credits.into_iter().enumerate().map(credit).collect(),
        total_conversions: found.total_conversions,
        total_value: found.total_value,
        conversion_probability: found.conversion_probability,
        currency_code,
        disagreements: disagreements
            .into_iter()
            .map(|told| wire::LiftDisagreement {
                channel: told.channel,
                attributed: told.attributed,
                measured: told.measured,
                standard_error: told.standard_error,
                z: told.z,
                p_value: told.p_value,
            })
            .collect(),
        seed,
        censored_journeys,
    }
}
