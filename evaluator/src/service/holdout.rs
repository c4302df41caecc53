//! The hold-out's answer on the wire.

use proto::evaluator::v1 as wire;

use super::convert::{interval, timestamp};
use super::plans::decides_from;
use super::{Shared, now};
use crate::error::Result;
use crate::strategy::holdout::{Amounts, Contrast, Holdout, MIN_PEOPLE, compare};
use crate::strategy::plan::Plan;

/// Compares the people a plan held out with all others it decided for, from its first decision until `window` microseconds
/// after its last; `None` where it has decided nothing.
pub(super) async fn result(base: &Shared, plan: &Plan, window: i64) -> Result<Option<wire::HoldoutResult>> {
    let met = base.store.met_by(&plan.id, decides_from(base, plan)).await?;
    let Some((first, last)) = met.span else { return Ok(None) };
    let until = last.saturating_add(window).min(now()).max(last.saturating_add(1));
    let sales = base.store.sales_between(first, until).await?;
    let found = base.pool.run(move || compare(&met, &sales)).await?;
    Ok(Some(wire::HoldoutResult {
        from: Some(timestamp(first)),
        until: Some(timestamp(until)),
        reason: reason(&found),
        treated_people: found.treated,
        held_out_people: found.held_out,
        mixed_people: found.mixed,
        conversion: found.conversion.map(contrast),
        amounts: found.amounts.into_iter().map(amounts).collect(),
    }))
}

fn reason(found: &Holdout) -> String {
    if found.conversion.is_some() {
        return String::new();
    }
    format!(
        "{} people are held out and {} are not; at least {MIN_PEOPLE} of each are needed",
        found.held_out, found.treated
    )
}

fn contrast(found: Contrast) -> wire::HoldoutContrast {
    wire::HoldoutContrast {
        treated: found.treated,
        held_out: found.held_out,
        per_person: Some(interval(found.per_person)),
        total: Some(interval(found.total)),
    }
}

fn amounts(found: Amounts) -> wire::HoldoutAmounts {
    wire::HoldoutAmounts {
        currency_code: found.currency,
        revenue: Some(contrast(found.revenue)),
        profit: found.profit.map(contrast),
        cost_unknown_people: found.cost_unknown,
    }
}
