//! OptimiseBudget: candidates to a choice and back.

use std::collections::{BTreeMap, HashSet};

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::Shared;
use super::status::refuse;
use crate::strategy::budget::{self, Candidate};

/// Chooses under the request's budget.
pub(super) async fn answer(
    base: &Shared,
    request: wire::OptimiseBudgetRequest,
) -> Result<wire::OptimiseBudgetResponse, Status> {
    let mut found = Violations::new();
    found.within_range("budget", request.budget, 0.0, f64::MAX);
    found.within_range("risk_aversion", request.risk_aversion, 0.0, f64::MAX);
    let mut seen = HashSet::new();
    for (index, candidate) in request.candidates.iter().enumerate() {
        let path = |field: &str| format!("candidates[{index}].{field}");
        found.required_id(&path("unit_id"), &candidate.unit_id);
        found.required_id(&path("treatment_id"), &candidate.treatment_id);
        found.finite(&path("value"), candidate.value);
        found.within_range(&path("value_se"), candidate.value_se, 0.0, f64::MAX);
        found.within_range(&path("cost"), candidate.cost, 0.0, f64::MAX);
        if !seen.insert((&candidate.unit_id, &candidate.treatment_id)) {
            found.add(path("treatment_id"), "DUPLICATE", "must be given once for each unit");
        }
    }
    refuse(found)?;
    Ok(base.pool.run(move || optimise(&request)).await?)
}

fn optimise(request: &wire::OptimiseBudgetRequest) -> wire::OptimiseBudgetResponse {
    let mut units: BTreeMap<&str, usize> = BTreeMap::new();
    let candidates: Vec<Candidate> = request
        .candidates
        .iter()
        .map(|given| {
            let next = units.len();
            let unit = *units.entry(&given.unit_id).or_insert(next);
            Candidate { unit, value: given.value - request.risk_aversion * given.value_se, cost: given.cost }
        })
        .collect();
    let cap = request.per_unit_cap.max(1) as usize;
    let plan = budget::optimise(&candidates, request.budget, cap);
    let choice = |index: &usize| {
        let given = &request.candidates[*index];
        wire::BudgetChoice { unit_id: given.unit_id.clone(), treatment_id: given.treatment_id.clone() }
    };
    let frontier = budget::FRONTIER.map(|share| share * request.budget).map(|budget| wire::FrontierPoint {
        budget,
        value: budget::optimise(&candidates, budget, cap).primal,
    });
    let gap = if plan.dual_bound > 0.0 { (plan.dual_bound - plan.primal) / plan.dual_bound } else { 0.0 };
    wire::OptimiseBudgetResponse {
        choices: plan.chosen.iter().map(choice).collect(),
        shadow_price: plan.shadow_price,
        primal: plan.primal,
        dual_bound: plan.dual_bound,
        gap: gap.max(0.0),
        spend: plan.spend,
        frontier: frontier.to_vec(),
    }
}
