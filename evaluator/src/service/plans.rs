//! Plans on the wire.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use pbjson_types::Timestamp;
use proto::common::v1::{Channel, EventKind, Interval as WireInterval, Money};
use proto::evaluator::v1 as wire;
use proto::validate::{self, Violations};
use rayon::prelude::*;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::convert::{self, interval};
use super::requests::{self, Method};
use super::status::refuse;
use super::training::{horizon, joined, joined_from, kind_of};
use super::{Base, Shared, now, page};
use super::{exploring, funds};
use crate::effect::model::Estimate;
use crate::effect::outcomes::Horizon;
use crate::effect::train::Outcome;
use crate::effect::{Model, NONE};
use crate::error::{Error, Result};
use crate::policy::{Replayed, combine};
use crate::stats::{Interval, normal};
use crate::strategy::choose::probabilities;
use crate::strategy::generate::{self, Brief};
use crate::strategy::limit::{Limit, Of};
use crate::strategy::measure::{self, Measured};
use crate::strategy::plan::{Expected, Kind, Objective, Phase, Plan, State, Strategy};

/// Risk accepted where none is told: the lower end of a 95 % interval is above 0.
const USUAL_RISK: f64 = 0.025;
/// Least probability of a decision that a plan is judged by: one chosen with less would outweigh all others.
const LEAST_REPLAYED: f64 = 1e-5;
/// Rows a plan is replayed on of each policy that logged, the latest.
const REPLAYED: usize = 10_000;

/// A request as a brief, checked; its offers may still be empty.
pub(super) fn brief(base: &Shared, request: wire::GenerateStrategiesRequest) -> Result<Brief, Status> {
    let mut found = Violations::new();
    let exploring = request.kind() == wire::PlanKind::Exploration;
    found.known_enum::<wire::PlanKind>("kind", request.kind, false);
    let objective = match request.objective() {
        wire::Objective::Profit => Objective::Profit,
        wire::Objective::Conversions => Objective::Conversions,
        wire::Objective::Revenue => Objective::Revenue,
        wire::Objective::Unspecified => {
            found.known_enum::<wire::Objective>("objective", request.objective, !exploring);
            Objective::Profit
        }
    };
    let budget = request.budget.clone().unwrap_or_default();
    if request.budget.is_none() {
        found.add("budget", "EMPTY", "must be given");
    } else {
        found.add_within("budget", validate::money(&budget));
        if budget.minor_units <= 0 {
            let text = format!("must be above 0, is {}", budget.minor_units);
            found.add("budget.minor_units", "NOT_POSITIVE", text);
        }
    }
    for (index, offer) in request.offers.iter().enumerate() {
        found.add_within(&format!("offers[{index}]"), validate::offer(offer));
        funds::in_currency(&mut found, &format!("offers[{index}]"), offer, &budget.currency_code);
    }
    let funds = funds::asked(&mut found, &request, &budget);
    let mut channels = Vec::new();
    for (index, channel) in request.channels.iter().enumerate() {
        found.known_enum::<Channel>(&format!("channels[{index}]"), *channel, true);
        channels.extend(Channel::try_from(*channel).ok());
    }
    for (index, segment) in request.segments.iter().enumerate() {
        if !generate::segments().contains(&segment.as_str()) {
            let text = format!("must be one of {:?}, is {segment:?}", generate::segments());
            found.add(format!("segments[{index}]"), "UNKNOWN_SEGMENT", text);
        }
    }
    let (from, until) = convert::span(&mut found, request.from.as_ref(), request.until.as_ref());
    if exploring {
        exploring::check(&mut found, &request);
    }
    found.within_range("holdout", request.holdout.unwrap_or(0.02), 0.005, 0.5);
    let exploration = request.exploration.unwrap_or(if exploring { 1.0 } else { 0.02 });
    found.within_range("exploration", exploration, 0.001, 1.0);
    let limits = limits(&mut found, &request.limits);
    requests::check(&mut found, &request.request_id);
    found.within_range("risk_aversion", request.risk_aversion, 0.0, 10.0);
    let at = base.clock.planned(&mut found, "at", request.at.as_ref());
    refuse(found)?;
    // A plan without a beginning is in force at once, for callers whose clock is a little behind too.
    let begin = from.unwrap_or_else(|| at.saturating_sub(base.clock.skew()));
    Ok(Brief {
        objective,
        budget: budget.minor_units,
        currency: budget.currency_code,
        offers: request.offers,
        channels,
        segments: request.segments,
        window: match (from, until) {
            (None, None) => None,
            (_, until) => Some((begin, until.unwrap_or(i64::MAX))),
        },
        at,
        holdout: request.holdout.unwrap_or(0.02),
        exploration,
        daily_cap: request.daily_cap,
        limits,
        risk_aversion: request.risk_aversion,
        seed: request.seed,
        funds,
    })
}

