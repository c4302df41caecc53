//! What this replica serves from, and how it follows the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use proto::common::v1::{Event, Item};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::artefact::Artefacts;
use crate::candidates::{Catalogue, Model, View};
use crate::popular::Popularity;
use crate::store::{Card, Store};

/// Replicas' clocks may differ by this much, microseconds.
const SKEW: i64 = 30 * 1_000_000;
/// How often popularity is counted anew, so that it knows what other replicas took in.
const RECOUNT: Duration = Duration::from_secs(60);

/// What this replica serves from; cheap to clone.
#[derive(Clone)]
pub struct Shelf(Arc<Inner>);

struct Inner {
    store: Store,
    artefacts: Artefacts,
    view: ArcSwap<View>,
    popularity: Popularity,
    /// Time of the newest item seen, microseconds since 1970. Held while the view is changed.
    seen: Mutex<i64>,
}

impl Shelf {
    /// Loads the catalogue, the popularity and the promoted model.
    ///
    /// # Errors
    /// The database fails, or the promoted model cannot be read.
    pub async fn open(store: Store, artefacts: Artefacts) -> anyhow::Result<Self> {
        let inner = Inner {
            store,
            artefacts,
            view: ArcSwap::default(),
            popularity: Popularity::default(),
            seen: Mutex::new(0),
        };
        let shelf = Self(Arc::new(inner));
        shelf.follow_items().await?;
        shelf.follow_model().await?;
        shelf.recount().await?;
        Ok(shelf)
    }

    /// What to answer from now.
    pub fn view(&self) -> Arc<View> {
        self.0.view.load_full()
    }

    /// What many people took lately.
    pub fn popularity(&self) -> &Popularity {
        &self.0.popularity
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The object store of models.
    pub fn artefacts(&self) -> &Artefacts {
        &self.0.artefacts
    }

    /// Shows items that were stored just now.
    ///
    /// # Errors
    /// The work was cut off by shutdown.
    pub async fn show(&self, items: Vec<Item>) -> anyhow::Result<()> {
        let _changing = self.0.seen.lock().await;
        self.swap(move |view| (view.catalogue.with(items), view.model.clone())).await
    }

    /// Counts events stored just now, of which `fresh` were new.
    pub fn count(&self, events: &[Event], fresh: u64) {
        if fresh == events.len() as u64 {
            self.0.popularity.add(events);
        } else if fresh > 0 {
            self.0.popularity.outdate();
        }
    }

    async fn swap<F>(&self, change: F) -> anyhow::Result<()>
    where
        F: FnOnce(&View) -> (Catalogue, Option<Arc<Model>>) + Send + 'static,
    {
        let view = self.view();
        let next = tokio::task::spawn_blocking(move || {
            let (catalogue, model) = change(&view);
            View::new(catalogue, model)
        });
        self.0.view.store(Arc::new(next.await?));
        Ok(())
    }

    async fn follow_items(&self) -> anyhow::Result<()> {
        let mut seen = self.0.seen.lock().await;
        if *seen > 0 && self.0.store.items_changed().await? <= *seen {
            return Ok(());
        }
        let (items, newest) = self.0.store.items_since(seen.saturating_sub(SKEW)).await?;
        self.swap(move |view| (view.catalogue.with(items), view.model.clone())).await?;
        *seen = newest;
        Ok(())
    }

    /// Serves the promoted model, loading it where it is not the one that serves already.
    ///
    /// # Errors
    /// The database fails, or the model cannot be read; the one before it goes on serving.
    pub async fn follow_model(&self) -> anyhow::Result<()> {
        let promoted = self.0.store.promoted().await?;
        let serving = self.view().model.as_ref().map(|model| model.card.model_id.clone());
        if promoted.as_ref().map(|card| &card.model_id) == serving.as_ref() {
            return Ok(());
        }
        let model = match promoted {
            Some(card) => Some(self.load(card).await?),
            None => None,
        };
        let _changing = self.0.seen.lock().await;
        self.swap(move |view| (view.catalogue.clone(), model)).await
    }

    async fn load(&self, card: Card) -> anyhow::Result<Arc<Model>> {
        let artefact = self.0.artefacts.get(&card.model_id).await?;
        tracing::info!(model = card.model_id, items = artefact.item_ids.len(), "model loaded");
        Ok(Arc::new(Model::new(card, artefact)))
    }

    async fn recount(&self) -> anyhow::Result<()> {
        let crowds = self.0.store.crowds().await?;
        let shelf = self.clone();
        tokio::task::spawn_blocking(move || shelf.0.popularity.reset(&crowds)).await?;
        Ok(())
    }

    /// Follows the database every `every` until `stop`.
    pub async fn watch(self, every: Duration, stop: CancellationToken) {
        let mut counted = Instant::now();
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let recount = self.0.popularity.take_stale() || counted.elapsed() > RECOUNT;
            let followed = async {
                self.follow_items().await?;
                self.follow_model().await?;
                if recount {
                    self.recount().await?;
                    counted = Instant::now();
                }
                anyhow::Ok(())
            };
            if let Err(cause) = followed.await {
                tracing::error!(%cause, "the database or the model store cannot be followed; trying again");
                if recount {
                    self.0.popularity.outdate();
                }
            }
        }
    }
}
