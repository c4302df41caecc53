use std::sync::Arc;

use proto::evaluator::v1 as wire;
use proto::evaluator::v1::strategy_service_server::StrategyService;
use proto::validate::Violations;
use tonic::{Request, Response, Status, Streaming};

use super::status::refuse;
use super::{Base, choosing, convert, now, offers, optimising, plans};
use crate::error::Error;
use crate::strategy::plan::{Plan, State};

/// `StrategyService`
pub(crate) struct Strategies(pub(crate) Base);

#[tonic::async_trait]
impl StrategyService for Strategies {
    async fn upsert_offers(
        &self,
        request: Request<Streaming<wire::UpsertOffersRequest>>,
    ) -> Result<Response<wire::UpsertOffersResponse>, Status> {
        Ok(Response::new(offers::upsert(&self.0, request.into_inner()).await?))
    }

    async fn list_offers(
        &self,
        request: Request<wire::ListOffersRequest>,
    ) -> Result<Response<wire::ListOffersResponse>, Status> {
        Ok(Response::new(offers::list(&self.0, &request.into_inner()).await?))
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
        Ok(Response::new(optimising::answer(&self.0, request.into_inner()).await?))
    }

    async fn activate_plan(
        &self,
        request: Request<wire::ActivatePlanRequest>,
    ) -> Result<Response<wire::ActivatePlanResponse>, Status> {
        let wire::ActivatePlanRequest { plan_id, request_id, at, accepted_risk } = request.into_inner();
        let mut found = Violations::new();
        found.required_id("plan_id", &plan_id);
        found.optional_id("request_id", &request_id);
        found.within_range("accepted_risk", accepted_risk, 0.0, 1.0);
        refuse(found)?;
        let (plan, _) = self.plan(&plan_id).await?;
        let at = at.as_ref().map_or_else(now, convert::micros);
        let replay = plans::replayed(&self.0, &plan, at, accepted_risk).await?;
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
        Ok(Response::new(choosing::decide(&self.0, request.into_inner()).await?))
    }
}

impl Strategies {
    async fn plan(&self, id: &str) -> Result<(Plan, State), Status> {
        let found = self.0.store.plan(id).await?;
        Ok(found.ok_or_else(|| Error::NotFound { kind: "plan", id: id.to_owned() })?)
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
