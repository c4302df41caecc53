//! EASEᴿ (Steck 2019): the item-to-item table with a zero diagonal that gives the interactions back best, in closed
//! form: B = −P / diag(P) off the diagonal, with P = (XᵀX + λI)⁻¹ (eq. 8).

use serde::{Deserialize, Serialize};

use super::neighbours::{Neighbours, cut_dense};
use super::{Algorithm, Field, Fields, FitError, Histories, Settings};
use crate::factorise::Watch;
use crate::matrix::Inverse;

/// Items at most: the inverse of 13 000 takes 0.7 GB and, on two cores, half a minute.
pub const MOST_ITEMS: usize = 13_000;

/// Parameters of EASE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EaseSettings {
    /// λ, in events.
    pub ridge: f64,
    /// Entries kept of each past item, the largest by size.
    pub neighbours: usize,
    /// An entry of `n` visits ago weighs e^(−recency·n).
    pub recency: f64,
}

impl Default for EaseSettings {
    fn default() -> Self {
        Self { ridge: 400.0, neighbours: 1_000, recency: 0.2 }
    }
}

impl Fields for EaseSettings {
    const FIELDS: &'static [Field<Self>] = &[
        Field::real("ridge", 1e-3, 1e9, |s| s.ridge, |s, x| s.ridge = x),
        Field::whole("neighbours", 1.0, 100_000.0, |s| s.neighbours as f64, |s, x| s.neighbours = x as usize),
        Field::real("recency", 0.0, 100.0, |s| s.recency, |s, x| s.recency = x),
    ];
}

pub(super) fn fit(
    histories: &Histories,
    settings: &EaseSettings,
    watch: Watch,
) -> Result<Neighbours, FitError> {
    let items = histories.items;
    if items > MOST_ITEMS {
        return Err(FitError::TooManyItems { algorithm: Algorithm::Ease, items, most: MOST_ITEMS });
    }
    let matrix = histories.matrix()?;
    let popularity = matrix.column_counts().into_iter().map(|count| count as f32).collect();
    let mut gram = matrix.gram();
    gram.diag_mut().mapv_inplace(|value| value + settings.ridge as f32);
    (watch.report)(0.1);
    let mut table = Inverse::of(gram, watch)?.whole();
    (watch.report)(0.9);
    let scales: Vec<f32> = table.diag().iter().map(|value| -1.0 / value).collect();
    for (item, mut row) in table.rows_mut().into_iter().enumerate() {
        row.iter_mut().zip(&scales).for_each(|(value, scale)| *value *= scale);
        row[item] = 0.0;
    }
    let table = cut_dense(&table, settings.neighbours);
    Ok(Neighbours::new(Settings::Ease(settings.clone()), table, popularity))
}
