//! What is held of one person.

use chrono::Utc;
use pbjson_types::Timestamp;
use proto::recommender::v1::{EraseUserResponse, ExportUserResponse, GetProfileResponse};
use tonic::Status;

use super::{Recommender, check, failed};
use crate::intent::person::Act;
use crate::profile;
use crate::store::act;

impl Recommender {
    pub(super) async fn profile(&self, user_id: &str) -> Result<GetProfileResponse, Status> {
        check::person(user_id)?;
        let events = self.store.events_of(&self.names.pseudonym(user_id)).await.map_err(failed)?;
        let now = Utc::now().timestamp();
        let mut profile = profile::of(&events, &self.live.shelf().catalogue, &self.signals, now);
        let people = self.live.people();
        if let Some(people) = &people {
            let acts: Vec<Act> = events.iter().map(act).collect();
            let segments = people.segments.as_ref().map(|all| all.segments.as_slice()).unwrap_or_default();
            let place = people.segment_of(&acts, now);
            profile.segment =
                place.and_then(|place| Some(segments.get(place)?.name.clone())).unwrap_or_default();
        }
        let version = people.filter(|people| people.segments.is_some()).map(|people| people.version.clone());
        Ok(GetProfileResponse { profile: Some(profile), segments_version: version.unwrap_or_default() })
    }

    pub(super) async fn export(&self, user_id: &str) -> Result<ExportUserResponse, Status> {
        check::person(user_id)?;
        let events = self.store.events_of(&self.names.pseudonym(user_id)).await.map_err(failed)?;
        Ok(ExportUserResponse { events })
    }

    pub(super) async fn erase(&self, user_id: &str) -> Result<EraseUserResponse, Status> {
        check::person(user_id)?;
        let removed = self.store.erase(&self.names.pseudonym(user_id)).await.map_err(failed)?;
        let erased_at = Utc::now();
        // What is popular is a count of people: it is told without this one at once.
        self.live.refresh_popular().await.map_err(|cause| chassis::error::internal(&cause))?;
        let mut held_by_models = Vec::new();
        if removed > 0 {
            held_by_models.extend(self.store.promoted().await.map_err(failed)?.map(|card| card.model_id));
            held_by_models.extend(self.live.people().map(|people| people.version.clone()));
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
