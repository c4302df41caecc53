//! `bespoke report plan`: what a plan is, what it promised and what it brought, for people who sell.

use chassis::client::Channel;
use proto::common::v1::{Channel as Place, Interval};
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::evaluator::v1::{GetPlanRequest, GetPlanResponse, MeasuredOutcome, PlanKind, PlanState, Strategy};

use super::{holdout, next};
use crate::cli::{Failure, show};

/// How many times as wide as the promise an interval may be that is still printed.
const VAGUE: f64 = 3.0;

pub(super) async fn print(plan_id: String, gateway: Channel, json: bool) -> Result<(), Failure> {
    let request = GetPlanRequest { plan_id };
    let plan = StrategyServiceClient::new(gateway).get_plan(request).await?.into_inner();
    if json {
        return show::json(&plan);
    }
    show::line(&lines(&plan).join("\n"));
    Ok(())
}

/// The report, line by line.
fn lines(plan: &GetPlanResponse) -> Vec<String> {
    let budget = plan.budget.clone().unwrap_or_default();
    let money = |minor_units: f64| show::amount(minor_units, &budget.currency_code);
    let range = |interval: &Interval| {
        format!("{} [{}, {}]", money(interval.estimate), money(interval.lower), money(interval.upper))
    };
    let exploring = plan.kind() == PlanKind::Exploration;
    let state = match plan.state() {
        PlanState::Active if exploring => "makes offers by chance now",
        PlanState::Active => "decides now",
        PlanState::Scheduled => "is active and waits for its window",
        PlanState::Proposed => "proposed, not active",
        PlanState::Suspended => "fell back to the safe default: its promises failed",
        PlanState::Ended | PlanState::Unspecified => "has ended",
    };
    let mut lines = vec![format!("Plan {}: {state}", plan.plan_id)];
    if !plan.why.is_empty() {
        lines.push(format!("  no offers    {}", plan.why));
    }
    lines.push(format!("  budget       {}", money(budget.minor_units as f64)));
    if let Some(account) = &plan.account {
        lines.push(format!(
            "  account      {}: {} spent, {} may still be redeemed, {} set aside for decisions on their way, {} free",
            account.account_id,
            money(account.spent as f64),
            money(account.owed as f64),
            money(account.reserved as f64),
            money(account.available.max(0) as f64)
        ));
    }
    if !plan.model_version.is_empty() {
        lines.push(format!("  decides by   {}", plan.model_version));
    }
    if let Some(expected) = &plan.expected {
        lines.push("Promised when it was made".into());
        let rows = [("extra profit", &expected.profit), ("discounts", &expected.cost)];
        lines.extend(
            rows.iter().filter_map(|(name, value)| Some(format!("  {name:<12} {}", range(value.as_ref()?)))),
        );
        if let Some(sales) = &expected.conversions {
            lines.push(format!(
                "  extra sales  {:.0} [{:.0}, {:.0}]",
                sales.estimate, sales.lower, sales.upper
            ));
        }
    }
    if !plan.strategies.is_empty() {
        lines.push("Whom it offers what, the best first".into());
    }
    for (strategy, place) in plan.strategies.iter().zip(1..) {
        lines.push(format!("  {place}. {}", headline(strategy)));
        if let Some(expected) = &strategy.expected {
            let [profit, cost] = [&expected.profit, &expected.cost];
            let told = |value: &Option<Interval>| value.as_ref().map_or_else(|| "unknown".into(), range);
            lines.push(format!("     extra profit {}, discounts {}", told(profit), told(cost)));
        }
        lines.extend(strategy.reasons.iter().map(|reason| format!("     because {reason}")));
        if let Some(taken) = strategy.displacement.as_ref().filter(|taken| taken.full_price_buyers > 0.0) {
            lines.push(format!(
                "     of these {:.0} would have bought anyway and save {}",
                taken.full_price_buyers,
                money(taken.discount_to_them)
            ));
        }
    }
    lines.extend(outcome(plan, exploring));
    lines.extend(plan.holdout.iter().flat_map(holdout::lines));
    if plan.flagged {
        lines.push(format!("Warning: {}", plan.reason));
    }
    lines.extend(next::lines(plan));
    lines
}

/// What it brought so far.
fn outcome(plan: &GetPlanResponse, exploring: bool) -> Vec<String> {
    let budget = plan.budget.clone().unwrap_or_default();
    let money = |minor_units: f64| show::amount(minor_units, &budget.currency_code);
    let range = |interval: &Interval| {
        format!("{} [{}, {}]", money(interval.estimate), money(interval.lower), money(interval.upper))
    };
    let mut lines = Vec::new();
    if let Some(measured) = plan.measured.as_ref().filter(|measured| measured.decisions > 0) {
        lines.push(format!("Measured over {} decisions", measured.decisions));
        let share = measured.spend as f64 / (budget.minor_units as f64).max(1.0);
        lines.push(format!("  offers       {} made, {} redeemed", measured.offers, measured.redeemed));
        let spend = money(measured.spend as f64);
        lines.push(format!("  discounts    {spend}, {:.1} % of the budget", 100.0 * share));
        if let (Some(profit), Some(promised)) = (&measured.profit, &measured.predicted_profit) {
            if is_vague(profit, promised) {
                lines.push(
                    "  extra profit cannot be told from these decisions: too few were made without an offer"
                        .into(),
                );
                lines.push(format!("  promised     {} for the same decisions", range(promised)));
            } else {
                lines.push(format!("  extra profit {}", range(profit)));
                lines.push(format!(
                    "  promised     {} for the same decisions: {}",
                    range(promised),
                    kept(profit, promised)
                ));
            }
        }
        if !exploring {
            lines.extend(trust(measured));
        }
        if let Some(error) = &measured.inference_error {
            lines.push(format!(
                "  inferred     {} of the discounts were not reported; such inference is off by {:.0} % [{:.0}, {:.0}]",
                money(measured.inferred_spend as f64),
                100.0 * error.estimate,
                100.0 * error.lower,
                100.0 * error.upper
            ));
        }
        lines.extend(left_out(measured));
    } else {
        lines.push("Nothing is measured yet: it has decided nothing".into());
    }
    lines
}

