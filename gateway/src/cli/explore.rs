//! `bespoke explore`: offers made by chance within a budget, without which no effect can be learnt.

use chassis::client::Channel;
use chrono::Utc;
use clap::Args;
use pbjson_types::Timestamp;
use proto::common::v1::Money;
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::evaluator::v1::{ActivatePlanRequest, GenerateStrategiesRequest, PlanKind};

use super::{Failure, show};

/// Seconds in a day.
const DAY: i64 = 86_400;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What the offers may cost in all, in the currency's major unit: 500 or 499.50.
    #[arg(long)]
    budget: f64,
    /// Currency of the budget; offers in another one are left out.
    #[arg(long)]
    currency: String,
    /// Days from now on.
    #[arg(long, default_value_t = 14)]
    days: u32,
    /// Share of the decisions made by chance, .001 to 1; the others make no offer.
    #[arg(long, default_value_t = 1.0)]
    share: f64,
    /// Value of an ordinary order; without it, the mean of the stored orders.
    #[arg(long)]
    usual_order: Option<f64>,
    /// Budget account shared with other plans; without it, one of the plan's own.
    #[arg(long, default_value = "")]
    account: String,
}

pub(super) async fn run(arguments: Arguments, gateway: Channel, json: bool) -> Result<(), Failure> {
    let Arguments { budget, currency, days, share, usual_order, account } = arguments;
    let until = Timestamp { seconds: Utc::now().timestamp() + i64::from(days) * DAY, nanos: 0 };
    let budget = money(budget, &currency, "--budget")?;
    let usual_order = usual_order.map(|order| money(order, &currency, "--usual-order")).transpose()?;
    let request = GenerateStrategiesRequest {
        kind: PlanKind::Exploration.into(),
        budget: Some(budget.clone()),
        usual_order,
        until: Some(until),
        exploration: Some(share),
        budget_account_id: account,
        ..GenerateStrategiesRequest::default()
    };
    let mut client = StrategyServiceClient::new(gateway);
    let plan_id = client.generate_strategies(request).await?.into_inner().plan_id;
    let activate = ActivatePlanRequest { plan_id, ..ActivatePlanRequest::default() };
    let active = client.activate_plan(activate).await?.into_inner();
    if json {
        return show::json(&active);
    }
    show::line(&format!(
        "plan {} makes offers by chance for {days} days, for at most {}; `bespoke report plan` tells what it spends",
        active.plan_id,
        show::money(&budget)
    ));
    Ok(())
}

fn money(major: f64, currency: &str, option: &str) -> Result<Money, Failure> {
    let currency_code = currency.to_uppercase();
    let minor = (major * 10_f64.powi(show::digits(&currency_code).cast_signed())).round();
    if !(1.0..9e15).contains(&minor) {
        return Err(Failure::Usage(format!(
            "{option}: must be above 0 and below 9e15 minor units, is {major}"
        )));
    }
    Ok(Money { currency_code, minor_units: minor as i64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_given_in_the_currencys_major_unit() {
        let minor =
            |major, currency: &str| money(major, currency, "--budget").map(|money| money.minor_units).ok();
        assert_eq!((minor(499.5, "usd"), minor(500.0, "JPY")), (Some(49_950), Some(500)));
        assert_eq!((minor(0.0, "USD"), minor(f64::NAN, "USD"), minor(-3.0, "USD")), (None, None, None));
    }
}
