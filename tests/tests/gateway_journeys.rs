//! The gateway with the services behind it: tokens, links, the event log, the popularity list and the record.

mod fallback;
mod links;
mod log;
mod record;
mod replicas;
mod tokens;

use bespoke_tests::sandbox::{Sandbox, Words};
use chassis::client::Channel;
use proto::gateway::v1::event_service_client::EventServiceClient;
use proto::gateway::v1::privacy_service_client::PrivacyServiceClient;
use proto::gateway::v1::{
    ExportUserRequest, LinkVisitorRequest, LinkVisitorResponse, export_user_response::Part,
};
use tonic::Status;

use crate::support::{delivered, import, small_shop};

/// The services with the small shop's items, events and offer.
async fn moved_in() -> (Sandbox, Channel) {
    let sandbox = Sandbox::start(Words::Templates).await.expect("starts");
    let gateway = sandbox.gateway().expect("a channel");
    let (items, events, offers) = small_shop();
    import(&gateway, items, events, offers).await;
    (sandbox, gateway)
}

async fn link(gateway: &Channel, visitor: &str, user: &str) -> Result<LinkVisitorResponse, Status> {
    let request = LinkVisitorRequest {
        visitor_id: visitor.into(),
        user_id: user.into(),
        ..LinkVisitorRequest::default()
    };
    Ok(EventServiceClient::new(gateway.clone()).link_visitor(request).await?.into_inner())
}

/// The rows of an export as JSON, and the rows each service says it held.
async fn export(gateway: &Channel, user: &str) -> (Vec<serde_json::Value>, Vec<(String, u64)>) {
    let request = ExportUserRequest { user_id: user.into() };
    let mut parts =
        PrivacyServiceClient::new(gateway.clone()).export_user(request).await.expect("answered").into_inner();
    let (mut rows, mut held) = (Vec::new(), Vec::new());
    while let Some(part) = parts.message().await.expect("a part") {
        match part.part.expect("not empty") {
            Part::Row(row) => rows.push(serde_json::from_str(&row).expect("JSON")),
            Part::Receipt(receipt) => held.push((receipt.service, receipt.held)),
        }
    }
    (rows, held)
}
