//! Streams all that every service holds about a person, one row at a time.

use proto::common::v1::Event;
use proto::evaluator::v1 as evaluator;
use proto::gateway::v1::export_user_response::Part;
use proto::gateway::v1::{ExportUserResponse, Purpose, Receipt};
use proto::recommender::v1 as recommender;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tonic::Status;

use crate::store::Store;
use crate::upstream::Upstream;

/// Rows that may wait for a slow reader.
const BUFFERED: usize = 64;

/// Receiving end of an export.
pub(super) type Rows = mpsc::Receiver<Result<ExportUserResponse, Status>>;

/// One export under way.
struct Export {
    rows: mpsc::Sender<Result<ExportUserResponse, Status>>,
    store: Store,
    upstream: Upstream,
    person: String,
}

/// Why an export ended before its end.
enum Ended {
    /// The reader has gone; nobody is to be told.
    Unheard,
    /// A service failed, and the export would be incomplete.
    Failed(Status),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

/// Starts an export of `person`, a pseudonym. The stream ends with an error where a service fails, since an export
/// that leaves a service out would be a false statement.
pub(super) fn start(store: Store, upstream: Upstream, person: String) -> Rows {
    let (rows, receiver) = mpsc::channel(BUFFERED);
    let export = Export { rows, store, upstream, person };
    tokio::spawn(async move {
        if let Err(Ended::Failed(status)) = export.run().await {
            let _ = export.rows.send(Err(status)).await;
        }
    });
    receiver
}

impl Export {
    async fn run(&self) -> Result<(), Ended> {
        self.gateway().await?;
        self.recommender().await?;
        self.evaluator().await
    }

    async fn gateway(&self) -> Result<(), Ended> {
        let failed = |failure| Ended::Failed(chassis::error::internal(&failure));
        let mut held = 0;
        if let Some(purposes) = self.store.consent(&self.person).await.map_err(failed)? {
            let known = purposes.into_iter().filter_map(|number| Purpose::try_from(number).ok());
            let names: Vec<_> = known.map(|purpose| purpose.as_str_name()).collect();
            self.row("gateway", "consent", &json!({ "purposes": names })).await?;
            held += 1;
        }
        held += self.store.outbox_of(&self.person).await.map_err(failed)?;
        self.receipt("gateway", held).await
    }

    async fn recommender(&self) -> Result<(), Ended> {
        let request = recommender::ExportUserRequest { user_id: self.person.clone() };
        let mut batches = self.upstream.recommender().export_user(request).await?.into_inner();
        let mut held = 0;
        while let Some(batch) = batches.message().await? {
            held += self.events("recommender", &batch.events).await?;
        }
        self.receipt("recommender", held).await
    }

    async fn evaluator(&self) -> Result<(), Ended> {
        let request = evaluator::ExportUserRequest { user_id: self.person.clone() };
        let mut batches = self.upstream.decision().export_user(request).await?.into_inner();
        let mut held = 0;
        while let Some(batch) = batches.message().await? {
            for decision in &batch.decisions {
                self.row("evaluator", "decision", decision).await?;
            }
            held += batch.decisions.len() as u64 + self.events("evaluator", &batch.events).await?;
        }
        self.receipt("evaluator", held).await
    }

    async fn events(&self, service: &str, events: &[Event]) -> Result<u64, Ended> {
        for event in events {
            self.row(service, "event", event).await?;
        }
        Ok(events.len() as u64)
    }

    async fn row(&self, service: &str, table: &str, row: &impl Serialize) -> Result<(), Ended> {
        self.send(Part::Row(json!({ "service": service, "table": table, "row": row }).to_string())).await
    }

    async fn receipt(&self, service: &str, held: u64) -> Result<(), Ended> {
        self.send(Part::Receipt(Receipt { service: service.into(), held, ..Receipt::default() })).await
    }

    async fn send(&self, part: Part) -> Result<(), Ended> {
        let response = ExportUserResponse { part: Some(part) };
        self.rows.send(Ok(response)).await.map_err(|_| Ended::Unheard)
    }
}
