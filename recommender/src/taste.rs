//! The fitted model of tastes: a ridge regression of what a person takes on what the person took before,
//! in the leading singular directions of the people × items matrix.
//!
//! With X·D⁻ˢ ≈ U·diag(σ)·Vᵀ, D the items' popularity norms, item `i` in a history adds `w_i · F_i·F_j` to
//! the score of item `j`, where `F = V·diag(√(σ² / (σ² + λ)))`. λ = 0 and s = 0 is PureSVD (Cremonesi and
//! others 2010), s > 0 is `EigenRec` (Nikolakopoulos and others 2019), and dividing by 1 − F_j·F_j is the
//! zero diagonal of EASE (Steck 2019) within the subspace. Scores are linear in the history, so new events
//! fold in without training and each past item's term is its share of the reason.

mod artefact;
mod history;
mod model;
mod settings;
mod spectrum;

use ndarray::Array2;

use crate::factorise::{SvdError, Watch};
use crate::matrix::{MatrixError, Panels};
use history::{damped, recent};
pub(crate) use settings::FIELDS;
pub use settings::TasteSettings;
pub use spectrum::{Spectrum, matrix_of};

/// A person did something with an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction {
    /// Row of the person, from 0.
    pub user: u32,
    /// Column of the item, from 0.
    pub item: u32,
    /// How much it tells: 1 for an ordinary event; repeats of a person and item are added up.
    pub weight: f32,
    /// Time in seconds, or any number that grows with time.
    pub at: i64,
}

/// A model was refused, not reached or not read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TasteError {
    /// A setting lies outside its range.
    #[error("{field}: {value} is outside {range}")]
    Setting {
        /// Name of the setting.
        field: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// The interactions do not make a matrix.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// The matrix could not be factorised.
    #[error(transparent)]
    Svd(#[from] SvdError),
    /// The bytes are not a model of tastes.
    #[error("not a model of tastes: {0}")]
    Artefact(String),
}

/// A fitted model: serves, explains and is stored whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Taste {
    /// What it was fitted with.
    pub settings: TasteSettings,
    /// One row an item: n_items × k, `V·diag(√(σ² / (σ² + λ)))`.
    pub item_factors: Array2<f32>,
    /// People who took each item, n_items long; 0 for an item nobody took, whose scores are all 0.
    pub popularity: Vec<f32>,
    /// Singular values of the scaled matrix, k long, descending.
    pub singular_values: Vec<f32>,
    /// What an item's weight in a history is multiplied by.
    input: Vec<f32>,
    /// What an item's score is multiplied by.
    output: Vec<f32>,
    /// `item_factors` times `output`, laid out for scoring all items at once.
    panels: Panels,
}

impl Taste {
    /// Fits a model to what `users` people did with `items` items. Runs on rayon's threads.
    ///
    /// `progress` hears the share done, 0 to 1, and the stage.
    ///
    /// # Errors
    /// A setting out of range, an interaction outside the shape or not finite, or nothing to learn from.
    pub fn fit(
        interactions: &[Interaction],
        users: usize,
        items: usize,
        settings: &TasteSettings,
        progress: &(dyn Fn(f64, &str) + Sync),
    ) -> Result<Self, TasteError> {
        Self::fit_until(interactions, users, items, settings, progress, &|| false)
    }

