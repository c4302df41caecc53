use proto::evaluator::v1 as wire;
use proto::evaluator::v1::strategy_service_server::StrategyService;
use proto::validate::Violations;
use tonic::{Request, Response, Status, Streaming};

use super::status::refuse;
use super::{Base, choosing, convert, holdout, now, offers, optimising, plans};
use crate::error::Error;
use crate::strategy::limit::account;
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
        Ok(Response::new(plans::propose(&self.0, request.into_inner()).await?))
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
        let (plan, state) = if plan_id.is_empty() {
            let deciding = self.0.store.deciding_plan().await?;
            deciding
                .ok_or_else(|| Error::precondition("NO_ACTIVE_PLAN", "no plan decides: ActivatePlan first"))?
        } else {
            self.plan(&plan_id).await?
        };
        let (measured, state) = plans::judged(&self.0, &plan, state).await?;
        let mut used = Vec::with_capacity(plan.limits.len());
        for limit in 0..plan.limits.len() {
            used.push(self.0.store.used(&account(&plan.id, limit)).await?);
        }
        let holdout = holdout::result(&self.0, &plan, measured.window).await?;
        let report = plans::report(&plan, state, &measured, &used);
        Ok(Response::new(wire::GetPlanResponse { holdout, ..report }))
    }

    async fn delete_offer(
        &self,
        request: Request<wire::DeleteOfferRequest>,
    ) -> Result<Response<wire::DeleteOfferResponse>, Status> {
        Ok(Response::new(offers::delete(&self.0, &request.into_inner()).await?))
    }

    async fn list_plans(
        &self,
        request: Request<wire::ListPlansRequest>,
    ) -> Result<Response<wire::ListPlansResponse>, Status> {
        Ok(Response::new(plans::list(&self.0, &request.into_inner()).await?))
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
