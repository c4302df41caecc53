//! The model of tastes among the other algorithms: ages are visits, not items.

use super::{Spectrum, Taste, TasteSettings};
use crate::algorithm::{Cause, FitError, Histories, Model, Past, Settings, Share, leading, recent, sorted};
use crate::factorise::Watch;

impl Taste {
    /// Fits a model to whole histories.
    ///
    /// # Errors
    /// A setting out of range, too little to learn from, or cancellation.
    pub(crate) fn of(
        histories: &Histories,
        settings: &TasteSettings,
        watch: Watch,
    ) -> Result<Self, FitError> {
        Ok(Spectrum::of(&histories.matrix()?, settings, watch)?.taste(settings)?)
    }

    fn entries(&self, past: &[Past]) -> impl Iterator<Item = (u32, f32)> {
        recent(past, self.item_factors.nrows()).into_iter().map(|one| {
            (one.item, one.weight * self.settings.damping(one.age as usize) * self.input[one.item as usize])
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
        let mut person = vec![0.0; self.rank()];
        for (item, weight) in self.entries(past) {
            for (sum, factor) in person.iter_mut().zip(self.item_factors.row(item as usize)) {
                *sum += weight * factor;
            }
        }
        self.panels.score_into(&person, out);
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

    fn similar(&self, item: u32, limit: usize) -> Vec<(u32, f32)> {
        leading(crate::matrix::cosines(self.item_factors.view(), item), limit)
    }

    fn with_recency(&self, recency: f64) -> Box<dyn Model> {
        Box::new(Self { settings: TasteSettings { recency, ..self.settings.clone() }, ..self.clone() })
    }
}
