//! Exploration plans: offers made by chance, within a budget and a window, so that effects can be learnt.

use proto::evaluator::v1 as wire;
use proto::validate::Violations;

use super::{Shared, funds, plans};
use crate::error::{Error, Result};
use crate::strategy::explore;
use crate::strategy::generate::Brief;
use crate::strategy::plan::Plan;

/// Refuses what an exploration plan needs and does not have, and what only an effect model can tell.
pub(super) fn check(found: &mut Violations, request: &wire::GenerateStrategiesRequest) {
    if request.until.is_none() {
        found.add("until", "EMPTY", "must be given for PLAN_KIND_EXPLORATION: exploration ends");
    }
    let text = "must be absent for PLAN_KIND_EXPLORATION: only an effect model tells it";
    if !request.segments.is_empty() {
        found.add("segments", "NEEDS_EFFECT_MODEL", text);
    }
    if request.risk_aversion > 0.0 {
        found.add("risk_aversion", "NEEDS_EFFECT_MODEL", text);
    }
}

/// Makes and stores an exploration plan.
pub(super) async fn make(base: &Shared, mut brief: Brief) -> Result<Plan> {
    funds::complete(base, &mut brief).await?;
    let usual_order = match brief.funds.usual_order {
        Some(order) => order as f64,
        None => match base.store.usual_order(&brief.currency).await? {
            Some(order) => order,
            None if brief.offers.iter().any(|offer| offer.percent_off.is_some()) => {
                let text = format!(
                    "must be given: an offer takes off a percentage, and no purchase in {} is stored to tell of how much",
                    brief.currency
                );
                return Err(Error::invalid("usual_order", "NO_PURCHASES", text));
            }
            None => 0.0,
        },
    };
    plans::keep(base, explore::plan(&funds::new_id(), brief, usual_order)?).await
}
