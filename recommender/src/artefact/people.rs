//! What was learnt of people, in a model's artefact or, of earlier versions, beside it.

use anyhow::Context as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::{Artefacts, PEOPLE};
use crate::people::People;

/// Decodes what was learnt of people.
pub(super) async fn read(bytes: impl AsRef<[u8]> + Send + 'static) -> anyhow::Result<People> {
    let people = tokio::task::spawn_blocking(move || serde_json::from_slice(bytes.as_ref())).await?;
    people.with_context(|| format!("{PEOPLE} was written by another version: train anew"))
}

impl Artefacts {
    /// Loads what an earlier version learnt of people and stored apart from the models.
    pub async fn get_people(&self, version: &str) -> anyhow::Result<People> {
        read(self.store.get(&Path::from(format!("{version}/{PEOPLE}"))).await?.bytes().await?).await
    }
}
