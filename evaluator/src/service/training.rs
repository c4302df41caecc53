//! TrainEffectModel, stage by stage.

use std::collections::BTreeMap;

use proto::common::v1::EventKind;
use proto::evaluator::v1::{TrainEffectModelRequest, TrainEffectModelResponse};
use proto::validate::Violations;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::status::refuse;
use super::{Base, now};
use crate::effect::{self, Model, NONE, Outcome};
use crate::error::{Error, Result};

/// Every so many decisions one is kept from training, by chance.
const HELD_OUT: u32 = 5;

/// The kind of event a target is.
pub(super) fn target(request: &TrainEffectModelRequest) -> Result<EventKind, Status> {
    let mut found = Violations::new();
    let kind = match request.target.as_str() {
        "click" => EventKind::Click,
        "purchase" | "profit" => EventKind::Purchase,
        other => {
            found.add("target", "UNKNOWN_TARGET", format!("must be click, purchase or profit, is {other:?}"));
            EventKind::Unspecified
        }
    };
    for (index, feature) in request.features.iter().enumerate() {
        let text = format!("decisions are logged without features; {feature:?} is not known");
        found.add(format!("features[{index}]"), "UNKNOWN_FEATURE", text);
    }
    for (index, treatment) in request.treatments.iter().enumerate() {
        found.required_id(&format!("treatments[{index}]"), treatment);
    }
    refuse(found)?;
    Ok(kind)
}

/// Trains and tells each stage as it ends. Whoever asked having gone away ends it.
pub(super) async fn train(
    base: &Base,
    request: TrainEffectModelRequest,
    kind: EventKind,
    told: &Sender<Result<TrainEffectModelResponse, Status>>,
) -> Result<(), Status> {
    let tell = async |stage: &str, fraction: f64, metrics: &[(&str, f64)]| {
        let metrics: BTreeMap<String, f64> =
            metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let stage = TrainEffectModelResponse { stage: stage.to_owned(), fraction, metrics };
        told.send(Ok(stage)).await.map_err(|_| Status::cancelled("the caller has gone"))
    };
    let (mut outcomes, currencies) = base.store.outcomes(kind).await?;
    if currencies.len() > 1 {
        let text = format!("profits were earned in {currencies:?}; one currency is needed");
        return Err(Error::precondition("MIXED_CURRENCIES", text).into());
    }
    if !request.treatments.is_empty() {
        outcomes.retain(|row| row.action == NONE || request.treatments.contains(&row.action));
    }
    tell("read", 0.4, &[("decisions", outcomes.len() as f64)]).await?;
    let (target, seed) = (request.target, request.seed);
    let currency = currencies.into_iter().next().unwrap_or_default();
    let work = move || judged(&target, &currency, &outcomes, seed);
    let (model, ours, one_rate) = base.pool.run(work).await??;
    let errors = [("squared_error", ours), ("squared_error_of_one_rate", one_rate)];
    tell("checked", 0.9, &errors).await?;
    let promoted = ours < one_rate;
    if promoted {
        base.store.keep_model(&format!("effect-{}", uuid::Uuid::now_v7().simple()), &model, now()).await?;
    }
    let promoted = f64::from(u8::from(promoted));
    tell(
        "done",
        1.0,
        &[errors[0], errors[1], ("promoted", promoted), ("treatments", model.changes.len() as f64)],
    )
    .await
}

/// The model of all outcomes, and how one trained on four fifths of them does on the fifth, against one rate for all.
fn judged(target: &str, currency: &str, outcomes: &[Outcome], seed: u64) -> Result<(Model, f64, f64)> {
    let mut random = StdRng::seed_from_u64(seed);
    let (unseen, seen): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|_| random.random_range(0..HELD_OUT) == 0);
    let model = effect::fit(target, currency, &outcomes.iter().collect::<Vec<_>>())?;
    let trial = effect::fit(target, currency, &seen)?;
    let total: f64 = seen.iter().map(|row| row.propensity.recip()).sum();
    let rate = seen.iter().map(|row| row.hit / row.propensity).sum::<f64>() / total;
    let (ours, one_rate) = effect::errors(&trial, rate, &unseen);
    Ok((model, ours, one_rate))
}
