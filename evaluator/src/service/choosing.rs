//! Decide: which offer a person gets now, and with which probability.

use proto::common::v1::{Channel, Offer};
use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::deciding::Active;
use super::experiments::assignment;
use super::status::refuse;
use super::{Shared, convert, features, now};
use crate::features::{Features, VERSION};
use crate::metric::fact::DAY;
use crate::strategy::choose::{Beliefs, pick, probabilities};
use crate::strategy::ledger::Afford;
use crate::strategy::plan::State;
use crate::strategy::{terms, uniform};

/// Name of the uniform random policy on the wire.
const UNIFORM: &str = "uniform";

/// Decides for one person.
pub(super) async fn decide(
    base: &Shared,
    request: wire::DecideRequest,
) -> Result<wire::DecideResponse, Status> {
    let wire::DecideRequest { user_id, context } = request;
    let context = context.unwrap_or_default();
    let mut found = Violations::new();
    found.required_id("user_id", &user_id);
    found.known_enum::<Channel>("context.channel", context.channel, false);
    found.optional_id("context.placement", &context.placement);
    found.optional_id("context.locale", &context.locale);
    for (name, value) in &context.features {
        found.finite(&format!("context.features[{name}]"), *value);
    }
    refuse(found)?;
    let at = context.at.as_ref().map_or_else(now, convert::micros);
    let unit = base.unit(&user_id).await?;
    let features = features::of_unit(base, &unit, context.features.clone(), context.channel(), at).await?;
    let moment = base.snapshots.moment(&base.store, at).await?;
    let active = base.deciding.active(&base.store).await?;
    let active = active.filter(|active| active.plan.covers(context.channel()));
    let assignments: Vec<_> =
        moment.experiments.iter().map(|running| assignment(&running.design, &unit)).collect();
    let seed = if context.seed == 0 { uniform::seed_of_day(&unit, at) } else { context.seed };
    let set = |name: &str| assignments.iter().find_map(|found| found.parameters.get(name)).cloned();
    let holdout = active.as_ref().map_or(0.0, |active| active.plan.holdout).max(base.strategy.holdout);
    let in_holdout =
        assignments.iter().any(|assignment| assignment.in_holdout) || uniform::held_out(&unit, holdout);
    let mut angle = if in_holdout { None } else { set("angle") };
    // Who is held out gets nothing with certainty; the share held out is no choice of the policy's.
    let (offer, propensity) = if in_holdout {
        (None, 1.0)
    } else if let Some(active) = &active {
        let moment = Moment { context: &context, features: &features, unit: &unit, at, seed };
        let made = if active.plan.daily_cap > 0 {
            base.store.offers_made(&unit, context.channel(), at.div_euclid(DAY) * DAY).await?
        } else {
            0
        };
        let mut chosen = planned(active, &moment, made, false);
        if chosen.is_none() {
            // More than was thought is offered: whether the budget still has it must be asked for.
            base.deciding.renew(&base.store, active).await?;
            chosen = planned(active, &moment, made, true);
        }
        let (offer, propensity) = chosen.unwrap_or((None, 1.0));
        let named = offer.as_ref().and_then(|offer| {
            active.plan.strategies.iter().find(|strategy| strategy.offer_id == offer.offer_id)
        });
        angle = angle.or_else(|| named.map(|strategy| strategy.angle.clone()));
        (offer, propensity)
    } else {
        let eligible: Vec<&Offer> = moment
            .offers
            .iter()
            .filter(|offer| terms::is_valid(offer, at) && suits(offer, &context))
            .collect();
        let choice = uniform::choose(&unit, seed, eligible.len());
        (choice.offer.and_then(|index| eligible.get(index)).map(|offer| (*offer).clone()), choice.propensity)
    };
    Ok(wire::DecideResponse {
        offer,
        angle: angle.unwrap_or_default(),
        assignments,
        propensity,
        in_holdout,
        plan_id: active.map_or_else(|| UNIFORM.into(), |active| active.plan.id.clone()),
        seed,
        features: features.into_iter().collect(),
        feature_version: VERSION,
    })
}

/// Whom and when is decided for.
struct Moment<'a> {
    context: &'a wire::DecisionContext,
    features: &'a Features,
    unit: &'a str,
    at: i64,
    seed: u64,
}

/// What the plan gives this person now, to whom `made` offers were recorded today, and with which probability. `None`
/// where this replica's grant is too small and more may be had, unless it is `last`.
fn planned(active: &Active, moment: &Moment<'_>, made: u32, last: bool) -> Option<(Option<Offer>, f64)> {
    let Active { plan, model, state, .. } = active;
    let Moment { context, features, unit, at, seed } = *moment;
    let row = model.row(features);
    let mut books = active.books();
    books.come_to(at);
    if plan.daily_cap > 0 && books.money.offered(unit, context.channel, at).max(made) >= plan.daily_cap {
        return Some((None, 1.0));
    }
    let prices = books.prices(plan, at);
    let moment = (context.channel(), at);
    let mut options = plan.options(model, &row, moment, &prices, |offer| suits(offer, context));
    let worst = |offer: usize| terms::worst(&plan.offers[offer], model.basket);
    let mut short = false;
    options.keep(|offer, cost, uses| {
        let affords = books.afford(cost.mean, worst(offer), uses);
        short |= affords == Afford::NotGranted;
        affords == Afford::Yes
    });
    if short && !last {
        return None;
    }
    // A plan that broke its promises only keeps learning.
    let safe = *state == State::FallenBack;
    let chances = if safe {
        probabilities(
            Beliefs { worth: &vec![-1.0; options.offers.len()], doubts: &[], curiosity: 0.0 },
            plan.exploration,
        )
    } else {
        probabilities(options.beliefs(), plan.exploration)
    };
    let arm = pick(&chances, uniform::place(unit, seed));
    let Some(chosen) = arm.checked_sub(1) else { return Some((None, chances[0])) };
    let offer = options.offers[chosen];
    books.money.reserve(unit, context.channel, at, options.costs[chosen].mean, worst(offer));
    for (ledger, taken) in books.limits.iter_mut().zip(&options.uses[chosen]) {
        if let Some((expected, worst)) = *taken {
            ledger.reserve(unit, context.channel, at, expected, worst);
        }
    }
    Some((Some(plan.offers[offer].clone()), chances[arm]))
}

/// Whether an offer that is good for some goods only suits a moment that says what it is about, by features named
/// `item:ID` and `category:NAME` that are not 0. A moment that says nothing of the kind suits every offer.
fn suits(offer: &Offer, context: &wire::DecisionContext) -> bool {
    let about = |prefix: &str| {
        let set = context.features.iter().filter(|(_, value)| **value != 0.0);
        set.filter_map(|(name, _)| name.strip_prefix(prefix)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (items, categories) = (about("item:"), about("category:"));
    let everywhere = offer.item_ids.is_empty() && offer.categories.is_empty();
    everywhere
        || (items.is_empty() && categories.is_empty())
        || items.iter().any(|item| offer.item_ids.contains(item))
        || categories.iter().any(|category| offer.categories.contains(category))
}
