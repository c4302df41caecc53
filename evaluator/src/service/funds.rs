//! The budget account a plan is made on, and the offers it may spend on.

use proto::common::v1::{Money, Offer};
use proto::evaluator::v1 as wire;
use proto::validate::{self, Violations};

use super::{Shared, now};
use crate::error::{Error, Result};
use crate::store::AccountState;
use crate::strategy::generate::{Brief, Funds};
use crate::strategy::limit::Of;
use crate::strategy::plan::Plan;

/// A new plan's id.
pub(super) fn new_id() -> String {
    format!("plan-{}", uuid::Uuid::now_v7().simple())
}

/// Reads the account a request names.
pub(super) fn asked(
    found: &mut Violations,
    request: &wire::GenerateStrategiesRequest,
    budget: &Money,
) -> Funds {
    found.optional_id("budget_account_id", &request.budget_account_id);
    if request.budget_account_id.contains('#') {
        found.add(
            "budget_account_id",
            "RESERVED_CHARACTER",
            "must not contain #, which names limits of plans",
        );
    }
    if let Some(order) = &request.usual_order {
        found.add_within("usual_order", validate::money(order));
        if order.minor_units == 0 {
            found.add("usual_order.minor_units", "NOT_POSITIVE", "must be above 0, is 0");
        }
        currency(found, "usual_order", order, &budget.currency_code);
    }
    Funds {
        account_id: request.budget_account_id.clone(),
        already: 0,
        usual_order: request.usual_order.as_ref().map(|order| order.minor_units),
    }
}

/// Refuses an offer whose amounts are in another currency than the budget.
pub(super) fn in_currency(found: &mut Violations, path: &str, offer: &Offer, budget: &str) {
    for (field, amount) in [("amount_off", &offer.amount_off), ("min_spend", &offer.min_spend)] {
        if let Some(amount) = amount {
            currency(found, &format!("{path}.{field}"), amount, budget);
        }
    }
}

fn currency(found: &mut Violations, field: &str, amount: &Money, budget: &str) {
    if amount.currency_code != budget {
        let text = format!("must be {budget}, the budget's, is {}", amount.currency_code);
        found.add(format!("{field}.currency_code"), "OTHER_CURRENCY", text);
    }
}

/// Completes what a plan is made of: the stored offers in the budget's currency where none are given, and what is spent and
/// owed on its account.
pub(super) async fn complete(base: &Shared, brief: &mut Brief) -> Result<()> {
    if brief.offers.is_empty() {
        let stored = base.store.current_offers().await?;
        if stored.is_empty() {
            let text = "no offer is stored: UpsertOffers first, or give offers";
            return Err(Error::precondition("NO_OFFERS", text));
        }
        let (ours, others): (Vec<Offer>, Vec<Offer>) = stored.into_iter().partition(|offer| {
            let mut found = Violations::new();
            in_currency(&mut found, "", offer, &brief.currency);
            found.into_vec().is_empty()
        });
        if ours.is_empty() {
            let text = format!(
                "all {} offers stored are in another currency than the budget, {}: give a budget in theirs",
                others.len(),
                brief.currency
            );
            return Err(Error::precondition("OFFERS_IN_OTHER_CURRENCY", text));
        }
        brief.offers = ours;
    }
    for (index, limit) in brief.limits.iter().enumerate() {
        let Of::Offer(id) = &limit.of else { continue };
        if !brief.offers.iter().any(|offer| offer.offer_id == *id) {
            let text = format!("must be one of the plan's offers, is {id:?}");
            return Err(Error::invalid(format!("limits[{index}].offer_id"), "UNKNOWN_OFFER", text));
        }
    }
    let account = &brief.funds.account_id;
    if !account.is_empty() {
        if let Some(currency) = base.store.account_currency(account).await?
            && currency != brief.currency
        {
            let text = format!("must be {currency}, that of account {account:?}, is {}", brief.currency);
            return Err(Error::invalid("budget.currency_code", "OTHER_CURRENCY", text));
        }
        let AccountState { spent, owed, .. } = state(base, account).await?;
        brief.funds.already = spent.saturating_add(owed);
    }
    Ok(())
}

/// What stands on an account now.
pub(super) async fn state(base: &Shared, account: &str) -> Result<AccountState> {
    let at = base.clock.now();
    let redemptions = base.deciding.redemptions(&base.store, account, at).await?;
    base.store.account(account, &redemptions, at, now()).await
}

/// A plan's account on the wire.
pub(super) fn report(plan: &Plan, account: AccountState) -> wire::BudgetAccount {
    let AccountState { spent, owed, reserved } = account;
    wire::BudgetAccount {
        account_id: plan.account().to_owned(),
        budget: Some(Money { currency_code: plan.currency.clone(), minor_units: plan.budget }),
        spent,
        owed,
        reserved,
        available: plan.budget.saturating_sub(spent).saturating_sub(owed).saturating_sub(reserved),
    }
}
