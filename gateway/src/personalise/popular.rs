//! The popularity list: available items, the most popular first, which answer when the recommender cannot.
//!
//! The recommender is asked for it periodically, on behalf of nobody. It is kept in the gateway's database, so that it
//! survives a restart and is shared by replicas. Changes of the catalogue that come through the gateway take effect at
//! once; others with the next refresh.

mod list;
mod refresh;

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::Utc;
use prost::Message as _;
use proto::common::v1::Item;
use proto::gateway::v1::ItemUpdate;
use proto::recommender::v1::{RecommendRequest, RecommendResponse};
use tokio::sync::{Mutex, Notify};

use crate::store::{self, PopularItem, Store};
use list::List;

pub use refresh::start;

/// Items kept: as many as the recommender gives in one answer.
pub(crate) const KEPT: usize = 1000;

/// The list in memory and in the gateway's database; cheap to clone.
#[derive(Clone)]
pub struct Popular {
    shared: Arc<Shared>,
}

struct Shared {
    list: ArcSwap<List>,
    /// Version of the list in the database that `list` was read as. Held while either is changed.
    version: Mutex<i64>,
    /// Asks for a refresh before its time.
    due: Notify,
    store: Store,
}

impl Popular {
    /// Reads the list from the database.
    pub async fn load(store: Store) -> Result<Self, store::Error> {
        let popular = Self {
            shared: Arc::new(Shared {
                list: ArcSwap::default(),
                version: Mutex::new(0),
                due: Notify::new(),
                store,
            }),
        };
        popular.follow().await?;
        Ok(popular)
    }

    /// Takes over what another replica, or an earlier run, has stored.
    pub(crate) async fn follow(&self) -> Result<(), store::Error> {
        let mut version = self.shared.version.lock().await;
        let stored = self.shared.store.popular_version().await?;
        if stored != *version {
            self.shared.list.store(Arc::new(decoded(&self.shared.store.popular().await?)));
            *version = stored;
        }
        Ok(())
    }

    /// Whether a stored item of this id would change the list: it is in it, or there is room.
    pub fn takes(&self, item_id: &str, beside: usize) -> bool {
        let list = self.shared.list.load();
        list.contains(item_id) || list.len() + beside < KEPT
    }

    /// Takes the new versions of items that were just stored; further ones go to the end of the list while there is room.
    pub async fn put(&self, items: Vec<Item>) {
        if !items.is_empty() {
            let ids: Vec<&str> = items.iter().map(|item| item.item_id.as_str()).collect();
            self.change(&ids, &[], |list| list.put(items.clone(), KEPT)).await;
        }
    }

    /// Applies updates of items that were just stored.
    pub async fn update(&self, updates: Vec<ItemUpdate>) {
        let items = updates.iter().filter_map(|update| update.item.as_ref());
        let ids: Vec<&str> = items.map(|item| item.item_id.as_str()).collect();
        self.change(&ids, &[], |list| list.update(updates.clone())).await;
    }

    /// Removes items that were just deleted.
    pub async fn remove(&self, item_ids: &[String]) {
        let ids: Vec<&str> = item_ids.iter().map(String::as_str).collect();
        self.change(&ids, item_ids, |list| {
            list.remove(item_ids);
            Vec::new()
        })
        .await;
    }

    /// Asks for a refresh before its time: the catalogue was changed past this list.
    pub fn refresh_soon(&self) {
        self.shared.due.notify_one();
    }

    /// Changes the items `ids` of the list in memory and in the database; `work` returns the items it changed or added.
    /// A change that could not be stored is corrected by the next refresh.
    async fn change(
        &self,
        ids: &[&str],
        removed: &[String],
        work: impl Fn(&mut List) -> Vec<(usize, Arc<Item>)>,
    ) {
        let mut version = self.shared.version.lock().await;
        let mut list = self.shared.list.load().as_ref().clone();
        // Most items of a large catalogue are not listed: one read of the version tells that nothing is to be changed.
        let is_unlisted = list.len() >= KEPT && !ids.iter().any(|id| list.contains(id));
        if is_unlisted && self.shared.store.popular_version().await.is_ok_and(|stored| stored == *version) {
            return;
        }
        let stored = async {
            let change = self.shared.store.change_popular().await?;
            if change.version != *version + 1 {
                // Another replica has changed the list since: its change must not be undone.
                list = decoded(&change.list().await?);
            }
            let (changing, before) = (change.version, list.len());
            let changed: Vec<_> =
                work(&mut list).into_iter().map(|(place, item)| row(place, &item)).collect();
            let removed = if list.len() < before { removed } else { &[] };
            change.commit(&changed, removed).await?;
            Ok::<i64, store::Error>(changing)
        };
        match stored.await {
            Ok(changed) => *version = changed,
            Err(error) => {
                tracing::warn!(%error, "a change of the popularity list could not be stored");
                list = self.shared.list.load().as_ref().clone();
                work(&mut list);
                self.refresh_soon();
            }
        }
        self.shared.list.store(Arc::new(list));
    }

    /// The answer to `request` from the list alone.
    pub(crate) fn answer(&self, request: &RecommendRequest) -> RecommendResponse {
        self.shared.list.load().answer(request, Utc::now().timestamp())
    }
}

/// The list of encoded `items`.
fn decoded(items: &[Vec<u8>]) -> List {
    List::new(items.iter().filter_map(|payload| Item::decode(payload.as_slice()).ok()))
}

/// The row that keeps `item` at `place`.
fn row(place: usize, item: &Item) -> PopularItem {
    PopularItem {
        item_id: item.item_id.clone(),
        rank: i32::try_from(place).unwrap_or(i32::MAX),
        payload: item.encode_to_vec(),
    }
}
