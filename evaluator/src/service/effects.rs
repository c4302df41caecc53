use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::pin::Pin;

use boost::Matrix;
use proto::common::v1::Channel;
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::effect_service_server::EffectService;
use proto::validate::{self, Violations};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::convert::{self, interval, span};
use super::size::{MAX_CELLS, Size};
use super::status::refuse;
use super::{Base, now, training, waiting};
use crate::effect::model::value as feature;
use crate::effect::{Model, Prediction};
use crate::error::Error;
use crate::features::Features;
use crate::features::vector::vector;
use crate::policy::{Evaluation, Log, Logged, Policy, evaluate};
use crate::stats::Interval;

/// `EffectService`
pub(crate) struct Effects(pub(crate) Base);

/// Most treatments of one call.
const MOST_TREATMENTS: usize = 1_000;

#[tonic::async_trait]
impl EffectService for Effects {
    type TrainEffectModelStream =
        Pin<Box<dyn Stream<Item = Result<wire::TrainEffectModelResponse, Status>> + Send>>;

    async fn train_effect_model(
        &self,
        request: Request<wire::TrainEffectModelRequest>,
    ) -> Result<Response<Self::TrainEffectModelStream>, Status> {
        let request = request.into_inner();
        let target = training::target(&request)?;
        waiting::wait_for(&self.0, request.after_position).await?;
        let (told, stages) = mpsc::channel(4);
        let base = self.0.clone();
        tokio::spawn(async move {
            if let Err(status) = training::train(&base, request, target, &told).await
                && told.send(Err(status)).await.is_err()
            {
                tracing::debug!("whoever asked for training has gone");
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stages))))
    }

    async fn predict_effect(
        &self,
        request: Request<wire::PredictEffectRequest>,
    ) -> Result<Response<wire::PredictEffectResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        found.required_id("user_id", &request.user_id);
        for (name, value) in &request.features {
            super::intake::feature(&mut found, &format!("features[{name}]"), *value);
        }
        if !(1..=MOST_TREATMENTS).contains(&request.treatments.len()) {
            let text = format!("must be 1 to {MOST_TREATMENTS}, are {}", request.treatments.len());
            found.add("treatments", "OUT_OF_RANGE", text);
        }
        for (index, treatment) in request.treatments.iter().enumerate() {
            let path = format!("treatments[{index}]");
            found.optional_id(&format!("{path}.treatment_id"), &treatment.treatment_id);
            found.optional_id(&format!("{path}.item_id"), &treatment.item_id);
            found.known_enum::<Channel>(&format!("{path}.channel"), treatment.channel, false);
            if let Some(offer) = &treatment.offer {
                found.add_within(&format!("{path}.offer"), validate::offer(offer));
            }
        }
        refuse(found)?;
        let Some((model_version, model)) = self.0.deciding.model(&self.0.store).await? else {
            let text =
                "no effect model is trained: record decisions and their outcomes, then TrainEffectModel";
            return Err(Error::precondition("EFFECT_MODEL_NOT_TRAINED", text).into());
        };
        let at = request.at.as_ref().map_or_else(now, convert::micros);
        let history = self.0.store.history(&self.0.unit(&request.user_id).await?, at).await?;
        let calendar = self.0.calendar;
        let row = move |request: &wire::PredictEffectRequest, channel: Channel| {
            vector(request.features.clone().into_iter().collect(), &history, channel, calendar, at)
        };
        let answer = self.0.pool.run(move || predict(&request, row, &model, model_version)).await?;
        Ok(Response::new(answer))
    }

    async fn evaluate_policy(
        &self,
        request: Request<wire::EvaluatePolicyRequest>,
    ) -> Result<Response<wire::EvaluatePolicyResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        let policy = Policy::everywhere(target(&mut found, request.policy.as_ref()));
        let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
        bound(&mut found, &request);
        refuse(found)?;
        let mut found = Violations::new();
        let mut rows = logged(&mut found, &request.logged);
        refuse(found)?;
        let mut contexts: Vec<BTreeMap<String, f64>> =
            request.logged.into_iter().map(|row| row.context.into_iter().collect()).collect();
        if rows.is_empty() {
            (rows, contexts) = self.0.store.logged(from, until).await?.into_iter().unzip();
            if rows.is_empty() {
                let text = "no decision with a propensity is stored in this span";
                return Err(Error::precondition("NO_LOGGED_DECISIONS", text).into());
            }
        }
        let evaluated = move || {
            let context = matrix(&contexts)?;
            evaluate(&Log { rows, context }, &policy, SEED)
        };
        let found = self.0.pool.run(evaluated).await??;
        Ok(Response::new(answer(&found)))
    }
}

/// Drivers told of each prediction.
const DRIVERS: usize = 5;

