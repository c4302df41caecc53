//! Consent, and a person's right to see and remove what is held: every service is asked, each gives a receipt.

mod export;

use std::sync::Arc;

use chassis::auth::Pseudonymiser;
use chassis::error;
use chrono::Utc;
use pbjson_types::Timestamp;
use proto::evaluator::v1 as evaluator;
use proto::gateway::v1::privacy_service_server::PrivacyService;
use proto::gateway::v1::{
    EraseUserRequest, EraseUserResponse, ExportUserRequest, ExportUserResponse, Purpose, Receipt,
    SetConsentRequest, SetConsentResponse,
};
use proto::recommender::v1 as recommender;
use proto::validate::Violations;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::refuse;
use crate::store::Store;
use crate::upstream::Upstream;

/// Consent, export and removal.
pub struct Privacy {
    store: Store,
    upstream: Upstream,
    names: Arc<Pseudonymiser>,
}

impl Privacy {
    /// Privacy over the gateway's own database and the services behind it.
    pub fn new(store: Store, upstream: Upstream, names: Arc<Pseudonymiser>) -> Self {
        Self { store, upstream, names }
    }

    fn person(&self, user_id: &str, request_id: &str) -> Result<String, Status> {
        let mut violations = Violations::new();
        violations.required_id("user_id", user_id);
        violations.optional_id("request_id", request_id);
        refuse(violations.into_vec())?;
        Ok(self.names.pseudonym(user_id))
    }
}

#[tonic::async_trait]
impl PrivacyService for Privacy {
    type ExportUserStream = ReceiverStream<Result<ExportUserResponse, Status>>;

    async fn set_consent(
        &self,
        request: Request<SetConsentRequest>,
    ) -> Result<Response<SetConsentResponse>, Status> {
        let SetConsentRequest { user_id, mut purposes, request_id } = request.into_inner();
        let mut violations = Violations::new();
        for (index, purpose) in purposes.iter().enumerate() {
            violations.known_enum::<Purpose>(&format!("purposes[{index}]"), *purpose, true);
        }
        refuse(violations.into_vec())?;
        let person = self.person(&user_id, &request_id)?;
        purposes.sort_unstable();
        purposes.dedup();
        let now = Utc::now().timestamp();
        self.store.set_consent(&person, &purposes, now).await.map_err(|failure| error::internal(&failure))?;
        Ok(Response::new(SetConsentResponse { purposes, since: Some(Timestamp { seconds: now, nanos: 0 }) }))
    }

    async fn export_user(
        &self,
        request: Request<ExportUserRequest>,
    ) -> Result<Response<Self::ExportUserStream>, Status> {
        let person = self.person(&request.into_inner().user_id, "")?;
        let rows = export::start(self.store.clone(), self.upstream.clone(), person);
        Ok(Response::new(ReceiverStream::new(rows)))
    }

    async fn erase_user(
        &self,
        request: Request<EraseUserRequest>,
    ) -> Result<Response<EraseUserResponse>, Status> {
        let EraseUserRequest { user_id, request_id } = request.into_inner();
        let person = self.person(&user_id, &request_id)?;
        // The queue first: what is no longer there cannot be sent on after a service has forgotten.
        let queued = self.store.forget(&person).await.map_err(|failure| error::internal(&failure))?;
        let tastes =
            recommender::EraseUserRequest { user_id: person.clone(), request_id: request_id.clone() };
        let outcomes = evaluator::EraseUserRequest { user_id: person.clone(), request_id };
        let (mut recommender, mut evaluator) = (self.upstream.recommender(), self.upstream.decision());
        let (tastes, outcomes) =
            tokio::try_join!(recommender.erase_user(tastes), evaluator.erase_user(outcomes))?;
        let (tastes, outcomes) = (tastes.into_inner(), outcomes.into_inner());
        let consents =
            self.store.forget_consent(&person).await.map_err(|failure| error::internal(&failure))?;
        let removed = |service: &str, rows: u64, remainder: String| Receipt {
            service: service.into(),
            held: rows,
            removed: rows,
            remainder,
        };
        let receipts = vec![
            removed("gateway", queued + consents, String::new()),
            removed("recommender", tastes.removed, tastes.remainder),
            removed("evaluator", outcomes.removed, outcomes.remainder),
        ];
        Ok(Response::new(EraseUserResponse { receipts }))
    }
}
