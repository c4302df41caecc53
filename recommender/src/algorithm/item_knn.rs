//! Item-based nearest neighbours: cosine (Sarwar and others 2001) with each side's norm to a power of its own
//! (Aiolli 2013), or BM25 weights (Robertson and Walker 1994) with people as documents and items as terms.

use super::neighbours::{Neighbours, table};
use super::{Field, Fields, FitError, Histories, Settings};
use crate::factorise::Watch;
use crate::matrix::Csr;
use serde::{Deserialize, Serialize};

/// Parameters of item-kNN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ItemKnnSettings {
    /// Neighbours kept of each item.
    pub neighbours: usize,
    /// k₁ of BM25: how slowly a count saturates; 0 leaves counts as they are (cosine).
    pub k1: f64,
    /// b of BM25: how much a long history is discounted, 0 to 1.
    pub b: f64,
    /// The power of the past item's norm that likeness is divided by; 1 on both sides is the cosine.
    pub past_norm: f64,
    /// The power of the scored item's norm.
    pub norm: f64,
    /// An entry of `n` visits ago weighs e^(−recency·n).
    pub recency: f64,
}

impl Default for ItemKnnSettings {
    fn default() -> Self {
        Self { neighbours: 400, k1: 0.0, b: 0.0, past_norm: 1.0, norm: 1.0, recency: 0.2 }
    }
}

impl Fields for ItemKnnSettings {
    const FIELDS: &'static [Field<Self>] = &[
        Field::whole("neighbours", 1.0, 100_000.0, |s| s.neighbours as f64, |s, x| s.neighbours = x as usize),
        Field::real("k1", 0.0, 100.0, |s| s.k1, |s, x| s.k1 = x),
        Field::real("b", 0.0, 1.0, |s| s.b, |s, x| s.b = x),
        Field::real("past_norm", 0.0, 2.0, |s| s.past_norm, |s, x| s.past_norm = x),
        Field::real("norm", 0.0, 2.0, |s| s.norm, |s, x| s.norm = x),
        Field::real("recency", 0.0, 100.0, |s| s.recency, |s, x| s.recency = x),
    ];
}

pub(super) fn fit(
    histories: &Histories,
    settings: &ItemKnnSettings,
    watch: Watch,
) -> Result<Neighbours, FitError> {
    let counts = histories.matrix()?;
    let popularity: Vec<f32> = counts.column_counts().into_iter().map(|count| count as f32).collect();
    let weighted = if settings.k1 > 0.0 { bm25(&counts, settings.k1, settings.b) } else { counts };
    let columns = weighted.transpose();
    let norms: Vec<f64> = (0..columns.rows())
        .map(|item| columns.row(item).map(|(_, value)| f64::from(value).powi(2)).sum::<f64>().sqrt())
        .collect();
    let power = |item: u32, exponent: f64| norms[item as usize].max(f64::MIN_POSITIVE).powf(exponent);
    let similarities = table(histories.items, settings.neighbours, watch, |item, sums| {
        let past = power(item, settings.past_norm);
        for (person, mine) in columns.row(item as usize) {
            for (other, theirs) in weighted.row(person) {
                if other as u32 != item {
                    sums.add(other as u32, mine * theirs);
                }
            }
        }
        sums.scale(|other, sum| (f64::from(sum) / (past * power(other, settings.norm))) as f32);
    })?;
    Ok(Neighbours::new(Settings::ItemKnn(settings.clone()), similarities, popularity))
}

/// idf · tf·(k₁ + 1) / (tf + k₁·(1 − b + b·length / mean length)).
fn bm25(counts: &Csr, k1: f64, b: f64) -> Csr {
    let people = counts.rows() as f64;
    let idf: Vec<f64> =
        counts.column_counts().into_iter().map(|n| (people / f64::from(n.max(1))).ln_1p()).collect();
    let lengths: Vec<f64> =
        (0..counts.rows()).map(|row| counts.row(row).map(|x| f64::from(x.1)).sum::<f64>()).collect();
    let mean = lengths.iter().sum::<f64>() / people.max(1.0);
    counts.clone().map(|row, column, count| {
        let tf = f64::from(count);
        let saturated = tf * (k1 + 1.0) / (tf + k1 * (1.0 - b + b * lengths[row] / mean));
        (idf[column] * saturated) as f32
    })
}