/// The limits beside the budget: each of one thing, each thing once.
fn limits(found: &mut Violations, given: &[wire::PlanLimit]) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for (index, limit) in given.iter().enumerate() {
        let path = |field: &str| format!("limits[{index}].{field}");
        found.known_enum::<Channel>(&path("channel"), limit.channel, false);
        let of = match (limit.offer_id.is_empty(), limit.channel() == Channel::Unspecified) {
            (false, true) => Of::Offer(limit.offer_id.clone()),
            (true, false) => Of::Channel(limit.channel),
            _ => {
                let text = "one of offer_id and channel must be given";
                found.add(path("offer_id"), "NOT_ONE_OF", text);
                continue;
            }
        };
        found.optional_id(&path("offer_id"), &limit.offer_id);
        if limit.max_count == 0 || i64::try_from(limit.max_count).is_err() {
            found.add(
                path("max_count"),
                "OUT_OF_RANGE",
                format!("must be 1 to 2⁶³ − 1, is {}", limit.max_count),
            );
        }
        if limits.iter().any(|other| other.of == of) {
            found.add(path("offer_id"), "DUPLICATE", "each offer and each channel is limited once");
        }
        limits.push(Limit { of, most: limit.max_count, price: 0.0 });
    }
    limits
}

/// Answers GenerateStrategies; a repeated request gets the first one's plan.
pub(super) async fn propose(
    base: &Shared,
    request: wire::GenerateStrategiesRequest,
) -> Result<wire::GenerateStrategiesResponse, Status> {
    let request_id = request.request_id.clone();
    let kind = request.kind();
    let brief = brief(base, request)?;
    let method = Method::GenerateStrategies.name();
    if let Some(plan) = answered(base, &request_id).await? {
        return Ok(proposal(&plan));
    }
    let plan = match kind {
        wire::PlanKind::Exploration => exploring::make(base, brief).await?,
        _ => make(base, brief).await?,
    };
    base.store.keep_answer(method, &request_id, &plan.id, now()).await?;
    // Of two at once the first to store its answer is answered to both.
    let first = answered(base, &request_id).await?;
    Ok(proposal(first.as_ref().unwrap_or(&plan)))
}

/// The plan that answered a request of this id.
async fn answered(base: &Shared, request_id: &str) -> Result<Option<Plan>> {
    let Some(id) = base.store.answer_to(Method::GenerateStrategies.name(), request_id).await? else {
        return Ok(None);
    };
    Ok(base.store.plan(&id).await?.map(|(plan, _)| plan))
}

/// Name of the list in its page tokens.
const LIST: &str = "plans";

/// A page of plans, the newest first.
pub(super) async fn list(
    base: &Shared,
    request: &wire::ListPlansRequest,
) -> Result<wire::ListPlansResponse, Status> {
    let mut found = Violations::new();
    found.page_size(request.page_size);
    refuse(found)?;
    let after = page::place(LIST, &request.page_token)?;
    let after = after.as_deref().and_then(|place| place.split_once(' '));
    let after = after.and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    let size = page::size(request.page_size);
    let mut plans = base.store.plans(after, size + 1).await?;
    let more = plans.len() as u64 > size;
    plans.truncate(size as usize);
    let last = plans.last().filter(|_| more);
    let next_page_token =
        last.map(|(plan, _)| page::token(LIST, &format!("{} {}", plan.created_at, plan.id)));
    Ok(wire::ListPlansResponse {
        plans: plans.iter().map(|(plan, state)| summary(plan, *state, base.clock.now())).collect(),
        next_page_token: next_page_token.unwrap_or_default(),
    })
}

fn summary(plan: &Plan, is: State, at: i64) -> wire::PlanSummary {
    wire::PlanSummary {
        plan_id: plan.id.clone(),
        state: state(plan, is, at).into(),
        budget: Some(Money { currency_code: plan.currency.clone(), minor_units: plan.budget }),
        from: plan.window.map(|(from, _)| convert::timestamp(from)),
        until: end(plan),
        created_at: Some(convert::timestamp(plan.created_at)),
        kind: kind(plan).into(),
        budget_account_id: plan.account().to_owned(),
    }
}

/// The end of a plan's window, where it has one.
fn end(plan: &Plan) -> Option<Timestamp> {
    plan.window.filter(|(_, until)| *until < i64::MAX).map(|(_, until)| convert::timestamp(until))
}

