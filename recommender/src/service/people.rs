//! What is held of one person.

use chrono::Utc;
use pbjson_types::Timestamp;
use proto::common::v1::Event;
use proto::recommender::v1::{EraseUserResponse, ExportUserResponse, GetProfileResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument as _;

use super::{Recommender, check, failed};
use crate::profile::ProfileBuilder;
use crate::store::{EventKey, Identity};

/// Events of one message of an export.
const EXPORTED: u64 = 500;
/// Messages of an export that wait for a slow caller.
const PAGES_AHEAD: usize = 2;

/// A message of an export, or what ended it.
pub(super) type Exported = Result<ExportUserResponse, Status>;

/// Time of an event in microseconds since 1970.
fn micros(event: &Event) -> i64 {
    event.occurred_at.as_ref().map_or(0, |at| at.seconds.saturating_mul(1_000_000))
}

impl Recommender {
    pub(super) async fn profile(&self, user_id: &str) -> Result<GetProfileResponse, Status> {
        check::person(user_id)?;
        self.ready().await?;
        let person = Identity::new(self.names.pseudonym(user_id));
        let (now, shelf) = (Utc::now().timestamp(), self.live.shelf());
        let (bands, whole) = (self.price_bands.clone(), shelf.clone());
        let thirds = self.on_a_core(move || bands.thirds(&whole.catalogue)).await?;
        let mut builder = ProfileBuilder::new(&shelf.catalogue, &thirds, &self.signals);
        let add = |event: Event| builder.add(&event, self.calendar.hour(micros(&event)));
        self.store.each_act(&person, add).await.map_err(failed)?;
        let mut profile = builder.build(now);
        let people = self.live.people();
        if let Some(people) = &people {
            let acts = self.store.acts_of(&person).await.map_err(failed)?;
            let segments = people.segments.as_ref().map(|all| all.segments.as_slice()).unwrap_or_default();
            let place = people.segment_of(&acts, now);
            profile.segment =
                place.and_then(|place| Some(segments.get(place)?.name.clone())).unwrap_or_default();
        }
        let version = people.filter(|people| people.segments.is_some()).map(|people| people.version.clone());
        Ok(GetProfileResponse { profile: Some(profile), segments_version: version.unwrap_or_default() })
    }

    /// Streams all events of a person, the oldest first, one page of the database a message.
    pub(super) async fn export(&self, user_id: &str) -> Result<ReceiverStream<Exported>, Status> {
        check::person(user_id)?;
        let person = self.person(user_id, "").await?.unwrap_or_default();
        let store = self.store.clone();
        let (pages, exported) = mpsc::channel::<Exported>(PAGES_AHEAD);
        let work = async move {
            let mut after = None;
            loop {
                let page = match store.events_page(&person, after.as_ref(), EXPORTED).await {
                    Ok(page) => page,
                    Err(cause) => return drop(pages.send(Err(failed(cause))).await),
                };
                after = page.last().map(EventKey::of);
                let is_last = (page.len() as u64) < EXPORTED;
                let is_empty = page.is_empty();
                let sent = is_empty || pages.send(Ok(ExportUserResponse { events: page })).await.is_ok();
                // A caller who has gone ends the export.
                if is_last || !sent {
                    return;
                }
            }
        };
        tokio::spawn(work.in_current_span());
        Ok(ReceiverStream::new(exported))
    }

    pub(super) async fn erase(&self, user_id: &str) -> Result<EraseUserResponse, Status> {
        check::person(user_id)?;
        let person = self.person(user_id, "").await?.unwrap_or_default();
        let removed = self.store.erase(&person).await.map_err(failed)?;
        let erased_at = Utc::now();
        self.forget_segments(&[&self.names.pseudonym(user_id), &person]).await;
        // What is popular is a count of people: it is told without this one at once.
        self.live.refresh_popular().await.map_err(|cause| chassis::error::internal(&cause))?;
        let mut held_by_models = Vec::new();
        if removed > 0 {
            held_by_models.extend(self.store.promoted().await.map_err(failed)?.map(|card| card.model_id));
            let apart = self.live.people().map(|people| people.version.clone());
            held_by_models.extend(
                apart.filter(|version| !held_by_models.contains(version)).into_iter().collect::<Vec<_>>(),
            );
        }
        let remainder = if held_by_models.is_empty() {
            String::new()
        } else {
            format!(
                "the part this person had in what {} share by all, none of it under the person's name; \
                 free of it from the first training after {} that is promoted",
                held_by_models.join(" and "),
                erased_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            )
        };
        let erased_at = Timestamp { seconds: erased_at.timestamp(), nanos: 0 };
        Ok(EraseUserResponse { removed, remainder, held_by_models, erased_at: Some(erased_at) })
    }
}
