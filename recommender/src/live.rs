//! What serving replicas hold in memory, and how they follow what others store and promote.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use proto::common::v1::Item;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::artefact::Artefacts;
use crate::cold::text;
use crate::config::CatalogueConfig;
use crate::people::People;
use crate::shelf::{Popularity, Serving, Shelf, Vectors};
use crate::store::{Changes, Store};
use crate::texts::Texts;

/// Looks for models between two countings of what is popular.
const LOOKS_A_COUNT: u32 = 15;

/// New items whose texts are embedded between two looks.
const TEXTS_A_LOOK: usize = 256;

/// Items whose factors are inferred from their texts before a model serves, and at once afterwards.
const INFERRED_AT_ONCE: usize = 20_000;

/// The view with the factors of the first unknown items inferred, and the slot behind the last of them.
fn begin_inference(mut shelf: Shelf, vectors: &Vectors) -> (Shelf, usize) {
    let (inferences, until) = shelf.inferences(0, INFERRED_AT_ONCE, vectors);
    shelf.take_inferences(inferences);
    (shelf, until)
}

/// What the view is made of beside the items; held while the view is changed.
#[derive(Default)]
struct Parts {
    /// Revision of the catalogue that the view has come to.
    revision: i64,
    popularity: Arc<Popularity>,
    /// Vectors of new items' texts.
    vectors: Arc<Vectors>,
    /// Slot up to which the factors of unknown items are inferred.
    inferred_to: usize,
}

/// The state of one replica; cheap to clone.
#[derive(Clone)]
pub struct Live {
    store: Store,
    artefacts: Artefacts,
    texts: Texts,
    /// Which items are never recommended.
    rules: Arc<CatalogueConfig>,
    parts: Arc<Mutex<Parts>>,
    /// Held while a model or the whole catalogue is loaded, which takes seconds; `parts` is free meanwhile.
    loading: Arc<Mutex<()>>,
    shelf: Arc<ArcSwap<Shelf>>,
    /// Whether changes of items are followed: the catalogue has been read as a whole.
    following: Arc<AtomicBool>,
    loaded: Arc<watch::Sender<bool>>,
}

