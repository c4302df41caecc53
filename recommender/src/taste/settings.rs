//! What a model of tastes is fitted with.

use serde::{Deserialize, Serialize};

use crate::algorithm::{Field, Fields};

/// Parameters of a fit; `recommender evaluate` chooses them on validation items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TasteSettings {
    /// Singular directions kept, at least 1; a matrix with a smaller side keeps as many as it has.
    pub rank: usize,
    /// s: columns are divided by their popularity norm to this power before factorising; 0 is `PureSVD`.
    pub item_scale: f64,
    /// The power of the popularity norm that scores are multiplied with: above 0 favours popular items.
    pub popular: f64,
    /// Ridge in units of the mean squared norm of a column; 0 keeps every direction whole.
    pub ridge: f64,
    /// Whether an item's score is divided by one minus its leverage, the part it would predict of itself.
    pub leverage: bool,
    /// β: an entry `n` visits before the newest weighs (1 + β·n)⁻ᵖ, or e^(−β·n) with p = 0.
    pub recency: f64,
    /// p of the damping: the larger, the lighter the tail; 0 for the exponential.
    pub tail: f64,
    /// Seed of the random start of the factorisation.
    pub seed: u64,
}

impl Fields for TasteSettings {
    const FIELDS: &'static [Field<Self>] = &[
        Field::whole("rank", 1.0, 1024.0, |s| s.rank as f64, |s, x| s.rank = x as usize),
        Field::real("item_scale", -2.0, 2.0, |s| s.item_scale, |s, x| s.item_scale = x),
        Field::real("popular", -2.0, 2.0, |s| s.popular, |s, x| s.popular = x),
        Field::real("ridge", 0.0, 1e9, |s| s.ridge, |s, x| s.ridge = x),
        Field::real("recency", 0.0, 100.0, |s| s.recency, |s, x| s.recency = x),
        Field::real("tail", 0.0, 100.0, |s| s.tail, |s, x| s.tail = x),
    ];
}

impl Default for TasteSettings {
    fn default() -> Self {
        Self {
            rank: 64,
            item_scale: 0.5,
            popular: 0.0,
            ridge: 1.0,
            leverage: true,
            recency: 0.1,
            tail: 0.0,
            seed: 42,
        }
    }
}

impl TasteSettings {
    /// What an entry of `age` visits before the newest weighs, 0 to 1.
    pub fn damping(&self, age: u32) -> f32 {
        let x = self.recency * f64::from(age);
        let weight = if self.tail > 0.0 { (1.0 + x).powf(-self.tail) } else { (-x).exp() };
        weight as f32
    }
}
