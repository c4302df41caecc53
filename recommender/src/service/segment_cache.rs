//! Segments of people who asked lately: assigning one reads all acts of the person, which most calls can do without.

use std::time::Duration;

use chrono::Utc;
use moka::future::Cache;
use tonic::Status;

use super::{Recommender, failed};
use crate::store::Identity;

/// People whose segments are kept.
const MAX_PEOPLE: u64 = 100_000;
/// Age at which a segment is assigned anew.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Name of the segment by model and person; empty where the person has none.
#[derive(Debug, Clone)]
pub(super) struct SegmentCache(Cache<(String, String), String>);

impl Default for SegmentCache {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_PEOPLE).time_to_live(MAX_AGE).build())
    }
}

impl Recommender {
    /// Name of the person's segment in the serving model; empty where there is none.
    pub(super) async fn segment_name(&self, person: Option<&Identity>) -> Result<String, Status> {
        let (Some(person), Some(people)) = (person, self.live.people()) else { return Ok(String::new()) };
        if people.segments.is_none() {
            return Ok(String::new());
        }
        let key = (people.version.clone(), person.id.clone());
        if let Some(kept) = self.segments.0.get(&key).await {
            return Ok(kept);
        }
        let acts = self.store.acts_of(person).await.map_err(failed)?;
        let place = people.segment_of(&acts, Utc::now().timestamp());
        let all = people.segments.as_ref().map(|all| all.segments.as_slice()).unwrap_or_default();
        let name = place.and_then(|place| all.get(place)).map(|one| one.name.clone()).unwrap_or_default();
        self.segments.0.insert(key, name.clone()).await;
        Ok(name)
    }

    /// Forgets the segments of a person under any of its `ids`.
    pub(super) async fn forget_segments(&self, ids: &[&str]) {
        let Some(people) = self.live.people() else { return };
        for id in ids {
            self.segments.0.invalidate(&(people.version.clone(), (*id).to_owned())).await;
        }
    }
}