impl Live {
    /// An empty state; [`Live::load`] fills it.
    pub fn new(store: Store, artefacts: Artefacts, texts: Texts, rules: CatalogueConfig) -> Self {
        Self {
            store,
            artefacts,
            texts,
            rules: Arc::new(rules),
            parts: Arc::default(),
            loading: Arc::default(),
            shelf: Arc::default(),
            following: Arc::default(),
            loaded: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Loads the catalogue, the promoted model and what is popular. Until then [`Live::wait_until_loaded`] waits.
    pub async fn load(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        self.read_catalogue().await?;
        if self.store.settle_popularity().await? {
            tracing::info!("the popularity of all items was computed from all events");
        }
        self.refresh_popular().await?;
        if let Err(cause) = self.refresh_model().await {
            // Without it the shop still gets what is popular, and can train anew.
            tracing::error!(cause = format!("{cause:#}"), "no model serves");
        }
        // What was stored before this was not followed by whoever stored it, and is here; what is stored later is
        // followed by whoever stores it.
        self.following.store(true, Ordering::SeqCst);
        self.follow_items().await?;
        self.loaded.send_replace(true);
        let (items, seconds) = (self.shelf().catalogue.len(), began.elapsed().as_secs_f64());
        tracing::info!(items, seconds, "the catalogue is loaded");
        Ok(())
    }

    /// Whether [`Live::load`] has ended.
    pub fn is_loaded(&self) -> bool {
        *self.loaded.borrow()
    }

    /// Waits at most `longest` for [`Live::load`] and answers whether it has ended.
    pub async fn wait_until_loaded(&self, longest: Duration) -> bool {
        let mut loaded = self.loaded.subscribe();
        let waited = tokio::time::timeout(longest, loaded.wait_for(|loaded| *loaded)).await;
        waited.is_ok_and(|found| found.is_ok())
    }

    /// What requests are answered from now.
    pub fn shelf(&self) -> Arc<Shelf> {
        self.shelf.load_full()
    }

    /// What the training run of the serving model learnt of people.
    pub fn people(&self) -> Option<Arc<People>> {
        self.shelf().serving.as_ref()?.artefact.people.clone()
    }

    /// Reads all items and makes a view of them, served by the model there is.
    async fn read_catalogue(&self) -> anyhow::Result<()> {
        let _one = self.loading.lock().await;
        let mut items = Vec::new();
        let revision = self.store.items(&mut items).await?;
        for item in &mut items {
            self.rules.mark(item);
        }
        let mut parts = self.parts.lock().await;
        let (serving, popularity) = (self.shelf().serving.clone(), parts.popularity.clone());
        let vectors = parts.vectors.clone();
        let build = move || {
            let shelf = Shelf::new(items);
            let Some(serving) = serving else { return (shelf, 0) };
            begin_inference(shelf.with_serving(serving, &popularity), &vectors)
        };
        let (shelf, inferred_to) = tokio::task::spawn_blocking(build).await?;
        self.shelf.store(Arc::new(shelf));
        (parts.revision, parts.inferred_to) = (revision, inferred_to);
        Ok(())
    }

    /// Takes over all changes of items that were committed before this call; nothing while the catalogue is loaded
    /// for the first time, which ends with the changes made meanwhile.
    pub async fn follow_items(&self) -> anyhow::Result<()> {
        while self.following.load(Ordering::SeqCst) {
            let mut parts = self.parts.lock().await;
            match self.store.item_changes(parts.revision).await? {
                Changes::None => return Ok(()),
                Changes::Forgotten => {
                    drop(parts);
                    self.read_catalogue().await?;
                }
                Changes::Some { revision, stored, removed } => {
                    self.change(&parts, stored, &removed);
                    parts.revision = revision;
                }
            }
        }
        Ok(())
    }

    fn change(&self, parts: &Parts, stored: Vec<Item>, removed: &[String]) {
        let mut shelf = Shelf::clone(&self.shelf());
        for id in removed {
            shelf.remove(id);
        }
        for mut item in stored {
            self.rules.mark(&mut item);
            shelf.insert(item, &parts.vectors);
        }
        self.shelf.store(Arc::new(shelf));
    }

    /// Reads the popularity of items, which is computed as events are stored: a row an item.
    pub async fn refresh_popular(&self) -> anyhow::Result<()> {
        let counts = self.store.popularity().await?;
        let highest = counts.first().map_or(1.0, |(_, score)| *score);
        let shares = counts.into_iter().map(|(id, score)| (id, score / highest));
        let popularity: Arc<Popularity> = Arc::new(shares.collect());
        let mut parts = self.parts.lock().await;
        parts.popularity = popularity.clone();
        let shelf = self.shelf();
        let set = move || {
            let mut shelf = Shelf::clone(&shelf);
            shelf.set_popularity(&popularity);
            shelf
        };
        self.shelf.store(Arc::new(tokio::task::spawn_blocking(set).await?));
        Ok(())
    }

    /// Swaps in the promoted model where it is another. Items may be changed while it is loaded.
    pub async fn refresh_model(&self) -> anyhow::Result<()> {
        let _one = self.loading.lock().await;
        let Some(card) = self.store.promoted().await? else { return Ok(()) };
        let before = self.shelf();
        if before.serving.as_ref().is_some_and(|serving| serving.model_id == card.model_id) {
            return Ok(());
        }
        let artefact = self.artefacts.get(&card.model_id).await;
        let mut artefact = artefact.with_context(|| {
            format!("the promoted model {} cannot be loaded; train anew or promote another", card.model_id)
        })?;
        if artefact.people.is_none() {
            artefact.people = self.people_apart().await?;
        }
        let (model, items) = (card.model_id.clone(), artefact.item_ids.len());
        let (popularity, vectors) = {
            let parts = self.parts.lock().await;
            (parts.popularity.clone(), parts.vectors.clone())
        };
        let base = before.clone();
        let build = move || {
            let serving = Arc::new(Serving::new(card.model_id, artefact));
            begin_inference(base.with_serving(serving, &popularity), &vectors)
        };
        let (mut shelf, inferred_to) = tokio::task::spawn_blocking(build).await?;
        let mut parts = self.parts.lock().await;
        shelf.take_over(&before, &self.shelf(), &parts.vectors);
        shelf.set_popularity(&parts.popularity);
        parts.inferred_to = inferred_to;
        self.shelf.store(Arc::new(shelf));
        tracing::info!(model, items, "a model serves");
        Ok(())
    }

    /// What an earlier version learnt of people and stored apart from the models, for a model that has none.
    async fn people_apart(&self) -> anyhow::Result<Option<Arc<People>>> {
        let Some(version) = self.store.newest_people().await? else { return Ok(None) };
        let people = self.artefacts.get_people(&version).await;
        let people = people.with_context(|| format!("{version} cannot be loaded; train anew"))?;
        Ok(Some(Arc::new(people)))
    }

    /// Has the texts of new items embedded, some at each look, where the model can tell factors from them.
    pub async fn refresh_texts(&self) -> anyhow::Result<()> {
        if !self.texts.are_embedded() {
            return Ok(());
        }
        let known = self.parts.lock().await.vectors.clone();
        let shelf_size = self.shelf().catalogue.len();
        let new = self.shelf().waiting_for_texts(&known, TEXTS_A_LOOK);
        if new.is_empty() {
            return Ok(());
        }
        let Some(vectors) = self.texts.vectors(&new).await? else { return Ok(()) };
        let mut parts = self.parts.lock().await;
        let mut all = Vectors::clone(&parts.vectors);
        if all.len() > 2 * shelf_size {
            // Texts that no item has any more.
            let current: HashSet<String> =
                self.shelf().catalogue.unmodelled().map(|(_, item)| text(item)).collect();
            all.retain(|text, _| current.contains(text));
        }
        let embedded = new.iter().zip(vectors);
        all.extend(embedded.map(|(item, vector)| (text(item), vector.unwrap_or_default())));
        let mut shelf = Shelf::clone(&self.shelf());
        for item in &new {
            shelf.infer_item(&item.item_id, &all);
        }
        parts.vectors = Arc::new(all);
        self.shelf.store(Arc::new(shelf));
        Ok(())
    }

    /// Infers the factors of items that the serving model does not know and that were too many to infer before it
    /// served, some at a time.
    async fn infer_more(&self) -> anyhow::Result<()> {
        loop {
            let (shelf, vectors, from) = {
                let parts = self.parts.lock().await;
                (self.shelf(), parts.vectors.clone(), parts.inferred_to)
            };
            let Some(model) = shelf.serving.as_ref().map(|serving| serving.model_id.clone()) else {
                return Ok(());
            };
            if from >= shelf.catalogue.slot_count() {
                return Ok(());
            }
            let infer = move || shelf.inferences(from, INFERRED_AT_ONCE, &vectors);
            let (inferences, until) = tokio::task::spawn_blocking(infer).await?;
            let mut parts = self.parts.lock().await;
            let current = self.shelf();
            // Another model has other slots.
            if current.serving.as_ref().is_none_or(|serving| serving.model_id != model) {
                return Ok(());
            }
            let mut shelf = Shelf::clone(&current);
            shelf.take_inferences(inferences);
            parts.inferred_to = until;
            self.shelf.store(Arc::new(shelf));
        }
    }

    /// Follows changes of items that other replicas store, looking every `every`, until `stop`.
    pub async fn watch_items(self, every: Duration, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            if let Err(cause) = self.follow_items().await {
                tracing::warn!(cause = format!("{cause:#}"), "changes of items could not be followed");
                let pause = tokio::time::sleep(Duration::from_secs(1));
                if stop.run_until_cancelled(pause).await.is_none() {
                    return;
                }
            }
        }
    }

    /// Follows what other replicas promote and what becomes popular, until `stop`.
    pub async fn watch(self, every: Duration, stop: CancellationToken) {
        let mut look = 0_u32;
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            if !self.is_loaded() {
                continue;
            }
            look = look.wrapping_add(1);
            let mut outcomes =
                vec![self.refresh_model().await, self.infer_more().await, self.refresh_texts().await];
            // A shop's first events show at the next look.
            if look.is_multiple_of(LOOKS_A_COUNT) || !self.shelf().has_popularity() {
                outcomes.push(self.refresh_popular().await);
            }
            for cause in outcomes.into_iter().filter_map(Result::err) {
                tracing::warn!(cause = format!("{cause:#}"), "what serves could not be brought up to date");
            }
        }
    }
}
