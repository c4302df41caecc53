//! What serving replicas hold in memory: the catalogue, what is popular, and the promoted model.
//!
//! All three are swapped in whole. A watch looks for changes made by other replicas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::{ArcSwap, ArcSwapOption};
use proto::common::v1::Item;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::artefact::{Artefact, Artefacts};
use crate::fold_in::FoldIn;
use crate::people::People;
use crate::signals::Signals;
use crate::store::{Deed, Store};

/// Looks between two countings of what is popular.
const LOOKS_A_COUNT: u32 = 15;

/// All items, by id.
#[derive(Debug, Default)]
pub struct Catalogue {
    version: (u64, i64),
    items: HashMap<String, Arc<Item>>,
}

impl Catalogue {
    /// The item of this id.
    pub fn get(&self, item_id: &str) -> Option<&Arc<Item>> {
        self.items.get(item_id)
    }

    /// All items, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.items.values()
    }

    /// The item's title; empty where it is not known.
    pub fn title(&self, item_id: &str) -> &str {
        self.items.get(item_id).map_or("", |item| item.title.as_str())
    }
}

/// The model that serves.
#[derive(Debug)]
pub struct Serving {
    /// Its id.
    pub model_id: String,
    /// The model.
    pub artefact: Artefact,
    /// Column of each item.
    pub columns: HashMap<String, u32>,
}

impl Serving {
    /// A person's `deeds`, the oldest first, folded into the model; `None` where they tell it nothing.
    pub fn fold_in(&self, deeds: &[Deed], signals: &Signals, now: i64) -> Option<FoldIn<'_>> {
        FoldIn::of(self.artefact.model.as_ref(), &self.columns, deeds, signals, now)
    }
}

/// The state of one replica; cheap to clone.
#[derive(Clone)]
pub struct Live {
    store: Store,
    artefacts: Artefacts,
    catalogue: Arc<ArcSwap<Catalogue>>,
    popular: Arc<ArcSwap<Vec<(String, f64)>>>,
    serving: Arc<ArcSwapOption<Serving>>,
    people: Arc<ArcSwapOption<People>>,
    loading: Arc<Mutex<()>>,
}

impl Live {
    /// Loads everything once.
    pub async fn load(store: Store, artefacts: Artefacts) -> anyhow::Result<Self> {
        let live = Self {
            store,
            artefacts,
            catalogue: Arc::default(),
            popular: Arc::default(),
            serving: Arc::default(),
            people: Arc::default(),
            loading: Arc::default(),
        };
        live.refresh_items().await?;
        live.refresh_popular().await?;
        live.refresh_model().await?;
        live.refresh_people().await?;
        Ok(live)
    }

    /// The catalogue now.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// Items with the share of people who took them, the most popular first.
    pub fn popular(&self) -> Arc<Vec<(String, f64)>> {
        self.popular.load_full()
    }

    /// The promoted model now.
    pub fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.load_full()
    }

    /// What was learnt of people.
    pub fn people(&self) -> Option<Arc<People>> {
        self.people.load_full()
    }

    /// Swaps in the newest of what was learnt of people.
    pub async fn refresh_people(&self) -> anyhow::Result<()> {
        let _one = self.loading.lock().await;
        let Some(version) = self.store.newest_people().await? else { return Ok(()) };
        if self.people.load().as_ref().is_some_and(|people| people.version == version) {
            return Ok(());
        }
        let people = self.artefacts.get_people(&version).await;
        let people = people.with_context(|| format!("{version} cannot be loaded"))?;
        self.people.store(Some(Arc::new(people)));
        Ok(())
    }

    /// Reads the catalogue again where it has changed.
    pub async fn refresh_items(&self) -> anyhow::Result<()> {
        let _one = self.loading.lock().await;
        let version = self.store.items_version().await?;
        if version == self.catalogue.load().version {
            return Ok(());
        }
        let items = self.store.items().await?.into_iter();
        let items = items.map(|item| (item.item_id.clone(), Arc::new(item))).collect();
        self.catalogue.store(Arc::new(Catalogue { version, items }));
        Ok(())
    }

    /// Counts again what is popular.
    pub async fn refresh_popular(&self) -> anyhow::Result<()> {
        let counts = self.store.popularity().await?;
        let most = counts.first().map_or(1.0, |(_, people)| (*people).max(1) as f64);
        self.popular
            .store(Arc::new(counts.into_iter().map(|(id, people)| (id, people as f64 / most)).collect()));
        Ok(())
    }

    /// Swaps in the promoted model where it is another.
    pub async fn refresh_model(&self) -> anyhow::Result<()> {
        let _one = self.loading.lock().await;
        let Some(card) = self.store.promoted().await? else { return Ok(()) };
        if self.serving.load().as_ref().is_some_and(|serving| serving.model_id == card.model_id) {
            return Ok(());
        }
        let artefact = self.artefacts.get(&card.model_id).await;
        let artefact =
            artefact.with_context(|| format!("the promoted model {} cannot be loaded", card.model_id))?;
        let columns = artefact.item_ids.iter().cloned().zip(0..).collect();
        tracing::info!(model = card.model_id, items = artefact.item_ids.len(), "a model serves");
        self.serving.store(Some(Arc::new(Serving { model_id: card.model_id, artefact, columns })));
        Ok(())
    }

    /// Follows what other replicas store and promote, until `stop`.
    pub async fn watch(self, every: Duration, stop: CancellationToken) {
        let mut look = 0_u32;
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            look = look.wrapping_add(1);
            let mut outcomes =
                vec![self.refresh_items().await, self.refresh_model().await, self.refresh_people().await];
            // A shop's first events show at the next look.
            if look.is_multiple_of(LOOKS_A_COUNT) || self.popular.load().is_empty() {
                outcomes.push(self.refresh_popular().await);
            }
            for cause in outcomes.into_iter().filter_map(Result::err) {
                tracing::warn!(cause = format!("{cause:#}"), "what serves could not be brought up to date");
            }
        }
    }
}
