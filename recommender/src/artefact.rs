//! Models in the object store: immutable, one folder a model.

use std::path::Path as Folder;
use std::sync::Arc;

use anyhow::Context as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::algorithm::{Model, from_safetensors, to_safetensors};
use crate::cold::{NgramMap, TextMap};
use crate::people::People;
use crate::signals::Signals;
use crate::store::Card;

/// A model and the items its columns stand for.
#[derive(Debug)]
pub struct Artefact {
    /// The fitted model.
    pub model: Box<dyn Model>,
    /// Id of the item of each column.
    pub item_ids: Vec<String>,
    /// What maps the encoder's vector of an item's text to the model's factors, where one was learnt.
    pub texts: Option<TextMap>,
    /// What maps the character n-grams of an item's text to the model's factors, where one was learnt.
    pub ngrams: Option<NgramMap>,
    /// How much events tell, where it was learnt and is not as configured.
    pub signals: Option<Signals>,
    /// What was learnt of people in the same run: segments and intent. None in artefacts of earlier versions.
    pub people: Option<Arc<People>>,
}

mod people;

/// Where a model's map of texts is kept.
const TEXTS: &str = "texts.safetensors";
/// Where a model's map of n-grams is kept.
const NGRAMS: &str = "ngrams.safetensors";
/// Where weights of events that were learnt are kept.
const SIGNALS: &str = "signals.json";
/// Where what was learnt of people is kept.
const PEOPLE: &str = "people.json";

/// Where models are kept; cheap to clone.
#[derive(Clone)]
pub struct Artefacts {
    store: Arc<dyn ObjectStore>,
}

impl Artefacts {
    /// Models below `folder`, which is made where it is missing.
    pub fn open(folder: &Folder) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store) })
    }

    /// Stores a model whole.
    pub async fn put(&self, card: &Card, artefact: Artefact) -> anyhow::Result<()> {
        let id = &card.model_id;
        let Artefact { model, item_ids, texts, ngrams, signals, people } = artefact;
        let tensors = tokio::task::spawn_blocking(move || to_safetensors(model.as_ref())).await??;
        let facts = serde_json::json!({
            "model_id": id, "algorithm": card.algorithm.as_str_name(), "parameters": card.parameters,
            "metrics": card.metrics, "created_at": card.created_at,
        });
        let items = serde_json::to_vec(&item_ids)?;
        self.store.put(&Path::from(format!("{id}/model.safetensors")), tensors.into()).await?;
        self.store.put(&Path::from(format!("{id}/items.json")), items.into()).await?;
        if let Some(texts) = texts {
            let texts = texts.to_safetensors()?;
            self.store.put(&Path::from(format!("{id}/{TEXTS}")), texts.into()).await?;
        }
        if let Some(ngrams) = ngrams {
            let ngrams = ngrams.to_safetensors()?;
            self.store.put(&Path::from(format!("{id}/{NGRAMS}")), ngrams.into()).await?;
        }
        if let Some(signals) = signals {
            let signals = serde_json::to_vec_pretty(&signals)?;
            self.store.put(&Path::from(format!("{id}/{SIGNALS}")), signals.into()).await?;
        }
        if let Some(people) = people {
            let people = tokio::task::spawn_blocking(move || serde_json::to_vec(people.as_ref())).await??;
            self.store.put(&Path::from(format!("{id}/{PEOPLE}")), people.into()).await?;
        }
        self.store
            .put(&Path::from(format!("{id}/card.json")), serde_json::to_vec_pretty(&facts)?.into())
            .await?;
        Ok(())
    }

    /// Loads a model.
    pub async fn get(&self, model_id: &str) -> anyhow::Result<Artefact> {
        let read = |name: &str| {
            let path = Path::from(format!("{model_id}/{name}"));
            async move { anyhow::Ok(self.store.get(&path).await?.bytes().await?) }
        };
        let may = |name: &str| {
            let path = Path::from(format!("{model_id}/{name}"));
            async move {
                match self.store.get(&path).await {
                    Ok(found) => anyhow::Ok(Some(found.bytes().await?)),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(cause) => Err(cause.into()),
                }
            }
        };
        let (model, items) = (read("model.safetensors").await?, read("items.json").await?);
        let model = tokio::task::spawn_blocking(move || from_safetensors(&model)).await??;
        let item_ids: Vec<String> = serde_json::from_slice(&items)?;
        anyhow::ensure!(
            item_ids.len() == model.items(),
            "{model_id}: {} names for {} columns",
            item_ids.len(),
            model.items()
        );
        let texts = may(TEXTS).await?.map(|bytes| TextMap::from_safetensors(&bytes)).transpose()?;
        let ngrams = may(NGRAMS).await?.map(|bytes| NgramMap::from_safetensors(&bytes)).transpose()?;
        let signals = may(SIGNALS).await?.map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
        let factors = model.factors().map(|all| all.ncols());
        for mapped in [texts.as_ref().map(TextMap::factors), ngrams.as_ref().map(NgramMap::factors)] {
            anyhow::ensure!(
                mapped.is_none() || mapped == factors,
                "{model_id}: texts map to {mapped:?} factors, the model has {factors:?}"
            );
        }
        let people = match may(PEOPLE).await? {
            Some(bytes) => Some(Arc::new(people::read(bytes).await?)),
            None => None,
        };
        Ok(Artefact { model, item_ids, texts, ngrams, signals, people })
    }
}