fn kind(plan: &Plan) -> wire::PlanKind {
    match plan.kind {
        Kind::Targeted => wire::PlanKind::Targeted,
        Kind::Exploration => wire::PlanKind::Exploration,
    }
}

/// Makes and keeps a plan.
async fn make(base: &Shared, mut brief: Brief) -> Result<Plan> {
    let Some((version, model)) = base.deciding.model(&base.store).await? else {
        let text = "no effect model is trained: record decisions and their outcomes, then TrainEffectModel";
        return Err(Error::precondition("EFFECT_MODEL_NOT_TRAINED", text));
    };
    if !model.currency.is_empty() && model.currency != brief.currency {
        let text =
            format!("must be {}, the currency of the sales logged, is {}", model.currency, brief.currency);
        return Err(Error::invalid("budget.currency_code", "OTHER_CURRENCY", text));
    }
    funds::complete(base, &mut brief).await?;
    let (log, _) =
        joined(base, kind_of(&model.target).unwrap_or_default(), horizon(base, &model), &brief.currency)
            .await?;
    let id = funds::new_id();
    let work = move || generate::generate(&id, brief, &version, &model, &log);
    let plan = base.pool.run(work).await??;
    keep(base, plan).await
}

/// Stores a plan that was made.
pub(super) async fn keep(base: &Shared, mut plan: Plan) -> Result<Plan> {
    plan.created_at = base.clock.now();
    base.store.keep_plan(&plan).await?;
    Ok(plan)
}

/// Refuses a plan that can make no offer any more.
pub(super) fn check_time(plan: &Plan, at: i64) -> Result<()> {
    if plan.offers.iter().all(|offer| !crate::strategy::terms::is_valid(offer, at))
        && plan.window.is_none_or(|(from, _)| from <= at)
    {
        let text = "every offer of the plan has expired or not begun; generate strategies anew";
        return Err(Error::precondition("OFFERS_EXPIRED", text));
    }
    if plan.window.is_some_and(|(_, until)| until <= at) {
        return Err(Error::precondition(
            "PLAN_EXPIRED",
            "the plan's window is over; generate strategies anew",
        ));
    }
    Ok(())
}

/// Replays a plan on the log and says what it is worth; an error where it is not to be activated.
///
/// What it brings over no offers, which is the safe default, must be above 0 with a probability of at least 1 −
/// `accepted_risk`; 0 stands for [`USUAL_RISK`].
pub(super) async fn replayed(base: &Shared, plan: &Plan, accepted_risk: f64) -> Result<wire::PlanReplay> {
    let model = base
        .store
        .model(&plan.model_version)
        .await?
        .ok_or_else(|| Error::Internal(format!("the model of plan {} is gone", plan.id)))?
        .served(&plan.model_version)?;
    let horizon = horizon(base, &model);
    let (mut log, _) =
        joined(base, kind_of(&model.target).unwrap_or_default(), horizon, &plan.currency).await?;
    log.retain(|row| !row.open && !row.cost_unknown && row.was_chosen() && row.propensity >= LEAST_REPLAYED);
    let (plan, currency) = (plan.clone(), plan.currency.clone());
    let work = move || {
        let mut by_logger: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for row in log.iter().rev() {
            let rows = by_logger.entry(&row.plan_id).or_default();
            if rows.len() < REPLAYED {
                rows.push(row);
            }
        }
        let judged = |rows: &Vec<&Outcome>| rows.iter().map(|row| beside(&plan, &model, row)).unzip();
        let by_logger: Vec<(Vec<Replayed>, Vec<Replayed>)> =
            by_logger.into_values().collect::<Vec<_>>().par_iter().map(judged).collect();
        combine(&by_logger)
    };
    let found = base.pool.run(work).await?.map_err(|why| {
        let text = format!("the plan cannot be judged from the log: {why}");
        Error::precondition("PLAN_NOT_REPLAYABLE", text)
    })?;
    let over = found.over;
    let accepted = if accepted_risk > 0.0 { accepted_risk } else { USUAL_RISK };
    let risk = chance_below_nothing(over);
    if risk > accepted {
        let text = format!(
            "replayed on the log the plan brings {:.2} [{:.2}, {:.2}] {currency} minor units a decision over no offers: \
             with a probability of {risk:.3} it loses, {accepted:.3} is accepted. Record more decisions, or accept more risk",
            over.estimate, over.lower, over.upper
        );
        return Err(Error::precondition("PLAN_NOT_BETTER", text));
    }
    Ok(wire::PlanReplay {
        value: Some(interval(found.dr)),
        uplift_over_no_offers: Some(interval(over)),
        effective_sample_size: found.effective_sample_size,
        max_weight: found.max_weight,
        currency_code: currency,
    })
}

