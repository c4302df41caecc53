//! The algorithms, each behind one trait: fitted to histories, they score every item for a past, say what carried
//! a score.
//!
//! All of them take a past that goes on after the fit: one more event changes the next score without training.

mod als;
mod blend;
mod ease;
mod item_knn;
mod neighbours;
mod past;
mod popularity;
mod settings;
mod stored;
mod transition;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use ndarray::{Array1, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

pub use als::{Als, AlsSettings};
pub(crate) use blend::inverse_spread;
pub use blend::{Blend, BlendSettings, Part};
pub use ease::{EaseSettings, MOST_ITEMS as EASE_MOST_ITEMS};
pub use item_knn::ItemKnnSettings;
pub use neighbours::Neighbours;
pub(crate) use past::recent;
pub use past::{Histories, Past};
pub use popularity::{Popularity, PopularitySettings};
pub(crate) use settings::Fields;
pub use settings::{Field, Settings};
pub use stored::{NotAModel, StoredTensors, Tensors, from_safetensors, to_safetensors};
pub use transition::{JOINT_MOST_ITEMS, TransitionSettings};

use crate::factorise::{SvdError, Watch};
use crate::matrix::MatrixError;
use crate::taste::Taste;

/// The algorithms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Truncated singular value decomposition, scaled, recent events heavier (`PureSVD`, `EigenRec`).
    Svd,
    /// Alternating least squares of implicit feedback (Hu, Koren and Volinsky 2008).
    Als,
    /// Embarrassingly shallow autoencoder (Steck 2019).
    Ease,
    /// Item-based nearest neighbours by cosine or BM25.
    ItemKnn,
    /// What was taken after what: counts of a first-order chain, or one regression of all (Choe and others 2021).
    Transition,
    /// People an item.
    Popularity,
    /// A weighted sum of the others (Caruana and others 2004).
    Blend,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Svd => "svd",
            Self::Als => "als",
            Self::Ease => "ease",
            Self::ItemKnn => "item-knn",
            Self::Transition => "transition",
            Self::Popularity => "popularity",
            Self::Blend => "blend",
        })
    }
}

/// A model was refused, not reached or not read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// A parameter lies outside its range.
    #[error("{field}: {value} is outside {range}")]
    Setting {
        /// Name of the parameter.
        field: String,
        /// What was given.
        value: f64,
        /// What is allowed.
        range: String,
    },
    /// There is no such parameter.
    #[error("{field} is not a parameter of {algorithm}; there are: {known}")]
    Unknown {
        /// The name given.
        field: String,
        /// The algorithm.
        algorithm: Algorithm,
        /// The names there are.
        known: String,
    },
    /// The interactions do not make a matrix.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    /// There is too little to learn from.
    #[error("{what} to learn from; {needed}")]
    TooLittle {
        /// What there is.
        what: String,
        /// What is missing.
        needed: &'static str,
    },
    /// The catalogue is too large for a closed form.
    #[error("{algorithm} inverts a matrix as wide as the catalogue: {items} items are more than {most}")]
    TooManyItems {
        /// The algorithm.
        algorithm: Algorithm,
        /// Items there are.
        items: usize,
        /// Items at most.
        most: usize,
    },
    /// The matrix could not be factorised.
    #[error(transparent)]
    Svd(SvdError),
    /// The caller no longer wants the answer.
    #[error("cancelled")]
    Cancelled,
}

impl From<SvdError> for FitError {
    fn from(error: SvdError) -> Self {
        match error {
            SvdError::Cancelled => Self::Cancelled,
            other => Self::Svd(other),
        }
    }
}

/// What carried a part of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An item of the person's own past.
    Item(u32),
    /// That many people took the item.
    Popularity,
}

/// A part of a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// What carried it.
    pub cause: Cause,
    /// How much of the score it is.
    pub value: f32,
}

/// A fitted model.
pub trait Model: fmt::Debug + Send + Sync {
    /// What it was fitted with.
    fn settings(&self) -> Settings;

    /// People who took each item, one number an item; 0 for an item nobody took, of which the model knows nothing.
    fn popularity(&self) -> &[f32];

    /// Scores every item for a past, the oldest first; `out` has a place an item.
    ///
    /// # Panics
    /// `out` has another length.
    fn score_into(&self, past: &[Past], out: &mut [f32]);

    /// What carried the scores of `items`, the largest share first; the shares of an item sum to its score.
    fn shares(&self, past: &[Past], items: &[u32]) -> Vec<Vec<Share>>;

