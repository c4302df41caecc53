//! The part of `bespoke report plan` that says what to do next.

use proto::common::v1::Interval;
use proto::evaluator::v1::{GetPlanResponse, MeasuredOutcome, PlanKind, PlanState};

/// Decisions from which an effect model can be learnt at all; fewer are not worth a training run.
const LEAST_LEARNT: u64 = 2_000;

/// The advice, the most urgent first; at least one line.
pub(super) fn lines(plan: &GetPlanResponse) -> Vec<String> {
    let measured = plan.measured.clone().unwrap_or_default();
    let mut advice = Vec::new();
    if measured.cost_unknown_decisions > 0 {
        advice.push(
            "send `cost` with purchases: profit is judged without those whose cost is unknown".to_owned(),
        );
    }
    advice.push(match (plan.state(), plan.kind()) {
        (PlanState::Unspecified, _) => "nothing is known of this plan: ask for another".to_owned(),
        (PlanState::Proposed, PlanKind::Exploration) => format!("activate it: {}", activate(plan)),
        (PlanState::Proposed, _) => proposed(plan),
        (PlanState::Scheduled, _) => "nothing: it begins by itself".to_owned(),
        (PlanState::Suspended, _) => {
            "train the effect model on what it did (TrainEffectModel), generate strategies anew and \
             activate the new plan; until then this one makes offers by chance alone"
                .to_owned()
        }
        (PlanState::Ended, PlanKind::Exploration) => learn(&measured),
        (PlanState::Ended, _) => ended(plan, &measured),
        (PlanState::Active, PlanKind::Exploration) => exploring(&measured),
        (PlanState::Active, _) => active(plan, &measured),
    });
    let mut lines = vec!["What to do next".to_owned()];
    lines.extend(advice.into_iter().map(|text| format!("  {text}")));
    lines
}

fn activate(plan: &GetPlanResponse) -> String {
    format!("ActivatePlan with \"plan_id\":\"{}\"", plan.plan_id)
}

fn proposed(plan: &GetPlanResponse) -> String {
    let promised = plan.expected.as_ref().and_then(|expected| expected.profit.as_ref());
    match promised {
        Some(profit) if profit.lower <= 0.0 => format!(
            "it may bring nothing: learn more first (`bespoke explore`), or take the risk; activation is checked against \
             the log: {}",
            activate(plan)
        ),
        _ => format!("activate it, which checks it against the log: {}", activate(plan)),
    }
}

fn exploring(measured: &MeasuredOutcome) -> String {
    let closed = measured.decisions.saturating_sub(measured.open_decisions);
    if closed < LEAST_LEARNT {
        return format!(
            "let it go on: {closed} of its decisions are old enough to learn from, about {LEAST_LEARNT} are needed"
        );
    }
    learn(measured)
}

fn learn(measured: &MeasuredOutcome) -> String {
    let closed = measured.decisions.saturating_sub(measured.open_decisions);
    format!("learn from its {closed} decisions (TrainEffectModel), then GenerateStrategies and ActivatePlan")
}

/// The profit that the people held out tell, where there are enough of them.
fn added(plan: &GetPlanResponse) -> Option<Interval> {
    let found = plan.holdout.as_ref()?;
    let [amounts] = &found.amounts[..] else { return None };
    amounts.profit.as_ref().or(amounts.revenue.as_ref())?.total
}

fn active(plan: &GetPlanResponse, measured: &MeasuredOutcome) -> String {
    if !plan.why.is_empty() {
        return format!("it makes no offers: {}", plan.why);
    }
    match added(plan) {
        _ if measured.open_decisions == measured.decisions => {
            "wait: no decision is old enough yet to say what it brought".to_owned()
        }
        Some(found) if found.upper < 0.0 => {
            "end it (DeactivatePlan): people who may get offers bring less than those who never do".to_owned()
        }
        Some(found) if found.lower > 0.0 => {
            "keep it, and train and generate anew before its window ends: people who may get offers bring more than those \
             who never do"
                .to_owned()
        }
        _ => "let it go on: what it adds cannot be told from chance yet; the people held out will tell in time, sooner the \
             more of them there are (`holdout` of GenerateStrategies)"
            .to_owned(),
    }
}