/// Probability with which what lies behind a normal interval is below 0.
fn chance_below_nothing(found: Interval) -> f64 {
    let z = normal::quantile(f64::midpoint(1.0, found.level));
    let error = (found.upper - found.lower) / (2.0 * z);
    if error > 0.0 {
        normal::cdf(-found.estimate / error)
    } else {
        f64::from(u8::from(found.estimate <= 0.0))
    }
}

/// One logged decision, replayed by the plan and by giving no offers.
fn beside(plan: &Plan, model: &Model, row: &Outcome) -> (Replayed, Replayed) {
    let x = model.row(&row.features);
    // People the model learnt from are judged by models that have not seen them.
    let forecast = model.forecast_unseen(&x, &row.unit);
    let all = &forecast.arms;
    let options = plan.options_by(model, &x, &forecast, (row.channel, row.at), &plan.prices(), |offer| {
        // What could not be given then, for want of money say, tells nothing of giving it.
        model.arm(&offer.offer_id).is_some() && row.could_give(&offer.offer_id)
    });
    let chances = probabilities(options.beliefs(), plan.exploration);
    let control = forecast.profit;
    let guess_of =
        |id: &str| control + model.arm(id).map_or(0.0, |arm| all[arm].profit.mean - all[arm].later);
    let mut target = if row.action == NONE { chances[0] } else { 0.0 };
    let mut direct = chances[0] * control;
    for (index, chance) in options.offers.iter().zip(&chances[1..]) {
        let id = &plan.offers[*index].offer_id;
        direct += chance * guess_of(id);
        if *id == row.action {
            target = *chance;
        }
    }
    let guess = guess_of(&row.action);
    let mut hasher = DefaultHasher::new();
    row.unit.hash(&mut hasher);
    let person = hasher.finish();
    let ours = Replayed { propensity: row.propensity, target, reward: row.profit, guess, direct, person };
    let none = Replayed { target: f64::from(u8::from(row.action == NONE)), direct: control, ..ours };
    (ours, none)
}

/// The earliest moment that a decision of `plan` may carry, microseconds since 1970. Who records decisions has a clock of
/// its own: the first ones may seem to be made before the plan was.
pub(super) fn decides_from(base: &Shared, plan: &Plan) -> i64 {
    plan.created_at.min(now()).saturating_sub(base.clock.skew())
}

/// What a plan has brought so far, from the log, and where it stands then: one that decides and whose promises failed
/// falls back to the safe default.
pub(super) async fn judged(base: &Shared, plan: &Plan, state: State) -> Result<(Measured, State)> {
    if plan.kind == Kind::Exploration {
        let window = base.strategy.outcome_windows.of_target("purchase");
        let horizon = Horizon { window, at: now() };
        let from = decides_from(base, plan);
        let (log, _) = joined_from(base, EventKind::Purchase, Some(from), horizon, &plan.currency).await?;
        return Ok((measure::count(plan, &log, window), state));
    }
    let model = base.store.model(&plan.model_version).await?;
    let model = model.ok_or_else(|| Error::Internal(format!("the model of plan {} is gone", plan.id)))?;
    let kind = kind_of(&model.target).unwrap_or_default();
    let horizon = horizon(base, &model);
    let from = decides_from(base, plan);
    let (log, _) = joined_from(base, kind, Some(from), horizon, &plan.currency).await?;
    let measured = {
        let plan = plan.clone();
        base.pool.run(move || measure::measure(&plan, &model, &log, horizon.window)).await?
    };
    if measured.why.is_none() || state != State::Active {
        return Ok((measured, state));
    }
    base.store.suspend_plan(&plan.id).await?;
    base.deciding.changed();
    tracing::warn!(plan = plan.id, "a plan's promises failed: it falls back to the safe default");
    Ok((measured, State::FallenBack))
}

/// Judges the plan that decides every `every` until `stop`: a promise that fails must not wait for somebody to look.
pub(crate) async fn watch(base: Base, every: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let scored = async {
            match base.store.deciding_plan().await? {
                Some((plan, state)) => judged(&base, &plan, state).await.map(|_| ()),
                None => Ok(()),
            }
        };
        if let Err(error) = scored.await {
            tracing::warn!(%error, "the plan that decides could not be judged");
        }
    }
}

