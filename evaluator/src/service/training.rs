//! TrainEffectModel, stage by stage.

use std::collections::BTreeMap;

use proto::common::v1::EventKind;
use proto::evaluator::v1::{TrainEffectModelRequest, TrainEffectModelResponse};
use proto::validate::Violations;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::requests::{self, Method};
use super::status::refuse;
use super::{Shared, convert, features, now};
use crate::effect::outcomes::Horizon;
use crate::effect::train::{Order, Outcome, train as fit};
use crate::effect::{Model, NONE, log};
use crate::error::{Error, Result};
use crate::strategy::plan::by_id;

/// Metric: decisions left out since their outcome window is still open.
const OPEN: &str = "open_decisions";
/// Metric: decisions whose profit is not known since the cost of something bought is not.
const COST_UNKNOWN: &str = "cost_unknown_decisions";

/// Decisions whose outcome is not known.
#[derive(Debug, Clone, Copy)]
struct LeftOut {
    open: usize,
    cost_unknown: usize,
}

impl LeftOut {
    /// Counts what is left out of `logged` decisions, of which those of `outcomes` have a closed window.
    fn count(logged: usize, outcomes: &[Outcome]) -> Self {
        let cost_unknown = outcomes.iter().filter(|row| row.cost_unknown).count();
        Self { open: logged - outcomes.len(), cost_unknown }
    }

    fn add_to(self, metrics: &mut BTreeMap<String, f64>) {
        metrics.insert(OPEN.to_owned(), self.open as f64);
        metrics.insert(COST_UNKNOWN.to_owned(), self.cost_unknown as f64);
    }

    /// Refuses to learn from nothing.
    fn check(self, target: &str, horizon: Horizon, outcomes: &[Outcome]) -> Result<()> {
        let Self { open, cost_unknown } = self;
        if outcomes.is_empty() && open > 0 {
            let text = format!(
                "the outcome windows ({} hours) of all {open} decisions are still open: train later, or set \
                 strategy.outcome_windows lower",
                horizon.window / 3_600_000_000
            );
            return Err(Error::precondition("OUTCOMES_OPEN", text));
        }
        let known = outcomes.iter().any(|row| row.bought > 0.0 && !row.cost_unknown);
        if target == "profit" && cost_unknown > 0 && !known {
            let text = format!(
                "the cost is unknown in all {cost_unknown} decisions with a purchase: send purchase.cost, or train for \
                 the target purchase"
            );
            return Err(Error::precondition("COSTS_UNKNOWN", text));
        }
        Ok(())
    }
}

/// The kind of event a target is.
pub(super) fn target(request: &TrainEffectModelRequest) -> Result<EventKind, Status> {
    let mut found = Violations::new();
    let kind = kind_of(&request.target).unwrap_or_else(|| {
        let text = format!("must be click, purchase or profit, is {:?}", request.target);
        found.add("target", "UNKNOWN_TARGET", text);
        EventKind::Unspecified
    });
    for (index, feature) in request.features.iter().enumerate() {
        found.required_id(&format!("features[{index}]"), feature);
    }
    for (index, treatment) in request.treatments.iter().enumerate() {
        found.required_id(&format!("treatments[{index}]"), treatment);
    }
    requests::check(&mut found, &request.request_id);
    if request.at.as_ref().is_some_and(|at| convert::micros(at) > now()) {
        found.add("at", "IN_THE_FUTURE", "must not be later than the server's clock");
    }
    refuse(found)?;
    Ok(kind)
}

/// The kind of event that is a hit of a target.
pub(super) fn kind_of(target: &str) -> Option<EventKind> {
    match target {
        "click" => Some(EventKind::Click),
        "purchase" | "profit" => Some(EventKind::Purchase),
        _ => None,
    }
}

/// The log joined with what answered it, and the currency of its sales.
pub(super) async fn joined(
    base: &Shared,
    kind: EventKind,
    horizon: Horizon,
) -> Result<(Vec<Outcome>, String)> {
    joined_from(base, kind, None, horizon).await
}

/// Outcome window of a model, judged now.
pub(super) fn horizon(base: &Shared, model: &Model) -> Horizon {
    let set = || base.strategy.outcome_windows.of_target(&model.target);
    let window = if model.outcome_window > 0 { model.outcome_window } else { set() };
    Horizon { window, at: now() }
}

