//! What the shop says to the product: gRPC to the gateway, nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chassis::client::Channel;
use chassis::deadline;
use pbjson_types::Timestamp;
use proto::common::v1::{Channel as Place, Event, EventKind, Money, Purchase};
use proto::evaluator::v1::decision_service_client::DecisionServiceClient;
use proto::evaluator::v1::effect_service_client::EffectServiceClient;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::evaluator::v1::{
    ActivatePlanRequest, DecideRequest, DecideResponse, Decision, DecisionContext, GenerateStrategiesRequest,
    GenerateStrategiesResponse, IngestEventsRequest, Objective, PredictEffectRequest, PredictEffectResponse,
    QueryMetricsRequest, RecordDecisionsRequest, TrainEffectModelRequest, Treatment, UpsertOffersRequest,
};
use tonic::{Code, Status};

use super::offers::{CURRENCY, OFFERS, offers};
use super::world::Sale;
use crate::exploration;

/// Time a call gets that makes a plan or trains; two hundred thousand decisions take minutes, more on a busy machine.
const PATIENT: Duration = Duration::from_mins(30);
/// Replayed on some days of noisy sales a plan nearly always might gain or lose: this shop tries what does not clearly lose.
const ACCEPTED_RISK: f64 = 0.9;
/// The account of the month's budget, which outlives its plans.
const ACCOUNT: &str = "month";
/// What the shop takes an ordinary order for before it has sold anything, minor units.
const USUAL_ORDER: i64 = 7_000;
/// Time a decision gets.
const PROMPT: Duration = Duration::from_secs(30);

/// A line to the gateway.
#[derive(Clone)]
pub struct Line {
    gateway: Channel,
}

/// One visit as the product is told of it.
pub struct Told {
    /// The decision's id.
    pub id: String,
    /// The shopper's id.
    pub user: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// What was decided.
    pub made: DecideResponse,
    /// What was bought.
    pub sale: Option<Sale>,
}

impl Line {
    /// A line over `gateway`.
    pub fn new(gateway: Channel) -> Self {
        Self { gateway }
    }

    /// Tells the offers.
    pub async fn tell_offers(&self) -> anyhow::Result<()> {
        let rows: Vec<_> =
            offers().into_iter().map(|offer| UpsertOffersRequest { offer: Some(offer) }).collect();
        let mut client = StrategyServiceClient::new(self.gateway.clone());
        let answer = client.upsert_offers(tokio_stream::iter(rows)).await?.into_inner();
        ensure!(answer.rejected.is_empty(), "offers were refused: {:?}", answer.rejected);
        Ok(())
    }

    /// Makes offers by chance from `from` and before `until`.
    pub async fn explore(
        &self,
        budget: i64,
        holdout: f64,
        (from, until): (i64, i64),
    ) -> anyhow::Result<String> {
        let budget = Money { currency_code: CURRENCY.into(), minor_units: budget };
        let span = (Some(moment(from)), moment(until));
        exploration::start(self.gateway.clone(), offers(), budget, USUAL_ORDER, span, (ACCOUNT, holdout))
            .await
    }

    /// Asks what to offer one visitor; the decision will be recorded under `id`.
    pub async fn decide(
        &self,
        id: &str,
        user: &str,
        at: i64,
        features: &BTreeMap<String, f64>,
        seed: u64,
    ) -> anyhow::Result<DecideResponse> {
        let context = DecisionContext {
            channel: Place::App.into(),
            placement: "home".into(),
            features: features.clone(),
            at: Some(moment(at)),
            seed,
            ..DecisionContext::default()
        };
        let request = DecideRequest {
            user_id: user.to_owned(),
            context: Some(context),
            decision_id: id.to_owned(),
            ..DecideRequest::default()
        };
        let mut client = StrategyServiceClient::new(self.gateway.clone());
        Ok(deadline::within(PROMPT, client.decide(request)).await??.into_inner())
    }

    /// Tells what was decided and what came of it.
    pub async fn record(&self, visits: &[Told]) -> anyhow::Result<()> {
        let decisions: Vec<_> = visits.iter().map(decision).collect();
        let events: Vec<_> = visits.iter().flat_map(events).collect();
        let mut client = DecisionServiceClient::new(self.gateway.clone());
        let sent = decisions.len() as u64;
        let stored = client.record_decisions(tokio_stream::iter(decisions)).await?.into_inner();
        ensure!(stored.accepted == sent, "decisions were refused: {:?}", stored.rejected.first());
        let sent = events.len() as u64;
        let stored = client.ingest_events(tokio_stream::iter(events)).await?.into_inner();
        ensure!(stored.accepted == sent, "events were refused: {:?}", stored.rejected.first());
        Ok(())
    }

    /// Has the effect model trained; the metrics of the last stage, or the reason where too little is known yet.
    pub async fn train(&self, seed: u64) -> anyhow::Result<Result<BTreeMap<String, f64>, String>> {
        let request =
            TrainEffectModelRequest { target: "profit".into(), seed, ..TrainEffectModelRequest::default() };
        let mut client = EffectServiceClient::new(self.gateway.clone());
        let mut stages = match deadline::within(PATIENT, client.train_effect_model(request)).await? {
            Ok(stages) => stages.into_inner(),
            Err(status) => return not_yet(status),
        };
        let mut last = BTreeMap::new();
        loop {
            match stages.message().await {
                Ok(Some(stage)) => last = stage.metrics,
                Ok(None) => return Ok(Ok(last)),
                Err(status) => return not_yet(status),
            }
        }
    }

