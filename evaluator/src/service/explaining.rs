//! Why a plan makes no offer, in words.

use chrono::DateTime;

use super::{Shared, funds};
use crate::error::Result;
use crate::store::AccountState;
use crate::strategy::plan::{Phase, Plan, State};
use crate::strategy::terms;

/// Why `plan`, which stands at `state`, makes no offer at the moment `at`; empty where it may.
pub(super) fn why(plan: &Plan, state: State, at: i64, account: AccountState) -> String {
    match state {
        State::Proposed => return "it is proposed and not active: ActivatePlan lets it decide".to_owned(),
        State::Ended => {
            return "it has ended: DeactivatePlan or the activation of another plan ended it".to_owned();
        }
        State::Active | State::FallenBack => {}
    }
    match (plan.phase(at), plan.window) {
        (Phase::Before, Some((from, _))) => return format!("its window begins at {}", written(from)),
        (Phase::After, Some((_, until))) => return format!("its window ended at {}", written(until)),
        _ => {}
    }
    let costs = plan.offers.iter().filter(|offer| terms::is_valid(offer, at)).map(|offer| plan.worst(offer));
    let Some(cheapest) = costs.min_by(f64::total_cmp) else {
        return "none of its offers is valid now".to_owned();
    };
    let AccountState { spent, owed, reserved } = account;
    let Plan { budget, currency, .. } = plan;
    if spent as f64 + cheapest > *budget as f64 {
        return format!(
            "its budget is spent: {spent} of {budget} {currency} minor units on account {:?} are redeemed, and the cheapest \
             offer may cost {cheapest:.0}",
            plan.account()
        );
    }
    if (spent + owed) as f64 + cheapest > *budget as f64 {
        return format!(
            "what is left of its budget is owed: of {budget} {currency} minor units on account {:?} {spent} are redeemed and \
             {owed} may still be, by offers made that have not ended; it offers again as these end unredeemed",
            plan.account()
        );
    }
    if budget - spent - owed - reserved <= 0 && reserved as f64 > 0.5 * *budget as f64 {
        return format!(
            "{reserved} of its {budget} {currency} minor units are set aside for decisions not yet recorded"
        );
    }
    String::new()
}

/// Which plan is in force, as a sentence.
pub(super) async fn in_force(base: &Shared) -> Result<String> {
    let Some((plan, state)) = base.store.deciding_plan().await? else {
        return Ok("No plan is in force".to_owned());
    };
    let at = base.clock.now();
    let why = why(&plan, state, at, funds::state(base, plan.account()).await?);
    Ok(if why.is_empty() {
        format!("Plan {} stays in force", plan.id)
    } else {
        format!("Plan {} stays in force, but makes no offer: {why}", plan.id)
    })
}

fn written(at: i64) -> String {
    DateTime::from_timestamp_micros(at).map_or_else(|| at.to_string(), |at| at.to_rfc3339())
}
