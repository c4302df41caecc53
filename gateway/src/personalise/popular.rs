//! What is shown when the recommender cannot be reached: items it gave to people it did not know, else to anyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use chrono::Utc;
use prost::Message as _;
use proto::common::v1::Item;
use proto::gateway::v1::PersonaliseRequest;
use proto::recommender::v1::{Reason, ReasonKind, RecommendResponse, Recommendation};

use crate::store::{self, Store};

/// Items kept.
pub(crate) const KEPT: usize = 200;
/// Seconds between two savings.
const SAVE_EVERY: i64 = 10;

/// The items to fall back on, in memory and in the gateway's database; cheap to clone.
#[derive(Clone)]
pub struct Popular {
    items: Arc<ArcSwap<Vec<Item>>>,
    saved_at: Arc<AtomicI64>,
    store: Store,
}

impl Popular {
    /// What an earlier run has kept.
    pub async fn load(store: Store) -> Result<Self, store::Error> {
        let encoded = store.popular().await?;
        let items = encoded.iter().filter_map(|payload| Item::decode(payload.as_slice()).ok()).collect();
        Ok(Self { items: Arc::new(ArcSwap::from_pointee(items)), saved_at: Arc::default(), store })
    }

    pub(super) fn store(&self) -> Store {
        self.store.clone()
    }

    /// Takes the items of an answer, the newest first, and keeps them over a restart.
    pub fn learn(&self, answer: &RecommendResponse) {
        let now = Utc::now().timestamp();
        let saved = self.saved_at.load(Ordering::Relaxed);
        if now - saved < SAVE_EVERY
            || self.saved_at.compare_exchange(saved, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let known = self.items.load();
        let fresh = answer.recommendations.iter().filter_map(|pick| pick.item.as_ref());
        let mut items: Vec<Item> = fresh.cloned().collect();
        if items.is_empty() {
            return;
        }
        let is_new = |item: &&Item| !answer.recommendations.iter().any(|pick| pick.item_id == item.item_id);
        items.extend(known.iter().filter(is_new).cloned());
        items.truncate(KEPT);
        self.replace(items);
    }

    /// Takes items that were just stored, where there are too few to fall back on; replaces older versions of them.
    pub fn learn_items(&self, stored: &[Item]) {
        let mut items = self.items.load().as_ref().clone();
        let mut changed = false;
        for item in stored {
            if let Some(known) = items.iter_mut().find(|known| known.item_id == item.item_id) {
                known.clone_from(item);
                changed = true;
            } else if items.len() < KEPT {
                items.push(item.clone());
                changed = true;
            }
        }
        if changed {
            self.replace(items);
        }
    }

    fn replace(&self, items: Vec<Item>) {
        let encoded: Vec<_> = items.iter().map(|item| (item.item_id.clone(), item.encode_to_vec())).collect();
        self.items.store(Arc::new(items));
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.set_popular(&encoded).await {
                tracing::warn!(%error, "the items to fall back on could not be kept");
            }
        });
    }

    /// An answer from these items alone, under the same rules as far as they can be kept here.
    pub(super) fn answer(&self, request: &PersonaliseRequest) -> RecommendResponse {
        let rules = request.rules.clone().unwrap_or_default();
        let items = self.items.load();
        let now = Utc::now().timestamp();
        let named = |ids: &[String], item: &Item| ids.contains(&item.item_id);
        let allowed = items.iter().filter(|item| {
            !named(&rules.exclude_item_ids, item)
                && (rules.only_item_ids.is_empty() || named(&rules.only_item_ids, item))
                && rules.fits(item, now)
        });
        // How popular each is was not kept, only the order: the score falls with the place.
        let score = |(item, place)| (item, rules.boosted(item, 1.0 / f64::from(place)));
        let mut scored: Vec<(&Item, f64)> = allowed.zip(1_u32..).map(score).collect();
        scored.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let picks = scored.into_iter().take(request.limit as usize).map(|(item, score)| Recommendation {
            item_id: item.item_id.clone(),
            score,
            propensity: 1.0,
            sources: vec!["popularity".into()],
            reasons: vec![Reason { kind: ReasonKind::Popularity.into(), weight: 1.0, ..Reason::default() }],
            item: Some(item.clone()),
        });
        RecommendResponse { recommendations: picks.collect(), ..RecommendResponse::default() }
    }
}