fn predict(
    request: &wire::PredictEffectRequest,
    features: impl Fn(&wire::PredictEffectRequest, Channel) -> Features,
    model: &Model,
    model_version: String,
) -> wire::PredictEffectResponse {
    let mut rows: BTreeMap<i32, (Vec<f64>, Vec<Prediction>)> = BTreeMap::new();
    let mut out_of_distribution = false;
    let effects = request
        .treatments
        .iter()
        .map(|treatment| {
            let (row, all) = rows.entry(treatment.channel).or_insert_with(|| {
                let channel = Channel::try_from(treatment.channel).unwrap_or_default();
                let row = model.row(&features(request, channel));
                let all = model.predict_all(&row);
                (row, all)
            });
            let found = model.among(all, treatment.offer.as_ref());
            out_of_distribution |= !found.seen || model.support.is_outside(row);
            let arm = treatment.offer.as_ref().and_then(|offer| model.arm(&offer.offer_id));
            let drivers = match arm {
                Some(arm) if request.explain => model.drivers(row, arm),
                _ => Vec::new(),
            };
            wire::Effect {
                treatment_id: treatment.treatment_id.clone(),
                base_rate: Some(interval(within_unit(model.base(row).interval()))),
                uplift: Some(interval(found.uplift.interval())),
                incremental_profit: Some(interval(found.profit.interval())),
                currency_code: model.currency.clone(),
                drivers: drivers
                    .into_iter()
                    .take(DRIVERS)
                    .map(|(feature, contribution)| wire::Driver { feature, contribution })
                    .collect(),
                expected_cost: Some(interval(found.spend.interval())),
            }
        })
        .collect();
    wire::PredictEffectResponse {
        effects,
        model_version,
        out_of_distribution,
        feature_version: model.feature_version,
    }
}

/// A probability's interval, cut to where probabilities lie.
fn within_unit(mut interval: Interval) -> Interval {
    interval.lower = interval.lower.max(0.0);
    interval.upper = interval.upper.min(1.0);
    interval
}

fn target(found: &mut Violations, policy: Option<&wire::Policy>) -> BTreeMap<String, f64> {
    let policy = policy.map(|policy| policy.action_probabilities.clone()).unwrap_or_default();
    for (action, share) in &policy {
        found.within_range(&format!("policy.action_probabilities[{action}]"), *share, 0.0, 1.0);
    }
    let sum: f64 = policy.values().sum();
    if policy.is_empty() {
        found.add("policy.action_probabilities", "EMPTY", "must be given");
    } else if sum.is_nan() || (sum - 1.0).abs() > 1e-6 {
        found.add("policy.action_probabilities", "NOT_ONE", format!("must sum to 1, sum to {sum}"));
    }
    policy
}

fn logged(found: &mut Violations, given: &[wire::LoggedDecision]) -> Vec<Logged> {
    let row = |(index, row): (usize, &wire::LoggedDecision)| {
        let path = |field: &str| format!("logged[{index}].{field}");
        found.required_id(&path("action"), &row.action);
        found.above_zero(&path("propensity"), row.propensity, 1.0);
        found.finite(&path("reward"), row.reward);
        for (name, value) in &row.context {
            found.finite(&path(&format!("context[{name}]")), *value);
        }
        Logged { action: row.action.clone(), propensity: row.propensity, reward: row.reward }
    };
    given.iter().enumerate().map(row).collect()
}

/// Rows times actions of a policy that are looked at one by one at most.
const MAX_ROW_ACTIONS: u64 = 100_000_000;

/// Bounds what a log given inline is multiplied out to: a row has a column for each feature, for each action and for each
/// product of the two.
fn bound(found: &mut Violations, request: &wire::EvaluatePolicyRequest) {
    let rows = request.logged.len();
    let features: HashSet<&str> =
        request.logged.iter().flat_map(|row| row.context.keys().map(String::as_str)).collect();
    let chosen =
        request.policy.iter().flat_map(|policy| policy.action_probabilities.keys().map(String::as_str));
    let policy = request.policy.as_ref().map_or(0, |policy| policy.action_probabilities.len());
    let actions: HashSet<&str> = request.logged.iter().map(|row| row.action.as_str()).chain(chosen).collect();
    if !features.is_empty() {
        let columns = features.len() + actions.len() * (1 + features.len());
        let name =
            format!("columns ({} features, {} actions and their products)", features.len(), actions.len());
        Size::new().times(rows, "rows").times(columns, &name).check(found, "logged", MAX_CELLS);
    }
    Size::new().times(rows, "rows").times(policy, "actions").check(
        found,
        "policy.action_probabilities",
        MAX_ROW_ACTIONS,
    );
}

/// Seed of the folds an evaluation is made with: the same log gives the same answer.
const SEED: u64 = 1;

/// Features of all rows; one that no row names is left out.
fn matrix(contexts: &[BTreeMap<String, f64>]) -> Result<Matrix, Error> {
    let names: BTreeSet<&String> = contexts.iter().flat_map(BTreeMap::keys).collect();
    let values =
        contexts.iter().flat_map(|context| names.iter().map(|name| feature(context, name))).collect();
    Matrix::new(values, contexts.len(), names.len())
        .map_err(|error| Error::invalid("logged", "NOT_FINITE", error.to_string()))
}

fn answer(found: &Evaluation) -> wire::EvaluatePolicyResponse {
    use wire::PolicyEstimator::{Dm, Dr, Ips, Snips, SwitchDr};
    let by = &found.estimates;
    let estimates = [
        (Ips, by.ips),
        (Snips, by.snips),
        (Dm, found.believed.direct),
        (Dr, by.dr),
        (SwitchDr, found.believed.switch_dr),
    ];
    wire::EvaluatePolicyResponse {
        estimates: estimates
            .into_iter()
            .map(|(estimator, value)| wire::PolicyEstimate {
                estimator: estimator.into(),
                value: Some(interval(value)),
            })
            .collect(),
        effective_sample_size: by.effective_sample_size,
        max_weight: by.max_weight,
        refused: found.why.is_some(),
        reason: found.why.clone().unwrap_or_default(),
    }
}
