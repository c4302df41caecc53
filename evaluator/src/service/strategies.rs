use proto::evaluator::v1 as wire;
use proto::evaluator::v1::strategy_service_server::StrategyService;
use proto::validate::Violations;
use tonic::{Request, Response, Status, Streaming};

use super::status::refuse;
use super::{
    Base, activation, choosing, convert, explaining, funds, holdout, inference, offers, optimising, plans,
};
use crate::error::Error;
use crate::strategy::limit::account;

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
        Ok(Response::new(activation::activate(&self.0, request.into_inner()).await?))
    }

    async fn deactivate_plan(
        &self,
        request: Request<wire::DeactivatePlanRequest>,
    ) -> Result<Response<wire::DeactivatePlanResponse>, Status> {
        Ok(Response::new(activation::deactivate(&self.0, request.into_inner()).await?))
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
            activation::plan_of(&self.0, &plan_id).await?
        };
        let (measured, state) = plans::judged(&self.0, &plan, state).await?;
        let mut used = Vec::with_capacity(plan.limits.len());
        for limit in 0..plan.limits.len() {
            used.push(self.0.store.used(&account(&plan.id, limit)).await?);
        }
        let (at, account) = (self.0.clock.now(), funds::state(&self.0, plan.account()).await?);
        let mut report = plans::report(&plan, (state, at), &measured, &used);
        report.why = explaining::why(&plan, state, at, account);
        report.account = Some(funds::report(&plan, account));
        report.holdout = holdout::result(&self.0, &plan, measured.window).await?;
        if let Some(measured) = &mut report.measured {
            // The books know the redemptions that were reported without a decision too.
            let booked = self.0.store.redeemed_of(&plan.id).await?;
            if booked.count > 0 {
                (measured.redeemed, measured.spend) = (booked.count, booked.cost);
            }
            if self.0.strategy.infer_redemptions {
                measured.inferred_spend = booked.inferred;
                measured.inference_error = inference::error(&self.0, &plan).await?.map(convert::interval);
            }
        }
        Ok(Response::new(report))
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