fn headline(strategy: &Strategy) -> String {
    let named = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    let place = match strategy.channel() {
        Place::Unspecified => "every channel".to_owned(),
        place => place.as_str_name().trim_start_matches("CHANNEL_").to_lowercase(),
    };
    let angle =
        if strategy.angle.is_empty() { String::new() } else { format!(", told by {}", strategy.angle) };
    format!(
        "{} ({} people): {} by {place}{angle}",
        named(&strategy.segment_id, "everybody"),
        strategy.audience_size,
        named(&strategy.offer_id, "no offer")
    )
}

/// Whether a measured profit is so uncertain that its figures would only mislead: its interval holds 0 and is several times
/// as wide as the promise's.
fn is_vague(measured: &Interval, promised: &Interval) -> bool {
    let width = |interval: &Interval| interval.upper - interval.lower;
    measured.lower < 0.0 && measured.upper > 0.0 && width(measured) > VAGUE * width(promised)
}

/// Whether the promise was kept, as far as chance lets one say.
fn kept(measured: &Interval, promised: &Interval) -> &'static str {
    if measured.upper < promised.lower {
        "less than promised"
    } else if measured.lower > promised.upper {
        "more than promised"
    } else {
        "as promised, within chance"
    }
}

fn trust(measured: &MeasuredOutcome) -> Vec<String> {
    vec![
        format!(
            "  predictions  off by {:.2} points of probability on average",
            100.0 * measured.calibration_error
        ),
        format!("  intervals    held in {:.0} % of the tenths checked", 100.0 * measured.coverage),
    ]
}

/// What is not in the measured profit.
fn left_out(measured: &MeasuredOutcome) -> Vec<String> {
    let hours = measured.outcome_window.as_ref().map_or(0, |window| window.seconds / 3_600);
    let mut lines = Vec::new();
    if measured.open_decisions > 0 {
        lines.push(format!(
            "  too early    {} decisions are younger than {hours} hours: what they bring is not known yet",
            measured.open_decisions
        ));
    }
    if measured.cost_unknown_decisions > 0 {
        lines.push(format!(
            "  Warning: the cost of what {} decisions sold is unknown: they are left out of profit",
            measured.cost_unknown_decisions
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use proto::common::v1::Money;
    use proto::evaluator::v1::{BudgetAccount, ExpectedOutcome};

    use super::*;

    fn interval(estimate: f64, half: f64) -> Interval {
        Interval { estimate, lower: estimate - half, upper: estimate + half, level: 0.95 }
    }

    #[test]
    fn a_profit_that_nothing_is_known_of_is_not_printed_as_a_figure() {
        let promised = interval(1_000.0, 500.0);
        assert!(is_vague(&interval(-8_000.0, 40_000.0), &promised));
        assert!(!is_vague(&interval(-8_000.0, 1_000.0), &promised), "a certain loss is told");
        assert!(!is_vague(&interval(1_000.0, 1_400.0), &promised));
    }

    #[test]
    fn a_marketer_reads_promise_outcome_and_warning() {
        let plan = GetPlanResponse {
            plan_id: "p-1".into(),
            state: PlanState::Suspended.into(),
            budget: Some(Money { currency_code: "USD".into(), minor_units: 100_000 }),
            strategies: vec![Strategy {
                segment_id: "hunters".into(),
                channel: Place::Push.into(),
                offer_id: "ten-percent".into(),
                audience_size: 1_200,
                expected: Some(ExpectedOutcome {
                    profit: Some(interval(5_000.0, 100.0)),
                    ..ExpectedOutcome::default()
                }),
                ..Strategy::default()
            }],
            measured: Some(MeasuredOutcome {
                decisions: 900,
                spend: 25_000,
                profit: Some(interval(1_000.0, 500.0)),
                predicted_profit: Some(interval(5_000.0, 1_000.0)),
                ..MeasuredOutcome::default()
            }),
            flagged: true,
            reason: "it brought less than it promised".into(),
            why: "its budget is owed".into(),
            account: Some(BudgetAccount {
                account_id: "spring".into(),
                spent: 25_000,
                owed: 70_000,
                available: 5_000,
                ..BudgetAccount::default()
            }),
            ..GetPlanResponse::default()
        };
        let text = lines(&plan).join("\n");
        for told in [
            "Plan p-1: fell back",
            "1. hunters (1200 people): ten-percent by push",
            "USD 50.00 [USD 49.00, USD 51.00]",
            "USD 250.00, 25.0 % of the budget",
            "for the same decisions: less than promised",
            "no offers    its budget is owed",
            "spring: USD 250.00 spent, USD 700.00 may still be redeemed, USD 0.00 set aside for decisions on their way, USD 50.00 free",
            "Warning: it brought less than it promised",
            "What to do next\n  train the effect model",
        ] {
            assert!(text.contains(told), "{told:?} is not in\n{text}");
        }
    }
}
