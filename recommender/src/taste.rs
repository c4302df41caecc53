//! The fitted model of tastes: a ridge regression of what a person takes on what the person took before,
//! in the leading singular directions of the people × items matrix.
//!
//! With X·D⁻ˢ ≈ U·diag(σ)·Vᵀ, D the items' popularity norms, item `i` in a history adds `w_i · F_i·F_j` to
//! the score of item `j`, where `F = V·diag(√(σ² / (σ² + λ)))`. λ = 0 and s = 0 is PureSVD (Cremonesi and
//! others 2010), s > 0 is `EigenRec` (Nikolakopoulos and others 2019), and dividing by 1 − F_j·F_j is the
//! zero diagonal of EASE (Steck 2019) within the subspace. Scores are linear in the history, so new events
//! fold in without training and each past item's term is its share of the reason.

mod settings;
mod spectrum;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use crate::algorithm::{
    Cause, FitError, Histories, Model, NotAModel, Past, Settings, Share, StoredTensors, Tensors, leading,
    recent, sorted,
};
use crate::factorise::Watch;
use crate::matrix::Panels;
pub use settings::TasteSettings;
pub use spectrum::Spectrum;

/// A fitted model: serves, explains and is stored whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Taste {
    settings: TasteSettings,
    /// One row an item: n_items × k, `V·diag(√(σ² / (σ² + λ)))`.
    item_factors: Array2<f32>,
    /// People who took each item, n_items long; 0 for an item nobody took, whose scores are all 0.
    popularity: Vec<f32>,
    /// Singular values of the scaled matrix, k long, descending.
    singular_values: Vec<f32>,
    /// What an item's weight in a history is multiplied by.
    input: Vec<f32>,
    /// What an item's score is multiplied by.
    output: Vec<f32>,
    /// `item_factors` times `output`, laid out for scoring all items at once.
    panels: Panels,
}

impl Taste {
    /// Fits a model to whole histories. Runs on rayon's threads.
    ///
    /// # Errors
    /// A setting out of range, too little to learn from, or cancellation.
    pub fn of(histories: &Histories, settings: &TasteSettings, watch: Watch) -> Result<Self, FitError> {
        Spectrum::of(&histories.matrix()?, settings, watch)?.taste(settings)
    }

    /// The model that was stored.
    pub(crate) fn read(settings: TasteSettings, stored: &StoredTensors) -> Result<Self, NotAModel> {
        let item_factors = stored.matrix("item_factors")?;
        let (items, rank) = item_factors.dim();
        Ok(Self::assemble(
            settings,
            item_factors,
            stored.vector("popularity", items)?,
            stored.vector("singular_values", rank)?,
            stored.vector("input", items)?,
            stored.vector("output", items)?,
        ))
    }

    fn assemble(
        settings: TasteSettings,
        item_factors: Array2<f32>,
        popularity: Vec<f32>,
        singular_values: Vec<f32>,
        input: Vec<f32>,
        output: Vec<f32>,
    ) -> Self {
        // One order of memory, so that a stored model sums in the order it did.
        let item_factors = item_factors.as_standard_layout().into_owned();
        let panels = Panels::new(&item_factors, &output);
        Self { settings, item_factors, popularity, singular_values, input, output, panels }
    }

    /// A person's vector: the sum of the past's factors.
    fn person(&self, past: &[Past]) -> Array1<f32> {
        let mut person = Array1::zeros(self.item_factors.ncols());
        for (item, weight) in self.entries(past) {
            person.scaled_add(weight, &self.item_factors.row(item as usize));
        }
        person
    }

    /// The damped, scaled entries of a past that the model knows, each item once.
    fn entries(&self, past: &[Past]) -> impl Iterator<Item = (u32, f32)> {
        recent(past, self.item_factors.nrows()).into_iter().map(|one| {
            (one.item, one.weight * self.settings.damping(one.age) * self.input[one.item as usize])
        })
    }
}

impl Model for Taste {
    fn settings(&self) -> Settings {
        Settings::Svd(self.settings.clone())
    }

    fn popularity(&self) -> &[f32] {
        &self.popularity
    }

    fn score_into(&self, past: &[Past], out: &mut [f32]) {
        self.panels.score_into(&self.person(past).to_vec(), out);
    }

    fn shares(&self, past: &[Past], items: &[u32]) -> Vec<Vec<Share>> {
        let entries: Vec<(u32, f32)> = self.entries(past).collect();
        let share = |item: u32| {
            let target = self.item_factors.row(item as usize);
            let parts = entries.iter().map(|&(past, weight)| Share {
                cause: Cause::Item(past),
                value: weight
                    * self.item_factors.row(past as usize).dot(&target)
                    * self.output[item as usize],
            });
            sorted(parts.collect())
        };
        let known = |item: &u32| (*item as usize) < self.item_factors.nrows();
        items.iter().map(|item| if known(item) { share(*item) } else { Vec::new() }).collect()
    }

    fn similar(&self, item: u32, limit: usize, listed: &dyn Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let mut alike = crate::matrix::cosines(self.item_factors.view(), item);
        alike.retain(|(other, _)| listed(*other));
        leading(alike, limit)
    }

    fn factors(&self) -> Option<ArrayView2<'_, f32>> {
        Some(self.item_factors.view())
    }

    fn person_factors(&self, past: &[Past]) -> Option<Array1<f32>> {
        Some(self.person(past))
    }

    fn shares_of_row(&self, past: &[Past], row: ArrayView1<f32>) -> Vec<Share> {
        let parts = self.entries(past).map(|(past, weight)| Share {
            cause: Cause::Item(past),
            value: weight * self.item_factors.row(past as usize).dot(&row),
        });
        sorted(parts.collect())
    }

    fn with_recency(&self, recency: f64) -> Box<dyn Model> {
        Box::new(Self { settings: TasteSettings { recency, ..self.settings.clone() }, ..self.clone() })
    }

    fn store(&self, tensors: &mut Tensors) {
        tensors.matrix("item_factors", &self.item_factors);
        tensors.vector("popularity", &self.popularity);
        tensors.vector("singular_values", &self.singular_values);
        tensors.vector("input", &self.input);
        tensors.vector("output", &self.output);
    }
}

#[cfg(test)]
mod tests;
