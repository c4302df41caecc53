//! What most people took: the same for everybody, and the least any other model must beat.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Cause, Field, Fields, FitError, Histories, Model, NotAModel, Past, Settings, Share, StoredTensors,
    Tensors,
};

/// Popularity has no parameters.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PopularitySettings {}

impl Fields for PopularitySettings {
    const FIELDS: &'static [Field<Self>] = &[];
}

/// People an item, and nothing else.
#[derive(Debug, Clone)]
pub struct Popularity {
    counts: Arc<Vec<f32>>,
}

pub(super) fn fit(histories: &Histories, _: PopularitySettings) -> Result<Popularity, FitError> {
    let counts = histories.matrix()?.column_counts().into_iter().map(|count| count as f32).collect();
    Ok(Popularity { counts: Arc::new(counts) })
}

impl Popularity {
    /// The model that was stored.
    pub(super) fn read(stored: &StoredTensors) -> Result<Self, NotAModel> {
        Ok(Self { counts: Arc::new(stored.vector_of_any_length("popularity")?) })
    }
}

impl Model for Popularity {
    fn settings(&self) -> Settings {
        Settings::Popularity(PopularitySettings {})
    }

    fn popularity(&self) -> &[f32] {
        &self.counts
    }

    fn score_into(&self, _: &[Past], out: &mut [f32]) {
        out.copy_from_slice(&self.counts);
    }

    fn shares(&self, _: &[Past], items: &[u32]) -> Vec<Vec<Share>> {
        let share = |item: &u32| {
            let value = self.counts.get(*item as usize).copied().unwrap_or(0.0);
            vec![Share { cause: Cause::Popularity, value }]
        };
        items.iter().map(share).collect()
    }

    /// Nothing: popularity tells no likeness.
    fn similar(&self, _: u32, _: usize, _: &dyn Fn(u32) -> bool) -> Vec<(u32, f32)> {
        Vec::new()
    }

    fn with_recency(&self, _: f64) -> Box<dyn Model> {
        Box::new(self.clone())
    }

    fn store(&self, tensors: &mut Tensors) {
        tensors.vector("popularity", &self.counts);
    }
}
