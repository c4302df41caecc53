//! From the contract to the recommender's own parts and back.

mod catalogue;
mod check;
mod ingest;
mod learn;
mod models;
mod people;
mod position;
mod recommend;
mod rpc;
mod segment_cache;
mod texts;
mod told;

use std::sync::Arc;
use std::time::Duration;

use chassis::auth::Pseudonymiser;
use chassis::calendar::Calendar;
use chassis::error::{self, FieldViolation};
use proto::validate::{Violation, Violations};
use tokio::sync::Semaphore;
use tonic::{Code, Status};

use crate::artefact::Artefacts;
use crate::live::Live;
use crate::price_band::PriceBands;
use crate::signals::Signals;
use crate::store::{self, Store};
use crate::texts::Texts;
use segment_cache::SegmentCache;

/// The recommender over gRPC; cheap to clone.
#[derive(Clone)]
pub struct Recommender {
    store: Store,
    artefacts: Artefacts,
    live: Live,
    /// Who embeds what is said of items.
    texts: Texts,
    names: Arc<Pseudonymiser>,
    /// How much events tell.
    signals: Arc<Signals>,
    /// Days and hours of the shop.
    calendar: Calendar,
    /// Bounds of the catalogue's price bands.
    price_bands: PriceBands,
    /// Segments of people who asked lately.
    segments: SegmentCache,
    /// As many answers are ranked at a time as there are cores.
    cores: Arc<Semaphore>,
    /// One training run at a time.
    training: Arc<Semaphore>,
}

impl Recommender {
    /// The service over its database, its object store and what it holds in memory.
    pub fn new(
        store: Store,
        artefacts: Artefacts,
        live: Live,
        texts: Texts,
        names: Pseudonymiser,
        signals: Arc<Signals>,
        calendar: Calendar,
    ) -> Self {
        let names = Arc::new(names);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (cores, training) = (Arc::new(Semaphore::new(cores)), Arc::new(Semaphore::new(1)));
        let (price_bands, segments) = (PriceBands::default(), SegmentCache::default());
        Self {
            store,
            artefacts,
            live,
            texts,
            names,
            signals,
            calendar,
            price_bands,
            segments,
            cores,
            training,
        }
    }
}

/// How long a request waits for a catalogue that is still being loaded.
const LOADING_WAIT: Duration = Duration::from_secs(2);

impl Recommender {
    /// Waits until the catalogue is loaded, or refuses with UNAVAILABLE.
    async fn ready(&self) -> Result<(), Status> {
        if self.live.wait_until_loaded(LOADING_WAIT).await {
            return Ok(());
        }
        Err(error::status(
            Code::Unavailable,
            "LOADING",
            "the catalogue is still being loaded; the service's health turns to SERVING when it is",
        ))
    }
}

impl Recommender {
    /// The person a request is about: its user, else the user its visitor is linked to, else the visitor; none where
    /// it names neither.
    async fn person(&self, user_id: &str, visitor_id: &str) -> Result<Option<String>, Status> {
        let id = if user_id.is_empty() { visitor_id } else { user_id };
        if id.is_empty() {
            return Ok(None);
        }
        self.store.person(&self.names.pseudonym(id)).await.map(Some).map_err(failed)
    }
}

/// `INVALID_ARGUMENT` where anything was found.
fn refuse(found: Violations) -> Result<(), Status> {
    if found.is_empty() {
        return Ok(());
    }
    let fields = found.into_vec().into_iter();
    Err(error::invalid(fields.map(|Violation { field, reason, description }| FieldViolation {
        field,
        reason,
        description,
    })))
}

fn failed(failure: store::Error) -> Status {
    error::internal(&failure)
}