    /// Has a plan made for `from` to `until` and lets it decide; the reason where the product will not have it so yet.
    pub async fn plan(
        &self,
        budget: i64,
        (holdout, exploration): (f64, f64),
        (from, until): (i64, i64),
    ) -> anyhow::Result<Result<GenerateStrategiesResponse, String>> {
        let request = GenerateStrategiesRequest {
            objective: Objective::Profit.into(),
            offers: offers(),
            budget: Some(Money { currency_code: CURRENCY.into(), minor_units: budget }),
            channels: vec![Place::App.into()],
            from: Some(moment(from)),
            until: Some(moment(until)),
            at: Some(moment(from)),
            holdout: Some(holdout),
            exploration: Some(exploration),
            budget_account_id: ACCOUNT.into(),
            ..GenerateStrategiesRequest::default()
        };
        let mut client = StrategyServiceClient::new(self.gateway.clone());
        let plan = match deadline::within(PATIENT, client.generate_strategies(request)).await? {
            Ok(plan) => plan.into_inner(),
            Err(status) => return not_yet(status),
        };
        let activate = ActivatePlanRequest {
            plan_id: plan.plan_id.clone(),
            at: Some(moment(from)),
            accepted_risk: ACCEPTED_RISK,
            ..ActivatePlanRequest::default()
        };
        match deadline::within(PATIENT, client.activate_plan(activate)).await? {
            Ok(_) => Ok(Ok(plan)),
            Err(status) => not_yet(status),
        }
    }

    /// Profit of all sales from `from` and before `until`, as the evaluator measures it, minor units.
    pub async fn measured_profit(&self, from: i64, until: i64) -> anyhow::Result<f64> {
        let request = QueryMetricsRequest {
            metrics: vec!["PROFIT".into()],
            from: Some(moment(from)),
            until: Some(moment(until)),
            ..QueryMetricsRequest::default()
        };
        let mut client = MetricServiceClient::new(self.gateway.clone());
        let rows = deadline::within(PATIENT, client.query_metrics(request)).await??.into_inner().rows;
        let row = rows.first().context("no profit was measured")?;
        Ok(row.value.context("the profit has no value")?.estimate)
    }

    /// What each offer, and none first, is predicted to do to one shopper at a moment, seconds since 1970.
    pub async fn predict(
        &self,
        user: &str,
        at: i64,
        features: &BTreeMap<String, f64>,
    ) -> anyhow::Result<PredictEffectResponse> {
        let treatment = |offer: Option<usize>| Treatment {
            treatment_id: offer.map_or("none", |offer| OFFERS[offer]).to_owned(),
            offer: offer.map(|offer| offers().swap_remove(offer)),
            channel: Place::App.into(),
            ..Treatment::default()
        };
        let request = PredictEffectRequest {
            user_id: user.to_owned(),
            features: features.clone(),
            treatments: super::world::ARMS.map(treatment).to_vec(),
            at: Some(moment(at)),
            ..PredictEffectRequest::default()
        };
        let mut client = EffectServiceClient::new(self.gateway.clone());
        Ok(deadline::within(PROMPT, client.predict_effect(request)).await??.into_inner())
    }
}

/// What was asked for must wait: too little is known yet. All else is a failure.
fn not_yet<T>(status: Status) -> anyhow::Result<Result<T, String>> {
    ensure!(status.code() == Code::FailedPrecondition, "no plan was made: {status}");
    Ok(Err(status.message().to_owned()))
}

/// A moment on the wire.
pub fn moment(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn decision(told: &Told) -> RecordDecisionsRequest {
    let made = &told.made;
    let decision = Decision {
        decision_id: told.id.clone(),
        user_id: told.user.clone(),
        decided_at: Some(moment(told.at)),
        channel: Place::App.into(),
        placement: "home".into(),
        offer_id: made.offer.as_ref().map(|offer| offer.offer_id.clone()).unwrap_or_default(),
        offer_propensity: made.propensity,
        angle: made.angle.clone(),
        assignments: made.assignments.clone(),
        in_holdout: made.in_holdout,
        plan_id: made.plan_id.clone(),
        seed: made.seed,
        features: made.features.clone(),
        feature_version: made.feature_version,
        available_offer_ids: made.available_offer_ids.clone(),
        ..Decision::default()
    };
    RecordDecisionsRequest { decision: Some(decision), log_position: 0 }
}

/// The purchase and the redemption, where there was one.
fn events(told: &Told) -> Vec<IngestEventsRequest> {
    let Some(sale) = told.sale else { return Vec::new() };
    let money = |minor_units| Some(Money { currency_code: CURRENCY.into(), minor_units });
    let event = |name: &str, kind: EventKind| Event {
        event_id: format!("{}-{name}", told.id),
        user_id: told.user.clone(),
        kind: kind.into(),
        occurred_at: Some(moment(told.at)),
        channel: Place::App.into(),
        decision_id: told.id.clone(),
        ..Event::default()
    };
    let mut events = vec![Event {
        item_id: "basket".into(),
        purchase: Some(Purchase {
            order_id: told.id.clone(),
            quantity: 1,
            revenue: money(sale.revenue),
            cost: money(sale.cost),
            tax: None,
            discount: None,
        }),
        ..event("bought", EventKind::Purchase)
    }];
    if let Some(offer) = told.made.offer.as_ref().filter(|_| sale.discount > 0) {
        events.push(Event {
            offer_id: offer.offer_id.clone(),
            attributes: [("discount_minor".to_owned(), sale.discount.to_string())].into(),
            ..event("redeemed", EventKind::OfferRedeemed)
        });
    }
    events.into_iter().map(|event| IngestEventsRequest { event: Some(event), log_position: 0 }).collect()
}
