//! Streams all that every service holds about a person, one row at a time.

use prost::Message as _;
use proto::common::v1::Event;
use proto::evaluator::v1::{self as evaluator, Decision};
use proto::gateway::v1::export_user_response::Part;
use proto::gateway::v1::{ExportUserResponse, Purpose, Receipt};
use proto::recommender::v1 as recommender;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tonic::Status;

use crate::outbox::Destination;
use crate::store::{self, Kind, Linked, Store};
use crate::upstream::Upstream;

/// Rows that may wait for a slow reader.
const BUFFERED: usize = 64;

/// Receiving end of an export.
pub(super) type Rows = mpsc::Receiver<Result<ExportUserResponse, Status>>;

/// Rows of the gateway's own database read at a time.
const PAGE: u64 = 500;

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

fn failed(failure: store::Error) -> Ended {
    Ended::Failed(chassis::error::internal(&failure))
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
        let visitors = self.store.visitors_of(&self.person).await.map_err(failed)?;
        self.gateway(&visitors).await?;
        self.recommender(&visitors).await?;
        self.evaluator(&visitors).await
    }

    async fn gateway(&self, visitors: &[Linked]) -> Result<(), Ended> {
        let mut held = 0;
        if let Some(purposes) = self.store.consent(&self.person).await.map_err(failed)? {
            let known = purposes.into_iter().filter_map(|number| Purpose::try_from(number).ok());
            let names: Vec<_> = known.map(|purpose| purpose.as_str_name()).collect();
            self.row("gateway", "consent", &json!({ "purposes": names })).await?;
            held += 1;
        }
        for Linked { visitor, .. } in visitors {
            self.row("gateway", "link", &json!({ "visitor_id": visitor, "user_id": self.person })).await?;
            held += 1;
        }
        for id in visitors.iter().map(|linked| &linked.visitor).chain([&self.person]) {
            held += self.outbox(id).await?;
        }
        self.receipt("gateway", held).await
    }

    /// The rows of the outbox about `id`, page by page.
    async fn outbox(&self, id: &str) -> Result<u64, Ended> {
        let (people, mut after, mut held) = ([id.to_owned()], 0, 0);
        loop {
            let rows = self.store.rows_of(&people, after, PAGE).await.map_err(failed)?;
            let Some(last) = rows.last() else { return Ok(held) };
            after = last.sequence;
            held += rows.len() as u64;
            for row in rows {
                let corrupt = |cause: prost::DecodeError| Ended::Failed(chassis::error::internal(&cause));
                match row.kind {
                    Some(Kind::Event) => {
                        let event = Event::decode(row.payload.as_slice()).map_err(corrupt)?;
                        self.row("gateway", "event", &event).await?;
                    }
                    Some(Kind::Decision) => {
                        let decision = Decision::decode(row.payload.as_slice()).map_err(corrupt)?;
                        self.row("gateway", "decision", &decision).await?;
                    }
                    None => self.row("gateway", "unknown", &row.payload).await?,
                }
            }
        }
    }

    /// The ids a service is asked about: the person, and visitors whose link has not reached it. The person first: a link
    /// that arrives in between makes rows come twice, and none is missed.
    async fn ids(&self, destination: Destination, visitors: &[Linked]) -> Result<Vec<String>, Ended> {
        let cursor = self.store.cursor(destination.name()).await.map_err(failed)?;
        let unknown = visitors.iter().filter(|linked| linked.sequence > cursor);
        Ok([&self.person].into_iter().chain(unknown.map(|linked| &linked.visitor)).cloned().collect())
    }

    async fn recommender(&self, visitors: &[Linked]) -> Result<(), Ended> {
        let mut held = 0;
        for user_id in self.ids(Destination::Recommender, visitors).await? {
            let request = recommender::ExportUserRequest { user_id };
            let mut batches = self.upstream.recommender().export_user(request).await?.into_inner();
            while let Some(batch) = batches.message().await? {
                held += self.events("recommender", &batch.events).await?;
            }
        }
        self.receipt("recommender", held).await
    }

    async fn evaluator(&self, visitors: &[Linked]) -> Result<(), Ended> {
        let mut held = 0;
        for user_id in self.ids(Destination::Evaluator, visitors).await? {
            let request = evaluator::ExportUserRequest { user_id };
            let mut batches = self.upstream.decision().export_user(request).await?.into_inner();
            while let Some(batch) = batches.message().await? {
                for decision in &batch.decisions {
                    self.row("evaluator", "decision", decision).await?;
                }
                held += batch.decisions.len() as u64 + self.events("evaluator", &batch.events).await?;
            }
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
