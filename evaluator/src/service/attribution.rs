//! Attribute, as plain functions the command line calls too.

use proto::common::v1::Interval;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::attribution_service_server::AttributionService;
use proto::validate::Violations;
use tonic::{Request, Response, Status};

use super::Base;
use super::convert::{interval, span};
use super::status::refuse;
use crate::attribution::{Attribution, Journeys, attribute, bootstrap, credit::Model, observed};

/// `AttributionService`
pub(crate) struct Attributions(pub(crate) Base);

/// Most bootstrap samples.
const MOST_SAMPLES: u32 = 2_000;
/// Most days a touch may count.
const MOST_DAYS: u32 = 3_650;

#[tonic::async_trait]
impl AttributionService for Attributions {
    async fn attribute(
        &self,
        request: Request<wire::AttributeRequest>,
    ) -> Result<Response<wire::AttributeResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        let model = model(&mut found, &request);
        if request.bootstrap > MOST_SAMPLES {
            found.add(
                "bootstrap",
                "OUT_OF_RANGE",
                format!("must be 0 to {MOST_SAMPLES}, is {}", request.bootstrap),
            );
        }
        if request.lookback_days > MOST_DAYS {
            let text = format!("must be 0 to {MOST_DAYS}, is {}", request.lookback_days);
            found.add("lookback_days", "OUT_OF_RANGE", text);
        }
        let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
        refuse(found)?;
        let (samples, seed) = (request.bootstrap, request.seed);
        if !request.journeys.is_empty() {
            let work = move || {
                let journeys = inline(&request.journeys)?;
                Ok(respond(&journeys, model, samples, seed, String::new()))
            };
            return Ok(Response::new(self.0.pool.run::<Result<_, Status>, _>(work).await??));
        }
        let lookback = if request.lookback_days == 0 { 30 } else { request.lookback_days };
        let facts = self.0.store.facts(from, until, &observed::KINDS).await?;
        let work = move || {
            let (journeys, currency) = observed::journeys(&facts, lookback)?;
            Ok(respond(&journeys, model, samples, seed, currency))
        };
        Ok(Response::new(self.0.pool.run::<Result<_, Status>, _>(work).await??))
    }
}

/// Journeys given with a request.
fn inline(given: &[wire::Journey]) -> crate::error::Result<Journeys> {
    let mut journeys = Journeys::new();
    for (index, journey) in given.iter().enumerate() {
        let touches = journey.touches.iter().map(String::as_str);
        let counts = (journey.conversions, journey.value, journey.nulls);
        journeys.push(&format!("journeys[{index}]"), touches, counts)?;
    }
    Ok(journeys)
}

fn model(found: &mut Violations, request: &wire::AttributeRequest) -> Model {
    use wire::AttributionModel as Wire;
    found.known_enum::<Wire>("model", request.model, false);
    if request.order > 4 {
        found.add("order", "OUT_OF_RANGE", format!("must be 1 to 4, or 0 for 1, is {}", request.order));
    }
    match request.model() {
        Wire::Unspecified | Wire::LastTouch => Model::LastTouch,
        Wire::FirstTouch => Model::FirstTouch,
        Wire::Linear => Model::Linear,
        Wire::TimeDecay => Model::TimeDecay,
        Wire::Position => Model::Position,
        Wire::Markov => Model::Markov { order: request.order.max(1) as usize },
        Wire::Shapley => Model::Shapley,
    }
}

fn respond(
    journeys: &Journeys,
    model: Model,
    samples: u32,
    seed: u64,
    currency_code: String,
) -> wire::AttributeResponse {
    let found: Attribution = attribute(journeys, model);
    let point = |estimate: f64| Interval { estimate, lower: estimate, upper: estimate, level: 0.0 };
    let intervals: Vec<Interval> = if samples == 0 {
        found.credits.iter().map(|credit| point(credit.conversions)).collect()
    } else {
        bootstrap::intervals(journeys, model, &found, samples, seed).into_iter().map(interval).collect()
    };
    let credits = found
        .credits
        .into_iter()
        .zip(intervals)
        .map(|(credit, conversions)| wire::ChannelCredit {
            channel: credit.channel,
            conversions: Some(conversions),
            value: credit.value,
            removal_effect: credit.removal_effect,
        })
        .collect();
    wire::AttributeResponse {
        credits,
        total_conversions: found.total_conversions,
        total_value: found.total_value,
        conversion_probability: found.conversion_probability,
        currency_code,
    }
}
