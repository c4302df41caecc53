//! A plan that makes offers by chance: without a plan there is no offer.

use std::time::Duration;

use chassis::client::Channel;
use chassis::deadline;
use pbjson_types::Timestamp;
use proto::common::v1::{Money, Offer};
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::evaluator::v1::{ActivatePlanRequest, GenerateStrategiesRequest, PlanKind};

/// Time a call gets.
const PATIENT: Duration = Duration::from_mins(1);

/// Makes an exploration plan over `offers`, or all that are stored, through a gateway and lets it decide; returns its id. `begin` is the
/// moment it is made and activated at in a simulation; without it, now.
pub async fn start(
    gateway: Channel,
    offers: Vec<Offer>,
    budget: Money,
    usual_order: i64,
    (begin, until): (Option<Timestamp>, Timestamp),
    (account, holdout): (&str, f64),
) -> anyhow::Result<String> {
    let usual_order = Some(Money { currency_code: budget.currency_code.clone(), minor_units: usual_order });
    let request = GenerateStrategiesRequest {
        kind: PlanKind::Exploration.into(),
        budget: Some(budget),
        offers,
        usual_order,
        from: begin,
        at: begin,
        until: Some(until),
        holdout: Some(holdout),
        budget_account_id: account.into(),
        ..GenerateStrategiesRequest::default()
    };
    let mut client = StrategyServiceClient::new(gateway);
    let made = deadline::within(PATIENT, client.generate_strategies(request)).await??.into_inner();
    let plan_id = made.plan_id;
    let activate =
        ActivatePlanRequest { plan_id: plan_id.clone(), at: begin, ..ActivatePlanRequest::default() };
    deadline::within(PATIENT, client.activate_plan(activate)).await??;
    Ok(plan_id)
}

/// Makes offers by chance for two weeks from now on.
pub async fn start_now(gateway: Channel, currency: &str, usual_order: i64) -> anyhow::Result<String> {
    let until = chrono::Utc::now().timestamp() + 14 * 86_400;
    let budget = Money { currency_code: currency.into(), minor_units: 10_000 * usual_order };
    start(
        gateway,
        Vec::new(),
        budget,
        usual_order,
        (None, Timestamp { seconds: until, nanos: 0 }),
        ("", 0.01),
    )
    .await
}