fn ended(plan: &GetPlanResponse, measured: &MeasuredOutcome) -> String {
    if measured.decisions == 0 {
        return "generate strategies anew: this plan decided nothing".to_owned();
    }
    if measured.open_decisions > 0 {
        return format!(
            "look again when all outcome windows are over ({} are open), then train and generate the next plan",
            measured.open_decisions
        );
    }
    match added(plan) {
        Some(found) if found.upper < 0.0 => {
            "make fewer offers next time: people who might get some brought less than those \
             who never did; explore before the next plan (`bespoke explore`)"
                .to_owned()
        }
        _ => "train the effect model on what it did (TrainEffectModel) and generate the next plan".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proto::evaluator::v1::{HoldoutAmounts, HoldoutContrast, HoldoutResult};

    use super::*;

    fn plan(state: PlanState, kind: PlanKind) -> GetPlanResponse {
        GetPlanResponse {
            plan_id: "p".into(),
            state: state.into(),
            kind: kind.into(),
            measured: Some(MeasuredOutcome { decisions: 5_000, open_decisions: 1_000, ..Default::default() }),
            ..GetPlanResponse::default()
        }
    }

    fn with_profit(lower: f64, upper: f64) -> GetPlanResponse {
        let total = Some(Interval { estimate: f64::midpoint(lower, upper), lower, upper, level: 0.95 });
        let profit = Some(HoldoutContrast { total, ..HoldoutContrast::default() });
        let amounts = vec![HoldoutAmounts { profit, ..HoldoutAmounts::default() }];
        let holdout = Some(HoldoutResult { amounts, ..HoldoutResult::default() });
        GetPlanResponse { holdout, ..plan(PlanState::Active, PlanKind::Targeted) }
    }

    fn told(plan: &GetPlanResponse) -> String {
        lines(plan).join("\n")
    }

    #[test]
    fn advice_follows_from_state_and_figures() {
        assert!(told(&with_profit(1.0, 2.0)).contains("keep it"));
        assert!(told(&with_profit(-2.0, -1.0)).contains("DeactivatePlan"));
        assert!(told(&with_profit(-2.0, 1.0)).contains("cannot be told from chance"));
        let no_offers = GetPlanResponse { why: "its budget is owed".into(), ..with_profit(1.0, 2.0) };
        assert!(told(&no_offers).contains("its budget is owed"));
        let exploring = |decisions| GetPlanResponse {
            measured: Some(MeasuredOutcome { decisions, ..MeasuredOutcome::default() }),
            ..plan(PlanState::Active, PlanKind::Exploration)
        };
        assert!(told(&exploring(500)).contains("let it go on: 500"));
        assert!(told(&exploring(9_000)).contains("TrainEffectModel"));
        assert!(told(&plan(PlanState::Ended, PlanKind::Targeted)).contains("1000 are open"));
        assert!(told(&plan(PlanState::Proposed, PlanKind::Targeted)).contains("\"plan_id\":\"p\""));
    }

    #[test]
    fn every_plan_gets_advice_and_missing_costs_come_first() {
        for state in [PlanState::Unspecified, PlanState::Scheduled, PlanState::Suspended, PlanState::Ended] {
            for kind in [PlanKind::Targeted, PlanKind::Exploration] {
                assert!(lines(&plan(state, kind)).len() > 1, "{state:?} {kind:?}");
            }
        }
        let mut uncosted = with_profit(1.0, 2.0);
        uncosted.measured.get_or_insert_default().cost_unknown_decisions = 3;
        assert!(lines(&uncosted)[1].contains("`cost`"));
    }
}
