//! OptimiseBudget: candidates to a choice and back.

use std::collections::{BTreeMap, HashSet};

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::Shared;
use super::size::{MAX_CELLS, Size};
use super::status::refuse;
use crate::strategy::budget::{self, Candidate};
use crate::strategy::knapsack;

/// Limits of one request at most.
const MAX_LIMITS: usize = 1_000;

/// Chooses under the request's budget.
pub(super) async fn answer(
    base: &Shared,
    request: wire::OptimiseBudgetRequest,
) -> Result<wire::OptimiseBudgetResponse, Status> {
    let mut found = Violations::new();
    found.within_range("budget", request.budget, 0.0, f64::MAX);
    found.within_range("risk_aversion", request.risk_aversion, 0.0, f64::MAX);
    if request.limits.len() > MAX_LIMITS {
        let text = format!("must be at most {MAX_LIMITS}, are {}", request.limits.len());
        found.add("limits", "TOO_MANY", text);
    }
    Size::new()
        .times(request.candidates.len(), "candidates")
        .times(1 + request.limits.len(), "limits, the budget included")
        .check(&mut found, "candidates", MAX_CELLS);
    refuse(found)?;
    let mut found = Violations::new();
    let mut limits = HashSet::new();
    for (index, limit) in request.limits.iter().enumerate() {
        let path = |field: &str| format!("limits[{index}].{field}");
        found.required_id(&path("name"), &limit.name);
        found.within_range(&path("amount"), limit.amount, 0.0, f64::MAX);
        if !limits.insert(limit.name.as_str()) {
            found.add(path("name"), "DUPLICATE", "must be given once");
        }
    }
    if !limits.is_empty() && request.per_unit_cap > 1 {
        let text = format!("must be 1 where there are limits, is {}", request.per_unit_cap);
        found.add("per_unit_cap", "OUT_OF_RANGE", text);
    }
    let mut seen = HashSet::new();
    for (index, candidate) in request.candidates.iter().enumerate() {
        let path = |field: &str| format!("candidates[{index}].{field}");
        found.required_id(&path("unit_id"), &candidate.unit_id);
        found.required_id(&path("treatment_id"), &candidate.treatment_id);
        found.finite(&path("value"), candidate.value);
        found.within_range(&path("value_se"), candidate.value_se, 0.0, f64::MAX);
        found.within_range(&path("cost"), candidate.cost, 0.0, f64::MAX);
        if candidate.uses.len() > 2 {
            found.add(path("uses"), "TOO_MANY", format!("must be at most 2, are {}", candidate.uses.len()));
        }
        for (place, of) in candidate.uses.iter().enumerate() {
            found.within_range(&path(&format!("uses[{place}].amount")), of.amount, 0.0, f64::MAX);
            if !limits.contains(of.limit.as_str()) {
                let text = format!("must be one of the request's limits, is {:?}", of.limit);
                found.add(path(&format!("uses[{place}].limit")), "UNKNOWN_LIMIT", text);
            }
        }
        if !seen.insert((&candidate.unit_id, &candidate.treatment_id)) {
            found.add(path("treatment_id"), "DUPLICATE", "must be given once for each unit");
        }
    }
    refuse(found)?;
    let work = move || if request.limits.is_empty() { optimise(&request) } else { optimise_within(&request) };
    Ok(base.pool.run(work).await?)
}

/// Under limits beside the budget.
fn optimise_within(request: &wire::OptimiseBudgetRequest) -> wire::OptimiseBudgetResponse {
    let limit = |name: &str| request.limits.iter().position(|limit| limit.name == name);
    let mut units: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut people, mut given): (Vec<Vec<knapsack::Candidate>>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    for (index, candidate) in request.candidates.iter().enumerate() {
        let unit = *units.entry(&candidate.unit_id).or_insert(people.len());
        if unit == people.len() {
            people.push(Vec::new());
            given.push(Vec::new());
        }
        let mut uses = [None; 2];
        for (place, of) in uses.iter_mut().zip(&candidate.uses) {
            *place = limit(&of.limit).map(|limit| knapsack::Use { limit, amount: of.amount });
        }
        let value = candidate.value - request.risk_aversion * candidate.value_se;
        people[unit].push(knapsack::Candidate { value, cost: candidate.cost, uses });
        given[unit].push(index);
    }
    let limits: Vec<f64> = request.limits.iter().map(|limit| limit.amount).collect();
    let mut chosen = Vec::with_capacity(people.len());
    let Ok((sum, _)) =
        knapsack::solve_within(people.as_slice(), request.budget, &limits, &mut |at| chosen.push(at));
    let frontier = budget::FRONTIER.map(|share| share * request.budget).map(|budget| {
        let Ok((other, _)) = knapsack::solve_within(people.as_slice(), budget, &limits, &mut |_| ());
        wire::FrontierPoint { budget, value: other.primal }
    });
    let choice = |(unit, at): (&Vec<usize>, &Option<usize>)| {
        let candidate = &request.candidates[unit[(*at)?]];
        let (unit_id, treatment_id) = (candidate.unit_id.clone(), candidate.treatment_id.clone());
        Some(wire::BudgetChoice { unit_id, treatment_id })
    };
    wire::OptimiseBudgetResponse {
        choices: given.iter().zip(&chosen).filter_map(choice).collect(),
        shadow_price: sum.shadow_price,
        primal: sum.primal,
        dual_bound: sum.dual_bound,
        gap: sum.gap(),
        spend: sum.spend,
        frontier: frontier.to_vec(),
    }
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
