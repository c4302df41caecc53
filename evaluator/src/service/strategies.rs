use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use prost::Message as _;
use proto::common::v1::{Channel, Offer, Rejection};
use proto::evaluator::v1 as wire;
use proto::evaluator::v1::strategy_service_server::StrategyService;
use proto::validate::{self, Violations};
use tonic::{Request, Response, Status, Streaming};

use super::deciding::Active;
use super::experiments::assignment;
use super::intake::BATCH;
use super::status::refuse;
use super::{Base, convert, now, page, plans};
use crate::effect::log::with_moment;
use crate::error::Error;
use crate::store::OfferRow;
use crate::strategy::budget::{self, Candidate};
use crate::strategy::choose::{Belief, pick, probabilities};
use crate::strategy::plan::{Plan, State};
use crate::strategy::{terms, uniform};

/// `StrategyService`
pub(crate) struct Strategies(pub(crate) Base);

/// Name of the uniform random policy on the wire.
const UNIFORM: &str = "uniform";

#[tonic::async_trait]
impl StrategyService for Strategies {
    async fn upsert_offers(
        &self,
        request: Request<Streaming<wire::UpsertOffersRequest>>,
    ) -> Result<Response<wire::UpsertOffersResponse>, Status> {
        let mut stream = request.into_inner();
        let (mut accepted, mut rejected, mut index) = (0, Vec::new(), 0_u64);
        let mut batch: BTreeMap<String, OfferRow> = BTreeMap::new();
        while let Some(message) = stream.message().await? {
            match row(message.offer) {
                Ok(row) => {
                    accepted += 1;
                    batch.insert(row.offer_id.clone(), row);
                }
                Err((id, field, reason)) => {
                    let id = if id.is_empty() { format!("#{index}") } else { id };
                    rejected.push(Rejection { id, field, reason });
                }
            }
            index += 1;
            if batch.len() == BATCH {
                self.0.store.upsert_offers(std::mem::take(&mut batch).into_values().collect()).await?;
            }
        }
        self.0.store.upsert_offers(batch.into_values().collect()).await?;
        self.0.snapshots.changed();
        Ok(Response::new(wire::UpsertOffersResponse { accepted, rejected }))
    }