/// Where a plan stands at a moment: one that decides does so within its window alone.
pub(super) fn state(plan: &Plan, state: State, at: i64) -> wire::PlanState {
    match (state, plan.phase(at)) {
        (State::Proposed, _) => wire::PlanState::Proposed,
        (State::Ended, _) | (_, Phase::After) => wire::PlanState::Ended,
        (_, Phase::Before) => wire::PlanState::Scheduled,
        (State::Active, Phase::Within) => wire::PlanState::Active,
        (State::FallenBack, Phase::Within) => wire::PlanState::Suspended,
    }
}

fn estimate(estimate: Estimate) -> WireInterval {
    interval(estimate.interval())
}

pub(super) fn expected(expected: &Expected, currency: &str) -> wire::ExpectedOutcome {
    wire::ExpectedOutcome {
        conversions: Some(estimate(expected.conversions)),
        profit: Some(estimate(expected.profit)),
        cost: Some(estimate(expected.cost)),
        currency_code: currency.to_owned(),
    }
}

pub(super) fn strategy(strategy: &Strategy, currency: &str) -> wire::Strategy {
    wire::Strategy {
        strategy_id: strategy.id.clone(),
        segment_id: strategy.segment.clone(),
        channel: strategy.channel,
        offer_id: strategy.offer_id.clone(),
        angle: strategy.angle.clone(),
        audience_size: strategy.audience,
        expected: Some(expected(&strategy.expected, currency)),
        reasons: strategy.reasons.clone(),
        displacement: Some(wire::Displacement {
            full_price_buyers: strategy.full_price_buyers,
            discount_to_them: strategy.discount_to_them,
            pulled_forward: strategy.pulled_forward.map(estimate),
            currency_code: currency.to_owned(),
        }),
        hours: strategy.hours.clone(),
    }
}

pub(super) fn proposal(plan: &Plan) -> wire::GenerateStrategiesResponse {
    wire::GenerateStrategiesResponse {
        strategies: plan.strategies.iter().map(|made| strategy(made, &plan.currency)).collect(),
        plan_id: plan.id.clone(),
        expected: (plan.kind == Kind::Targeted).then(|| expected(&plan.expected, &plan.currency)),
        shadow_price: plan.shadow_price,
        gap: plan.gap,
        frontier: plan
            .frontier
            .iter()
            .map(|(budget, value)| wire::FrontierPoint { budget: *budget, value: *value })
            .collect(),
        expected_decisions: plan.decisions,
        seed: plan.seed,
        currency_code: plan.currency.clone(),
    }
}

/// The plan on the wire at a moment; `used` holds what is used of each limit.
pub(super) fn report(
    plan: &Plan,
    (is, at): (State, i64),
    found: &Measured,
    used: &[u64],
) -> wire::GetPlanResponse {
    let targeted = plan.kind == Kind::Targeted;
    let limit = |(limit, used): (&Limit, &u64)| {
        let (offer_id, channel) = match &limit.of {
            Of::Offer(id) => (id.clone(), 0),
            Of::Channel(channel) => (String::new(), *channel),
        };
        let limit = Some(wire::PlanLimit { offer_id, channel, max_count: limit.most });
        wire::PlanLimitUse { limit, used: *used }
    };
    wire::GetPlanResponse {
        plan_id: plan.id.clone(),
        state: state(plan, is, at).into(),
        budget: Some(Money { currency_code: plan.currency.clone(), minor_units: plan.budget }),
        expected: targeted.then(|| expected(&plan.expected, &plan.currency)),
        strategies: plan.strategies.iter().map(|made| strategy(made, &plan.currency)).collect(),
        measured: Some(wire::MeasuredOutcome {
            decisions: found.decisions,
            offers: found.offers,
            redeemed: found.redeemed,
            spend: found.spend,
            profit: targeted.then(|| interval(found.profit)),
            predicted_profit: targeted.then(|| interval(found.promised)),
            calibration_error: found.calibration_error,
            coverage: found.coverage,
            currency_code: plan.currency.clone(),
            open_decisions: found.open,
            cost_unknown_decisions: found.cost_unknown,
            outcome_window: Some(convert::duration(found.window)),
            ..wire::MeasuredOutcome::default()
        }),
        flagged: found.why.is_some(),
        reason: found.why.clone().unwrap_or_default(),
        model_version: plan.model_version.clone(),
        limits: plan.limits.iter().zip(used).map(limit).collect(),
        kind: kind(plan).into(),
        from: plan.window.map(|(from, _)| convert::timestamp(from)),
        until: end(plan),
        ..wire::GetPlanResponse::default()
    }
}
