//! A model that is a table of weights from item to item: what EASE, item-kNN and transitions come to.

use std::sync::Arc;

use rayon::prelude::*;

use super::past::recent;
use super::{Cause, FitError, Model, NotAModel, Past, Settings, Share, StoredTensors, Tensors, sorted};
use crate::factorise::Watch;
use crate::matrix::Csr;

/// The score of an item is the sum, over the past, of weight × e^(−recency × age in visits) × the pair's entry.
#[derive(Debug, Clone)]
pub struct Neighbours {
    settings: Settings,
    recency: f64,
    /// Row: the past item; column: the scored one.
    table: Arc<Csr>,
    popularity: Arc<Vec<f32>>,
}

impl Neighbours {
    pub(super) fn new(settings: Settings, table: Csr, popularity: Vec<f32>) -> Self {
        let recency = settings.recency();
        Self { settings, recency, table: Arc::new(table), popularity: Arc::new(popularity) }
    }

    /// The model that was stored.
    pub(super) fn read(settings: Settings, stored: &StoredTensors) -> Result<Self, NotAModel> {
        let table = stored.sparse("table")?;
        let popularity = stored.vector("popularity", table.rows())?;
        Ok(Self::new(settings, table, popularity))
    }

    fn weight(&self, weight: f32, age: u32) -> f32 {
        weight * (-self.recency * f64::from(age)).exp() as f32
    }
}

impl Model for Neighbours {
    fn settings(&self) -> Settings {
        self.settings.clone()
    }

    fn popularity(&self) -> &[f32] {
        &self.popularity
    }

    fn score_into(&self, past: &[Past], out: &mut [f32]) {
        assert_eq!(out.len(), self.items(), "a place an item");
        out.fill(0.0);
        for one in recent(past, self.items()) {
            let weight = self.weight(one.weight, one.age);
            self.table.row(one.item as usize).for_each(|(column, value)| out[column] += weight * value);
        }
    }

    fn shares(&self, past: &[Past], items: &[u32]) -> Vec<Vec<Share>> {
        let past = recent(past, self.items());
        let share = |item: u32| {
            let parts = past.iter().filter_map(|one| {
                let value =
                    self.weight(one.weight, one.age) * self.table.get(one.item as usize, item as usize)?;
                Some(Share { cause: Cause::Item(one.item), value })
            });
            sorted(parts.collect())
        };
        items.iter().map(|&item| share(item)).collect()
    }

    fn with_recency(&self, recency: f64) -> Box<dyn Model> {
        let settings = self.settings.clone().with_recency(recency);
        Box::new(Self { settings, recency, ..self.clone() })
    }

    fn store(&self, tensors: &mut Tensors) {
        tensors.sparse("table", &self.table);
        tensors.vector("popularity", &self.popularity);
    }
}

/// Sums by column of one row in the making.
pub(super) struct Sums {
    values: Vec<f32>,
    seen: Vec<bool>,
    touched: Vec<u32>,
}

impl Sums {
    pub(super) fn add(&mut self, column: u32, value: f32) {
        if !std::mem::replace(&mut self.seen[column as usize], true) {
            self.touched.push(column);
        }
        self.values[column as usize] += value;
    }

    /// The sums that are not zero, columns ascending; nothing is left.
    fn take(&mut self) -> Vec<(u32, f32)> {
        self.touched.sort_unstable();
        let touched = self.touched.drain(..);
        let entries = touched.map(|column| {
            self.seen[column as usize] = false;
            (column, std::mem::take(&mut self.values[column as usize]))
        });
        entries.filter(|entry| entry.1 != 0.0).collect()
    }

    /// Replaces each sum by what `scaled` makes of it.
    pub(super) fn scale(&mut self, scaled: impl Fn(u32, f32) -> f32) {
        for &column in &self.touched {
            let sum = &mut self.values[column as usize];
            *sum = scaled(column, *sum);
        }
    }
}

/// A table whose row `item` is what `fill` sums up for it, cut to its `keep` largest entries by size.
///
/// # Errors
/// Cancellation.
pub(super) fn table(
    items: usize,
    keep: usize,
    watch: Watch,
    fill: impl Fn(u32, &mut Sums) + Sync,
) -> Result<Csr, FitError> {
    let rows: Vec<Vec<(u32, f32)>> = (0..items as u32)
        .into_par_iter()
        .map_init(
            || Sums { values: vec![0.0; items], seen: vec![false; items], touched: Vec::new() },
            |sums, item| {
                if (watch.cancelled)() {
                    return Vec::new();
                }
                fill(item, sums);
                cut(sums.take(), keep)
            },
        )
        .collect();
    if (watch.cancelled)() { Err(FitError::Cancelled) } else { Ok(Csr::from_ordered_rows(items, rows)) }
}

/// The `keep` entries of a row that are largest by size, columns ascending.
pub(super) fn cut(mut row: Vec<(u32, f32)>, keep: usize) -> Vec<(u32, f32)> {
    if row.len() > keep {
        row.select_nth_unstable_by(keep, |x, y| y.1.abs().total_cmp(&x.1.abs()).then(x.0.cmp(&y.0)));
        row.truncate(keep);
        row.sort_unstable_by_key(|entry| entry.0);
    }
    row
}

/// [`cut`] of every row of a dense table.
pub(super) fn cut_dense(dense: &ndarray::Array2<f32>, keep: usize) -> Csr {
    let row = |values: &[f32]| {
        cut((0..).zip(values.iter().copied()).filter(|entry: &(u32, f32)| entry.1 != 0.0).collect(), keep)
    };
    let rows: Vec<Vec<(u32, f32)>> = match dense.as_slice() {
        Some(values) => values.par_chunks(dense.ncols().max(1)).map(row).collect(),
        None => dense.rows().into_iter().map(|values| row(&values.to_vec())).collect(),
    };
    Csr::from_ordered_rows(dense.ncols(), rows)
}
