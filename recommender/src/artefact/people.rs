//! What was learnt of people, kept beside the models.

use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::Artefacts;
use crate::people::People;

fn path(version: &str) -> Path {
    Path::from(format!("{version}/people.json"))
}

impl Artefacts {
    /// Stores what was learnt of people whole.
    pub async fn put_people(&self, people: &People) -> anyhow::Result<()> {
        self.store.put(&path(&people.version), serde_json::to_vec(people)?.into()).await?;
        Ok(())
    }

    /// Loads what was learnt of people.
    pub async fn get_people(&self, version: &str) -> anyhow::Result<People> {
        let bytes = self.store.get(&path(version)).await?.bytes().await?;
        Ok(tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes)).await??)
    }
}
