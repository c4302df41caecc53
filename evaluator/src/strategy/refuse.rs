//! Why nothing is planned: the true reason, and what would work.

use super::generate::Brief;
use super::knapsack::Candidate;
use super::people::Person;
use super::plan::Plan;
use crate::effect::Model;
use crate::effect::train::Outcome;
use crate::error::Error;
use crate::stats::normal;

/// The account's money is spent or owed already.
pub(super) fn used_up(brief: &Brief) -> Error {
    let Brief { budget, currency, funds, .. } = brief;
    let text = format!(
        "{} {currency} minor units are spent or owed on account {:?} already and the budget is {budget}: nothing is left. \
         Give a larger budget, or another account",
        funds.already, funds.account_id
    );
    Error::precondition("BUDGET_USED_UP", text)
}

/// One redemption may cost more than there is.
pub(super) fn budget_too_small(plan: &Plan, least: f64) -> Error {
    let left = plan.budget - plan.already;
    let text = format!(
        "{left} {} minor units cover no redemption: the cheapest offer that pays may cost {least:.0} at once. Give a budget \
         of at least {:.0}, or offers that cost less",
        plan.currency,
        least + plan.already as f64
    );
    Error::precondition("BUDGET_TOO_SMALL", text)
}

/// No offer was chosen for anybody: the budget, the data or the offers are to blame.
pub(super) fn nothing_chosen(
    plan: &Plan,
    model: &Model,
    people: &[Person],
    candidates: &[Vec<Candidate>],
    treated: f64,
    log: &[Outcome],
) -> Error {
    let paying =
        candidates.iter().flat_map(|offers| offers.iter().enumerate()).filter(|(_, one)| one.value > 0.0);
    // What pays must be affordable on average over the window, and once in full.
    let least = paying.map(|(offer, one)| (one.cost * treated).max(plan.worst(&plan.offers[offer])));
    if let Some(least) = least.min_by(f64::total_cmp) {
        return budget_too_small(plan, least);
    }
    too_little_data(plan, model, people, log).unwrap_or_else(|| {
        let text = "no offer is expected to bring more than it costs for anybody, and the data leave no doubt of it; \
                    nothing is proposed. Offers that cost less, or on goods with a larger margin, may pay";
        Error::precondition("NOTHING_PAYS", text)
    })
}

/// Where an offer may pay for somebody as far as is known, what is missing are data.
fn too_little_data(plan: &Plan, model: &Model, people: &[Person], log: &[Outcome]) -> Option<Error> {
    let z = normal::quantile(f64::midpoint(1.0, crate::effect::LEVEL));
    let mut doubtful: Option<(f64, usize)> = None;
    for person in people {
        for (offer, prediction) in person.predictions.iter().enumerate() {
            let value = plan.objective.value(prediction);
            let reach = z * value.error();
            // As many times the decisions as make the interval end where the offer is believed to be: below 0.
            if value.mean + reach > 0.0 {
                let times = (reach / value.mean.abs().max(reach / 10.0)).powi(2).max(1.0);
                if doubtful.is_none_or(|(least, _)| times < least) {
                    doubtful = Some((times, offer));
                }
            }
        }
    }
    let (times, offer) = doubtful?;
    let decisions: usize = model.arms.iter().map(|arm| arm.rows).sum();
    let id = &plan.offers[offer].offer_id;
    let seen = model.arm(id).map_or(0, |arm| model.arms[arm].rows);
    let bought = log.iter().filter(|row| row.bought > 0.0).count();
    let text = format!(
        "too little is known: the effect model learnt from {decisions} decisions, {seen} of them with offer {id:?}; the log \
         holds {bought} with a purchase. That does not tell whether an offer brings more than it costs. About {:.0} decisions in all would tell; record more under an \
         exploration plan and train again",
        decisions as f64 * times.max(1.5)
    );
    Some(Error::precondition("TOO_LITTLE_DATA", text))
}
