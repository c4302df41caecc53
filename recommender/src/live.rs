//! What serving replicas hold in memory. A watch looks for changes made by other replicas.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::artefact::Artefacts;
use crate::cold::text;
use crate::people::People;
use crate::shelf::{Catalogue, Popularity, Serving, Shelf, Vectors};
use crate::store::Store;
use crate::texts::Texts;

/// Looks between two countings of what is popular.
const LOOKS_A_COUNT: u32 = 15;

/// New items whose texts are embedded between two looks.
const TEXTS_A_LOOK: usize = 256;

/// What the shelf is made of; held while a part of it is brought up to date.
#[derive(Default)]
struct Parts {
    catalogue: Arc<Catalogue>,
    popularity: Arc<Popularity>,
    serving: Option<Arc<Serving>>,
    /// Of new items' texts.
    vectors: Arc<Vectors>,
}

/// The state of one replica; cheap to clone.
#[derive(Clone)]
pub struct Live {
    store: Store,
    artefacts: Artefacts,
    texts: Texts,
    parts: Arc<Mutex<Parts>>,
    shelf: Arc<ArcSwap<Shelf>>,
    people: Arc<ArcSwapOption<People>>,
}

impl Live {
    /// Loads everything once.
    pub async fn load(store: Store, artefacts: Artefacts, texts: Texts) -> anyhow::Result<Self> {
        let live = Self {
            store,
            artefacts,
            texts,
            parts: Arc::default(),
            shelf: Arc::default(),
            people: Arc::default(),
        };
        live.refresh_items().await?;
        live.refresh_popular().await?;
        live.refresh_model().await?;
        live.refresh_people().await?;
        Ok(live)
    }

    /// What requests are answered from now.
    pub fn shelf(&self) -> Arc<Shelf> {
        self.shelf.load_full()
    }

    /// What was learnt of people.
    pub fn people(&self) -> Option<Arc<People>> {
        self.people.load_full()
    }

    /// Swaps in the newest of what was learnt of people.
    pub async fn refresh_people(&self) -> anyhow::Result<()> {
        let _one = self.parts.lock().await;
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
        let mut parts = self.parts.lock().await;
        let version = self.store.items_version().await?;
        if version == parts.catalogue.version {
            return Ok(());
        }
        parts.catalogue = Arc::new(Catalogue::new(version, self.store.items().await?));
        self.put_up(&parts).await
    }

    /// Counts again what is popular.
    pub async fn refresh_popular(&self) -> anyhow::Result<()> {
        let mut parts = self.parts.lock().await;
        let counts = self.store.popularity().await?;
        let most = counts.first().map_or(1.0, |(_, people)| (*people).max(1) as f64);
        let shares = counts.into_iter().map(|(id, people)| (id, people as f64 / most));
        parts.popularity = Arc::new(shares.collect());
        self.put_up(&parts).await
    }

    /// Swaps in the promoted model where it is another.
    pub async fn refresh_model(&self) -> anyhow::Result<()> {
        let mut parts = self.parts.lock().await;
        let Some(card) = self.store.promoted().await? else { return Ok(()) };
        if parts.serving.as_ref().is_some_and(|serving| serving.model_id == card.model_id) {
            return Ok(());
        }
        let artefact = self.artefacts.get(&card.model_id).await;
        let artefact =
            artefact.with_context(|| format!("the promoted model {} cannot be loaded", card.model_id))?;
        tracing::info!(model = card.model_id, items = artefact.item_ids.len(), "a model serves");
        parts.serving = Some(Arc::new(Serving::new(card.model_id, artefact)));
        self.put_up(&parts).await
    }

    /// Has the texts of new items embedded, some at each look, where the model can tell factors from them.
    pub async fn refresh_texts(&self) -> anyhow::Result<()> {
        let shelf = self.shelf();
        let maps = shelf.serving.as_ref().is_some_and(|serving| serving.artefact.texts.is_some());
        if !maps || shelf.guessed.nrows() == shelf.fresh.len() {
            return Ok(());
        }
        let new: Vec<_> =
            shelf.fresh.iter().skip(shelf.guessed.nrows()).take(TEXTS_A_LOOK).cloned().collect();
        let Some(vectors) = self.texts.vectors(&new).await? else { return Ok(()) };
        let mut parts = self.parts.lock().await;
        let fresh: HashSet<String> = shelf.fresh.iter().map(|item| text(item)).collect();
        let kept = parts.vectors.iter().filter(|(text, _)| fresh.contains(*text));
        let mut all: Vectors = kept.map(|(text, vector)| (text.clone(), vector.clone())).collect();
        all.extend(new.iter().zip(vectors.rows()).map(|(item, vector)| (text(item), vector.to_vec())));
        parts.vectors = Arc::new(all);
        self.put_up(&parts).await
    }

    /// Makes the shelf of the parts and serves from it.
    async fn put_up(&self, parts: &Parts) -> anyhow::Result<()> {
        let (catalogue, popularity) = (parts.catalogue.clone(), parts.popularity.clone());
        let (serving, vectors) = (parts.serving.clone(), parts.vectors.clone());
        let shelf = move || Shelf::new(catalogue, &popularity, serving, &vectors);
        let shelf = tokio::task::spawn_blocking(shelf).await?;
        self.shelf.store(Arc::new(shelf));
        Ok(())
    }

    /// Follows what other replicas store and promote, until `stop`.
    pub async fn watch(self, every: Duration, stop: CancellationToken) {
        let mut look = 0_u32;
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            look = look.wrapping_add(1);
            let mut outcomes = vec![
                self.refresh_items().await,
                self.refresh_model().await,
                self.refresh_people().await,
                self.refresh_texts().await,
            ];
            // A shop's first events show at the next look.
            let uncounted = self.shelf.load().popular.first().is_none_or(|(_, share)| *share <= 0.0);
            if look.is_multiple_of(LOOKS_A_COUNT) || uncounted {
                outcomes.push(self.refresh_popular().await);
            }
            for cause in outcomes.into_iter().filter_map(Result::err) {
                tracing::warn!(cause = format!("{cause:#}"), "what serves could not be brought up to date");
            }
        }
    }
}
