//! What is held of one person.

use chrono::Utc;
use proto::recommender::v1::{EraseUserResponse, ExportUserResponse, GetProfileResponse};
use tonic::Status;

use super::{Recommender, check, failed};
use crate::profile;

impl Recommender {
    pub(super) async fn profile(&self, user_id: &str) -> Result<GetProfileResponse, Status> {
        check::person(user_id)?;
        let events = self.store.events_of(&self.names.pseudonym(user_id)).await.map_err(failed)?;
        Ok(GetProfileResponse {
            profile: Some(profile::of(&events, &self.live.catalogue(), Utc::now().timestamp())),
        })
    }

    pub(super) async fn export(&self, user_id: &str) -> Result<ExportUserResponse, Status> {
        check::person(user_id)?;
        let events = self.store.events_of(&self.names.pseudonym(user_id)).await.map_err(failed)?;
        Ok(ExportUserResponse { events })
    }

    pub(super) async fn erase(&self, user_id: &str) -> Result<EraseUserResponse, Status> {
        check::person(user_id)?;
        let removed = self.store.erase(&self.names.pseudonym(user_id)).await.map_err(failed)?;
        let remainder = "until the next training, the part this person had in factors shared by all";
        Ok(EraseUserResponse {
            removed,
            remainder: if removed > 0 { remainder.into() } else { String::new() },
        })
    }
}