    /// [`Taste::fit`] that stops with [`SvdError::Cancelled`] soon after `cancelled` says so.
    ///
    /// # Errors
    /// As [`Taste::fit`], and cancellation.
    pub fn fit_until(
        interactions: &[Interaction],
        users: usize,
        items: usize,
        settings: &TasteSettings,
        progress: &(dyn Fn(f64, &str) + Sync),
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, TasteError> {
        settings.check()?;
        progress(0.0, "matrix");
        let matrix = matrix_of(interactions, users, items)?;
        progress(0.1, "factors");
        let report = |share: f64| progress(0.1 + 0.8 * share, "factors");
        let watch = Watch { report: &report, cancelled };
        let spectrum = Spectrum::of(&matrix, settings, watch)?;
        progress(0.9, "model");
        let taste = spectrum.taste(settings)?;
        progress(1.0, "model");
        Ok(taste)
    }

    /// Number of items, known or not.
    pub fn items(&self) -> usize {
        self.item_factors.nrows()
    }

    /// Length of a person's vector, k.
    pub fn rank(&self) -> usize {
        self.item_factors.ncols()
    }

    /// A person's vector, k long, from a history of (item, weight), oldest first.
    ///
    /// Repeats of an item count as one entry with their weights added, at the place of the newest; the entry
    /// `n` distinct items from the newest is damped by [`TasteSettings::recency`]. Items the model does not
    /// know are left out.
    pub fn fold(&self, history: &[(u32, f32)]) -> Vec<f32> {
        let mut person = vec![0.0; self.rank()];
        for (item, weight) in self.inputs(history) {
            for (sum, factor) in person.iter_mut().zip(self.item_factors.row(item as usize)) {
                *sum += weight * factor;
            }
        }
        person
    }

    /// The weight to give an event so that it counts `scale` times what one of `weight` does; see the damping of
    /// repeats.
    pub fn weighing(weight: f32, scale: f32) -> f32 {
        // Beyond 2⁶⁰ a float tells no difference.
        if weight > 0.0 { (damped(weight) * scale).min(60.0).exp2() - 1.0 } else { weight * scale }
    }

    /// The score of every item for a person of [`Taste::fold`]; `out` is n_items long.
    ///
    /// # Panics
    /// `person` is not k long or `out` not n_items.
    pub fn score_into(&self, person: &[f32], out: &mut [f32]) {
        self.panels.score_into(person, out);
    }

    /// What each item of the history adds to the score of `item`, the largest first; they sum to the score.
    /// Empty where the model does not know `item`.
    pub fn contributions(&self, history: &[(u32, f32)], item: u32) -> Vec<(u32, f32)> {
        let target = item as usize;
        if target >= self.items() {
            return Vec::new();
        }
        let factors = self.item_factors.row(target);
        let mut shares: Vec<(u32, f32)> = self
            .inputs(history)
            .map(|(past, weight)| {
                (past, weight * self.item_factors.row(past as usize).dot(&factors) * self.output[target])
            })
            .collect();
        shares.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
        shares
    }

    /// The items most like `item` by the cosine of their factors, the most alike first, itself left out.
    /// Empty where nobody took `item` or the model does not know it.
    pub fn similar(&self, item: u32, limit: usize) -> Vec<(u32, f32)> {
        let target = item as usize;
        if target >= self.items() {
            return Vec::new();
        }
        let factors = self.item_factors.row(target);
        let norm = factors.dot(&factors).sqrt();
        let products = self.item_factors.dot(&factors);
        let mut alike: Vec<(u32, f32)> = (0..self.items())
            .filter(|&other| other != target)
            .filter_map(|other| {
                let row = self.item_factors.row(other);
                let size = row.dot(&row).sqrt() * norm;
                (size > 0.0).then(|| (other as u32, products[other] / size))
            })
            .collect();
        let order = |x: &(u32, f32), y: &(u32, f32)| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0));
        if alike.len() > limit && limit > 0 {
            alike.select_nth_unstable_by(limit - 1, order);
        }
        alike.truncate(limit);
        alike.sort_by(order);
        alike
    }

    /// The damped, scaled entries of a history that the model knows, each item once.
    fn inputs<'a>(&'a self, history: &'a [(u32, f32)]) -> impl Iterator<Item = (u32, f32)> + 'a {
        recent(history, self.items()).into_iter().map(|(item, weight, age)| {
            (item, weight * self.settings.damping(age) * self.input[item as usize])
        })
    }
}

#[cfg(test)]
mod tests;
