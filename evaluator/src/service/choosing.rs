//! Decide: which offer a person gets now, and with which probability.

use proto::common::v1::{Channel, Offer};
use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::deciding::Active;
use super::experiments::assignment;
use super::status::refuse;
use super::{Shared, features, intake, now};
use crate::features::{Features, VERSION};
use crate::metric::fact::DAY;
use crate::strategy::choose::{Beliefs, pick, probabilities};
use crate::strategy::ledger::{Afford, Reserve};
use crate::strategy::plan::{Options, Phase, Plan, State};
use crate::strategy::uniform;

/// Decides for one person.
pub(super) async fn decide(
    base: &Shared,
    request: wire::DecideRequest,
) -> Result<wire::DecideResponse, Status> {
    let wire::DecideRequest { user_id, context, decision_id, dry_run } = request;
    let context = context.unwrap_or_default();
    let mut found = Violations::new();
    found.required_id("user_id", &user_id);
    found.known_enum::<Channel>("context.channel", context.channel, false);
    found.optional_id("context.placement", &context.placement);
    found.optional_id("context.locale", &context.locale);
    for (name, value) in &context.features {
        intake::feature(&mut found, &format!("context.features[{name}]"), *value);
    }
    found.optional_id("decision_id", &decision_id);
    let at = base.clock.moment(&mut found, "context.at", context.at.as_ref());
    refuse(found)?;
    let decision_id =
        if decision_id.is_empty() { uuid::Uuid::now_v7().simple().to_string() } else { decision_id };
    let unit = base.unit(&user_id).await?;
    let features = features::of_unit(base, &unit, context.features.clone(), context.channel(), at).await?;
    let moment = base.snapshots.moment(&base.store).await?;
    let active = base.deciding.active(&base.store, at).await?;
    let in_force = |plan: &Plan| plan.covers(context.channel()) && plan.phase(at) == Phase::Within;
    let active = active.filter(|active| in_force(&active.plan));
    let assignments: Vec<_> =
        moment.experiments.iter().map(|running| assignment(&running.design, &unit)).collect();
    let seed = if context.seed == 0 { uniform::seed_of_day(&unit, at) } else { context.seed };
    let set = |name: &str| assignments.iter().find_map(|found| found.parameters.get(name)).cloned();
    let holdout = active.as_ref().map_or(0.0, |active| active.plan.holdout).max(base.strategy.holdout);
    let in_holdout =
        assignments.iter().any(|assignment| assignment.in_holdout) || uniform::held_out(&unit, holdout);
    let mut angle = if in_holdout { None } else { set("angle") };
    // Who is held out gets nothing with certainty; the share held out is no choice of the policy's.
    let choice = if in_holdout {
        Choice::default()
    } else if let Some(active) = &active {
        let id = (!dry_run).then_some(decision_id.as_str());
        let moment = Moment { context: &context, features: &features, id, unit: &unit, at, seed };
        let made = if active.plan.daily_cap > 0 {
            base.store.offers_made(&unit, context.channel(), at.div_euclid(DAY) * DAY).await?
        } else {
            0
        };
        let mut chosen = planned(active, &moment, made, false);
        if chosen.is_none() {
            // More than was thought is offered: whether the budget still has it must be asked for.
            base.deciding.renew(&base.store, active, at).await?;
            chosen = planned(active, &moment, made, true);
        }
        let choice = chosen.unwrap_or_default();
        let named = choice.offer.as_ref().and_then(|offer| {
            active.plan.strategies.iter().find(|strategy| strategy.offer_id == offer.offer_id)
        });
        angle = angle.or_else(|| named.map(|strategy| strategy.angle.clone()));
        choice
    } else {
        Choice::default()
    };
    Ok(wire::DecideResponse {
        offer: choice.offer,
        angle: angle.unwrap_or_default(),
        assignments,
        propensity: choice.propensity,
        in_holdout,
        plan_id: active.map_or_else(String::new, |active| active.plan.id.clone()),
        seed,
        features: features.into_iter().collect(),
        decision_id,
        feature_version: VERSION,
        available_offer_ids: choice.available,
    })
}

/// What a plan gives, and what it chose among.
struct Choice {
    offer: Option<Offer>,
    /// Probability with which this offer, or none, was chosen.
    propensity: f64,
    /// Ids of the offers that could have been given.
    available: Vec<String>,
}

/// No offer, for none could be given.
impl Default for Choice {
    fn default() -> Self {
        Self { offer: None, propensity: 1.0, available: Vec::new() }
    }
}

/// Whom and when is decided for.
struct Moment<'a> {
    context: &'a wire::DecisionContext,
    features: &'a Features,
    /// The decision's; `None` for a preview, for which nothing is set aside.
    id: Option<&'a str>,
    unit: &'a str,
    at: i64,
    seed: u64,
}

/// What the plan gives this person now, to whom `made` offers were recorded today. `None` where this replica's grant is
/// too small and more may be had, unless it is `last`.
fn planned(active: &Active, moment: &Moment<'_>, made: u32, last: bool) -> Option<Choice> {
    let Active { plan, model, state, .. } = active;
    let Moment { context, features, id, unit, at, seed } = *moment;
    let mut books = active.books();
    if plan.daily_cap > 0 && books.offered.count(unit, context.channel, at).max(made) >= plan.daily_cap {
        return Some(Choice::default());
    }
    let may_be_made = |offer: &Offer| !active.is_withdrawn(&offer.offer_id) && suits(offer, context);
    let mut options = match model {
        Some(model) => {
            let (row, prices) = (model.row(features), books.prices(plan, at));
            plan.options(model, &row, (context.channel(), at), &prices, may_be_made)
        }
        None => plan.explore((context.channel(), at), may_be_made),
    };
    // Grants end by the server's clock, whatever a caller says it is.
    let clock = now();
    let worst = |offer: usize| plan.worst(&plan.offers[offer]);
    let mut short = false;
    options.keep(|offer, cost, uses| {
        let affords = books.afford(cost.mean, worst(offer), uses, clock);
        short |= affords == Afford::NotGranted;
        affords == Afford::Yes
    });
    if short && !last {
        return None;
    }
    let chances = chances(&options, *state, plan.exploration);
    let arm = pick(&chances, uniform::place(unit, seed));
    let available = options.offers.iter().map(|offer| plan.offers[*offer].offer_id.clone()).collect();
    let propensity = chances[arm];
    let Some(chosen) = arm.checked_sub(1) else { return Some(Choice { offer: None, propensity, available }) };
    let offer = options.offers[chosen];
    let cost = Reserve::of(options.costs[chosen].mean, worst(offer));
    if let Some(id) = id {
        books.reserve(id, cost, &options.uses[chosen], clock);
        books.offered.add(unit, context.channel, at);
    }
    Some(Choice { offer: Some(plan.offers[offer].clone()), propensity, available })
}

/// Probability of no offer, then of each of `options`. A plan that broke its promises only keeps learning.
fn chances(options: &Options, state: State, exploration: f64) -> Vec<f64> {
    if state == State::FallenBack {
        let worth = vec![-1.0; options.offers.len()];
        return probabilities(Beliefs { worth: &worth, doubts: &[], curiosity: 0.0 }, exploration);
    }
    probabilities(options.beliefs(), exploration)
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