/// The same of decisions from a moment on, microseconds since 1970.
pub(super) async fn joined_from(
    base: &Shared,
    kind: EventKind,
    from: Option<i64>,
    horizon: Horizon,
) -> Result<(Vec<Outcome>, String)> {
    let offers = by_id(&base.store.all_offers().await?);
    let mut decided = base.store.decided_within(from, None).await?;
    let first = decided.first().map_or(i64::MAX, |first| first.at);
    let answers = base.store.answers(kind, from, first).await?;
    let mut replays = features::replays(base, &decided).await?;
    let (calendar, infer) = (base.calendar, base.strategy.infer_redemptions);
    let join = move || {
        features::complete(&mut decided, &mut replays, calendar);
        log::join(decided, answers, horizon, kind, &offers, infer)
    };
    let (outcomes, currencies) = base.pool.run(join).await?;
    if currencies.len() > 1 {
        let text = format!("sales were made in {currencies:?}; one currency is needed");
        return Err(Error::precondition("MIXED_CURRENCIES", text));
    }
    Ok((outcomes, currencies.into_iter().next().unwrap_or_default()))
}

/// Trains and tells each stage as it ends. Whoever asked having gone away ends it.
pub(super) async fn train(
    base: &Shared,
    request: TrainEffectModelRequest,
    kind: EventKind,
    told: &Sender<Result<TrainEffectModelResponse, Status>>,
) -> Result<(), Status> {
    let tell = async |stage: &str, fraction: f64, metrics: BTreeMap<String, f64>| {
        let stage = TrainEffectModelResponse { stage: stage.to_owned(), fraction, metrics };
        told.send(Ok(stage)).await.map_err(|_| Status::cancelled("the caller has gone"))
    };
    let method = Method::TrainEffectModel.name();
    if let Some(answer) = base.store.answer_to(method, &request.request_id).await? {
        let metrics = serde_json::from_str(&answer).map_err(|error| Error::Internal(error.to_string()))?;
        return tell("done", 1.0, metrics).await;
    }
    let at = request.at.as_ref().map_or_else(now, convert::micros);
    let horizon = Horizon { window: base.strategy.outcome_windows.of_target(&request.target), at };
    let (mut outcomes, currency) = joined(base, kind, horizon).await?;
    outcomes.retain(|row| row.at < at);
    if let Some((index, name)) = request
        .features
        .iter()
        .enumerate()
        .find(|(_, name)| !outcomes.iter().any(|o| o.features.contains_key(*name)))
    {
        let text = format!("no logged decision holds {name:?}");
        return Err(Error::invalid(format!("features[{index}]"), "UNKNOWN_FEATURE", text).into());
    }
    if !request.treatments.is_empty() {
        outcomes.retain(|row| row.action == NONE || request.treatments.contains(&row.action));
    }
    let logged = outcomes.len();
    outcomes.retain(|row| !row.open);
    let left_out = LeftOut::count(logged, &outcomes);
    let mut read = BTreeMap::from([("decisions".to_owned(), logged as f64)]);
    left_out.add_to(&mut read);
    tell("read", 0.2, read).await?;
    left_out.check(&request.target, horizon, &outcomes)?;
    let offers = base.store.all_offers().await?;
    let order = Order {
        target: request.target,
        currency,
        features: request.features,
        seed: request.seed,
        outcome_window: horizon.window,
    };
    let mut trained = tokio::select! {
        trained = base.pool.run(move || fit(&order, &outcomes, &offers)) => trained??,
        () = told.closed() => return Err(Error::Cancelled.into()),
    };
    left_out.add_to(&mut trained.metrics);
    tell("checked", 0.9, trained.metrics.clone()).await?;
    if trained.better {
        let id = format!("effect-{}", uuid::Uuid::now_v7().simple());
        base.store.keep_model(&id, &trained.model, now()).await?;
        base.deciding.changed();
    }
    let mut metrics = trained.metrics;
    metrics.insert("promoted".to_owned(), f64::from(u8::from(trained.better)));
    let answer = serde_json::to_string(&metrics).map_err(|error| Error::Internal(error.to_string()))?;
    base.store.keep_answer(method, &request.request_id, &answer, now()).await?;
    tell("done", 1.0, metrics).await
}