    async fn list_offers(
        &self,
        request: Request<wire::ListOffersRequest>,
    ) -> Result<Response<wire::ListOffersResponse>, Status> {
        let request = request.into_inner();
        let mut found = Violations::new();
        found.page_size(request.page_size);
        refuse(found)?;
        let list = if request.valid_only { "offers valid" } else { "offers" };
        let after = page::place(list, &request.page_token)?.unwrap_or_default();
        let size = page::size(request.page_size);
        let mut rows = self.0.store.offers(&after, size + 1, request.valid_only.then(now)).await?;
        let more = rows.len() as u64 > size;
        rows.truncate(size as usize);
        let next_page_token = rows.last().filter(|_| more).map(|row| page::token(list, &row.offer_id));
        let offers = rows
            .iter()
            .map(|row| Offer::decode(row.payload.as_slice()))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Response::new(wire::ListOffersResponse {
            offers,
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn generate_strategies(
        &self,
        request: Request<wire::GenerateStrategiesRequest>,
    ) -> Result<Response<wire::GenerateStrategiesResponse>, Status> {
        let brief = plans::brief(request.into_inner())?;
        let plan = plans::make(&self.0, brief).await?;
        Ok(Response::new(plans::proposal(&plan)))
    }

    async fn optimise_budget(
        &self,
        request: Request<wire::OptimiseBudgetRequest>,
    ) -> Result<Response<wire::OptimiseBudgetResponse>, Status> {
        let request = request.into_inner();
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
        Ok(Response::new(self.0.pool.run(move || optimise(&request)).await?))
    }

    async fn activate_plan(
        &self,
        request: Request<wire::ActivatePlanRequest>,
    ) -> Result<Response<wire::ActivatePlanResponse>, Status> {
        let wire::ActivatePlanRequest { plan_id, request_id, at } = request.into_inner();
        let mut found = Violations::new();
        found.required_id("plan_id", &plan_id);
        found.optional_id("request_id", &request_id);
        refuse(found)?;
        let (plan, _) = self.plan(&plan_id).await?;
        let replay = plans::replayed(&self.0, &plan, at.as_ref().map_or_else(now, convert::micros)).await?;
        self.0.store.move_plan(&plan_id, State::Active).await?;
        self.0.deciding.changed();
        Ok(Response::new(wire::ActivatePlanResponse { plan_id, replay: Some(replay) }))
    }

    async fn deactivate_plan(
        &self,
        request: Request<wire::DeactivatePlanRequest>,
    ) -> Result<Response<wire::DeactivatePlanResponse>, Status> {
        let wire::DeactivatePlanRequest { plan_id, request_id } = request.into_inner();
        let mut found = Violations::new();
        found.required_id("plan_id", &plan_id);
        found.optional_id("request_id", &request_id);
        refuse(found)?;
        self.plan(&plan_id).await?;
        self.0.store.move_plan(&plan_id, State::Ended).await?;
        self.0.deciding.changed();
        Ok(Response::new(wire::DeactivatePlanResponse { plan_id }))
    }

    async fn get_plan(
        &self,
        request: Request<wire::GetPlanRequest>,
    ) -> Result<Response<wire::GetPlanResponse>, Status> {
        let wire::GetPlanRequest { plan_id } = request.into_inner();
        let mut found = Violations::new();
        found.optional_id("plan_id", &plan_id);
        refuse(found)?;
        let (plan, mut state) = if plan_id.is_empty() {
            let deciding = self.0.store.deciding_plan().await?;
            deciding
                .ok_or_else(|| Error::precondition("NO_ACTIVE_PLAN", "no plan decides: ActivatePlan first"))?
        } else {
            self.plan(&plan_id).await?
        };
        let model = self.0.store.model(&plan.model_version).await?;
        let model = model.ok_or_else(|| Error::Internal(format!("the model of plan {} is gone", plan.id)))?;
        let measured = plans::measured(&self.0, &plan, Arc::new(model)).await?;
        if measured.why.is_some() && state == State::Active {
            self.0.store.move_plan(&plan.id, State::FallenBack).await?;
            self.0.deciding.changed();
            state = State::FallenBack;
        }
        Ok(Response::new(plans::report(&plan, state, &measured)))
    }

    async fn decide(
        &self,
        request: Request<wire::DecideRequest>,
    ) -> Result<Response<wire::DecideResponse>, Status> {
        let wire::DecideRequest { user_id, context } = request.into_inner();
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
        let unit = self.0.names.pseudonym(&user_id);
        let moment = self.0.snapshots.moment(&self.0.store, at).await?;
        let active = self.0.deciding.active(&self.0.store).await?;
        let active = active.filter(|active| active.plan.covers(context.channel()));
        let assignments: Vec<_> =
            moment.experiments.iter().map(|running| assignment(&running.design, &unit)).collect();
        let seed = if context.seed == 0 { uniform::seed_of_day(&unit, at) } else { context.seed };
        let set = |name: &str| assignments.iter().find_map(|found| found.parameters.get(name)).cloned();
        let holdout = active.as_ref().map_or(0.0, |active| active.plan.holdout).max(self.0.strategy.holdout);
        let in_holdout =
            assignments.iter().any(|assignment| assignment.in_holdout) || uniform::held_out(&unit, holdout);
        let mut angle = if in_holdout { None } else { set("angle") };
        // Who is held out gets nothing with certainty; the share held out is no choice of the policy's.
        let (offer, propensity) = if in_holdout {
            (None, 1.0)
        } else if let Some(active) = &active {
            let (offer, propensity) = planned(active, &context, &unit, at, seed);
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
            (
                choice.offer.and_then(|index| eligible.get(index)).map(|offer| (*offer).clone()),
                choice.propensity,
            )
        };
        Ok(Response::new(wire::DecideResponse {
            offer,
            angle: angle.unwrap_or_default(),
            assignments,
            propensity,
            in_holdout,
            plan_id: active.map_or_else(|| UNIFORM.into(), |active| active.plan.id.clone()),
            seed,
            features: context.features,
        }))
    }
}

impl Strategies {
    async fn plan(&self, id: &str) -> Result<(Plan, State), Status> {
        let found = self.0.store.plan(id).await?;
        Ok(found.ok_or_else(|| Error::NotFound { kind: "plan", id: id.to_owned() })?)
    }
}

/// What the plan gives this person now, and with which probability.
fn planned(
    active: &Active,
    context: &wire::DecisionContext,
    unit: &str,
    at: i64,
    seed: u64,
) -> (Option<Offer>, f64) {
    let Active { plan, model, state, .. } = active;
    let features = with_moment(context.features.clone().into_iter().collect(), context.channel());
    let row = model.row(&features);
    let mut books = active.books();
    books.expire(at, plan.redemption);
    if plan.daily_cap > 0 && books.offered(unit, context.channel, at) >= plan.daily_cap {
        return (None, 1.0);
    }
    let price = books.price(plan.shadow_price, plan.budget, plan.window, at);
    let mut options = plan.options(model, &row, at, price, |offer| suits(offer, context));
    let worst = |offer: usize| terms::worst(&plan.offers[offer], model.basket);
    options.keep(|offer, cost| books.affords(plan.budget, cost.mean, worst(offer)));
    // A plan that broke its promises only keeps learning.
    let safe = *state == State::FallenBack;
    let beliefs: Vec<Belief> = if safe {
        options.beliefs.iter().map(|_| Belief { mean: -1.0, error: 0.0 }).collect()
    } else {
        options.beliefs
    };
    let chances = probabilities(&beliefs, plan.exploration);
    let arm = pick(&chances, uniform::place(unit, seed));
    let Some(chosen) = arm.checked_sub(1) else { return (None, chances[0]) };
    let offer = options.offers[chosen];
    books.reserve(unit, context.channel, at, options.costs[chosen].mean, worst(offer));
    (Some(plan.offers[offer].clone()), chances[arm])
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

fn row(offer: Option<Offer>) -> Result<OfferRow, (String, String, String)> {
    let offer = offer.ok_or_else(|| (String::new(), "offer".to_owned(), "must be given".to_owned()))?;
    if let Some(violation) = validate::offer(&offer).into_iter().next() {
        return Err((offer.offer_id, violation.field, violation.description));
    }
    let payload = offer.encode_to_vec();
    Ok(OfferRow {
        starts_at: offer.starts_at.as_ref().map(convert::micros),
        ends_at: offer.ends_at.as_ref().map(convert::micros),
        offer_id: offer.offer_id,
        payload,
    })
}