    /// The items most like `item`, the most alike first, itself left out: by the cosine of their factors where the
    /// model has factors, else by their scores for somebody who took `item` alone. At most `limit` of those that
    /// `listed` lets through. Empty where the model does not know `item`.
    fn similar(&self, item: u32, limit: usize, listed: &dyn Fn(u32) -> bool) -> Vec<(u32, f32)> {
        if item as usize >= self.items() {
            return Vec::new();
        }
        let mut scores = vec![0.0; self.items()];
        self.score_into(&[Past { item, weight: 1.0, step: 0 }], &mut scores);
        let alike =
            (0_u32..).zip(scores).filter(|&(other, score)| other != item && score > 0.0 && listed(other));
        leading(alike.collect(), limit)
    }

    /// One row an item, where likeness of items is that of factors.
    fn factors(&self) -> Option<ArrayView2<'_, f32>> {
        None
    }

    /// The person's own factors: their inner product with a row in the space of [`Model::factors`] scores an item
    /// that the model has no column for. Nothing where the model has no factors or the past tells it nothing.
    fn person_factors(&self, past: &[Past]) -> Option<Array1<f32>> {
        let _ = past;
        None
    }

    /// What carried the score of such an item, the largest share first; the shares sum to the score.
    fn shares_of_row(&self, past: &[Past], row: ArrayView1<f32>) -> Vec<Share> {
        let _ = (past, row);
        Vec::new()
    }

    /// The same model with another damping of what is past.
    fn with_recency(&self, recency: f64) -> Box<dyn Model>;

    /// Adds all that the model serves with, beside its settings.
    fn store(&self, tensors: &mut Tensors);

    /// Number of items, known or not.
    fn items(&self) -> usize {
        self.popularity().len()
    }

    /// Its kind.
    fn algorithm(&self) -> Algorithm {
        self.settings().algorithm()
    }
}

/// Fits the model that `settings` ask for. Runs on rayon's threads.
///
/// # Errors
/// A setting out of range, weights that are not finite, too little to learn from, a catalogue too large, or
/// cancellation.
pub fn fit(settings: &Settings, histories: &Histories, watch: Watch) -> Result<Box<dyn Model>, FitError> {
    settings.check()?;
    Ok(match settings {
        Settings::Svd(settings) => Box::new(Taste::of(histories, settings, watch)?),
        Settings::Als(settings) => Box::new(als::fit(histories, settings, watch)?),
        Settings::Ease(settings) => Box::new(ease::fit(histories, settings, watch)?),
        Settings::ItemKnn(settings) => Box::new(item_knn::fit(histories, settings, watch)?),
        Settings::Transition(settings) => Box::new(transition::fit(histories, settings, watch)?),
        Settings::Popularity(settings) => Box::new(popularity::fit(histories, *settings)?),
        Settings::Blend(settings) => Box::new(blend::fit(histories, settings, watch)?),
    })
}

/// The `limit` largest by score, the lower index first among equals.
pub(crate) fn leading(mut scored: Vec<(u32, f32)>, limit: usize) -> Vec<(u32, f32)> {
    let order = |x: &(u32, f32), y: &(u32, f32)| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0));
    if scored.len() > limit && limit > 0 {
        scored.select_nth_unstable_by(limit - 1, order);
    }
    scored.truncate(limit);
    scored.sort_unstable_by(order);
    scored
}

/// Shares in the order they are told in.
pub(crate) fn sorted(mut shares: Vec<Share>) -> Vec<Share> {
    let place = |share: &Share| match share.cause {
        Cause::Item(item) => u64::from(item),
        Cause::Popularity => u64::MAX,
    };
    shares.sort_by(|x, y| y.value.total_cmp(&x.value).then(place(x).cmp(&place(y))));
    shares
}

/// Shares of several models as those of their sum: what one cause carried in each is added up.
pub(crate) fn merged(shares: impl IntoIterator<Item = Share>) -> Vec<Share> {
    let mut places: HashMap<Cause, usize> = HashMap::new();
    let mut sums: Vec<Share> = Vec::new();
    for share in shares {
        match places.entry(share.cause) {
            Entry::Occupied(place) => sums[*place.get()].value += share.value,
            Entry::Vacant(place) => {
                place.insert(sums.len());
                sums.push(share);
            }
        }
    }
    sorted(sums)
}

#[cfg(test)]
pub(crate) mod tests;
