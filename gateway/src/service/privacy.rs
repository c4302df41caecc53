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
use crate::outbox::Destination;
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

    /// Removes `id`, a pseudonym, from one service; returns the rows removed, and what remains there in words.
    async fn erase_from(
        &self,
        destination: Destination,
        id: &str,
        request_id: String,
    ) -> Result<(u64, String), Status> {
        let user_id = id.to_owned();
        Ok(match destination {
            Destination::Recommender => {
                let request = recommender::EraseUserRequest { user_id, request_id };
                let erased = self.upstream.recommender().erase_user(request).await?.into_inner();
                (erased.removed, erased.remainder)
            }
            Destination::Evaluator => {
                let request = evaluator::EraseUserRequest { user_id, request_id };
                let erased = self.upstream.decision().erase_user(request).await?.into_inner();
                (erased.removed, erased.remainder)
            }
        })
    }

    fn person(&self, user_id: &str, request_id: &str) -> Result<String, Status> {
        let mut violations = Violations::new();
        violations.required_id("user_id", user_id);
        violations.optional_id("request_id", request_id);
        refuse(violations.into_vec())?;
        Ok(self.names.pseudonym(user_id))
    }
}

fn failed(failure: crate::store::Error) -> Status {
    error::internal(&failure)
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
        self.store.set_consent(&person, &purposes, now).await.map_err(failed)?;
        Ok(Response::new(SetConsentResponse { purposes, since: Some(Timestamp { seconds: now, nanos: 0 }) }))
    }

    async fn export_user(
        &self,
        request: Request<ExportUserRequest>,
    ) -> Result<Response<Self::ExportUserStream>, Status> {
        let person = self.person(&request.into_inner().user_id, "")?;
        let person = self.store.resolve(&person).await.map_err(failed)?;
        let rows = export::start(self.store.clone(), self.upstream.clone(), person);
        Ok(Response::new(ReceiverStream::new(rows)))
    }

    async fn erase_user(
        &self,
        request: Request<EraseUserRequest>,
    ) -> Result<Response<EraseUserResponse>, Status> {
        let EraseUserRequest { user_id, request_id } = request.into_inner();
        let person = self.person(&user_id, &request_id)?;
        let person = self.store.resolve(&person).await.map_err(failed)?;
        let visitors = self.store.visitors_of(&person).await.map_err(failed)?;
        let people: Vec<String> =
            visitors.into_iter().map(|linked| linked.visitor).chain([person.clone()]).collect();
        // The queue first: what is no longer there cannot be sent on after a service has forgotten.
        let queued = self.store.forget(&people).await.map_err(failed)?;
        let mut removed = [(0, String::new()), (0, String::new())];
        for (destination, (rows, remainder)) in Destination::ALL.into_iter().zip(&mut removed) {
            // A service removes the visitors it knows as linked with their user. All are named, since a link may not have
            // reached it and was taken from the queue above; the user comes last.
            for id in &people {
                let request_id = if *id == person { request_id.clone() } else { String::new() };
                let (count, rest) = self.erase_from(destination, id, request_id).await?;
                *rows += count;
                *remainder = rest;
            }
        }
        let consents = self.store.forget_consents(&people).await.map_err(failed)?;
        // The links last: an erasure that failed half-way and is asked for again still finds the visitors.
        let links = self.store.forget_links(&person).await.map_err(failed)?;
        let own = queued + consents + links;
        let mut receipts =
            vec![Receipt { service: "gateway".into(), held: own, removed: own, ..Receipt::default() }];
        for (destination, (rows, remainder)) in Destination::ALL.into_iter().zip(removed) {
            let service = destination.name().into();
            receipts.push(Receipt { service, held: rows, removed: rows, remainder });
        }
        Ok(Response::new(EraseUserResponse { receipts }))
    }
}
