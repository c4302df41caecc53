//! Which plan decides: activated, and taken back.

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::requests::Method;
use super::status::refuse;
use super::{Shared, explaining, now, plans};
use crate::error::{Error, Result};
use crate::strategy::plan::{Kind, Plan};

/// Makes a plan the one that decides. A refusal says what stays in force.
pub(super) async fn activate(
    base: &Shared,
    request: wire::ActivatePlanRequest,
) -> Result<wire::ActivatePlanResponse, Status> {
    let wire::ActivatePlanRequest { plan_id, request_id, at, accepted_risk } = request;
    let mut found = Violations::new();
    found.required_id("plan_id", &plan_id);
    found.optional_id("request_id", &request_id);
    found.within_range("accepted_risk", accepted_risk, 0.0, 1.0);
    let at = base.clock.moment(&mut found, "at", at.as_ref());
    refuse(found)?;
    // A late retry must not undo what was decided since.
    if let Some(answered) = base.store.answer_to(Method::ActivatePlan.name(), &request_id).await? {
        same_plan(&answered, &plan_id)?;
        return Ok(wire::ActivatePlanResponse { plan_id, replay: None });
    }
    // Before the replay, which takes its time: whatever is activated meanwhile has been seen by nobody here.
    let before = base.store.deciding_plan().await?.map(|(plan, _)| plan.id);
    let (plan, _) = plan_of(base, &plan_id).await?;
    let replay = match judged(base, &plan, at, accepted_risk).await {
        Ok(replay) => replay,
        Err(Error::Precondition { reason, message }) => {
            let message = format!("{message}. {}", explaining::in_force(base).await?);
            return Err(Error::Precondition { reason, message }.into());
        }
        Err(error) => return Err(error.into()),
    };
    let deciding = base.store.activate_plan(&plan_id, before.as_deref()).await?;
    base.deciding.changed();
    if deciding.as_deref() != Some(plan_id.as_str()) {
        let text = format!(
            "another call changed which plan decides while this one was judged. {}. Look at it with GetPlan, then activate again",
            explaining::in_force(base).await?
        );
        return Err(Error::precondition("ANOTHER_PLAN_ACTIVATED", text).into());
    }
    base.store.keep_answer(Method::ActivatePlan.name(), &request_id, &plan_id, now()).await?;
    Ok(wire::ActivatePlanResponse { plan_id, replay })
}

/// Refuses a request whose id was used for another plan.
fn same_plan(answered: &str, plan_id: &str) -> Result<()> {
    if answered == plan_id {
        return Ok(());
    }
    let text = format!("was used for plan {answered}: give each request an id of its own");
    Err(Error::invalid("request_id", "REUSED", text))
}

/// Checks that a plan can be activated; replays it on the log where an effect model made it.
async fn judged(base: &Shared, plan: &Plan, at: i64, accepted_risk: f64) -> Result<Option<wire::PlanReplay>> {
    plans::check_time(plan, at)?;
    match plan.kind {
        Kind::Exploration => Ok(None),
        Kind::Targeted => plans::replayed(base, plan, accepted_risk).await.map(Some),
    }
}

/// Ends a plan's deciding.
pub(super) async fn deactivate(
    base: &Shared,
    request: wire::DeactivatePlanRequest,
) -> Result<wire::DeactivatePlanResponse, Status> {
    let wire::DeactivatePlanRequest { plan_id, request_id } = request;
    let mut found = Violations::new();
    found.required_id("plan_id", &plan_id);
    found.optional_id("request_id", &request_id);
    refuse(found)?;
    if let Some(answered) = base.store.answer_to(Method::DeactivatePlan.name(), &request_id).await? {
        same_plan(&answered, &plan_id)?;
        return Ok(wire::DeactivatePlanResponse { plan_id });
    }
    plan_of(base, &plan_id).await?;
    base.store.deactivate_plan(&plan_id).await?;
    base.deciding.changed();
    base.store.keep_answer(Method::DeactivatePlan.name(), &request_id, &plan_id, now()).await?;
    Ok(wire::DeactivatePlanResponse { plan_id })
}

/// A plan and where it stands; NOT_FOUND where there is none of that id.
pub(super) async fn plan_of(base: &Shared, id: &str) -> Result<(Plan, crate::strategy::plan::State)> {
    let found = base.store.plan(id).await?;
    found.ok_or_else(|| Error::NotFound { kind: "plan", id: id.to_owned() })
}
