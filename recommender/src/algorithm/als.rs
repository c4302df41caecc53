//! Implicit ALS (Hu, Koren and Volinsky 2008) in serving: a person's factor is one solve, eq. 4, whatever the past is
//! now; each past item's part of a score is its term of eq. 7.

use std::sync::Arc;

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::past::recent;
use super::{
    Cause, Field, Fields, FitError, Histories, Model, NotAModel, Past, Settings, Share, StoredTensors,
    Tensors, leading, sorted,
};
use crate::factorise::{AlsPlan, Watch, alternating_least_squares};
use crate::matrix::{Panels, cosines};

/// Parameters of ALS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlsSettings {
    /// Factors.
    pub rank: usize,
    /// α: confidence is 1 + α·r.
    pub alpha: f64,
    /// λ.
    pub ridge: f64,
    /// Times both sides are solved for.
    pub iterations: usize,
    /// An entry of `n` visits ago weighs e^(−recency·n) in a person's own solve.
    pub recency: f64,
    /// Seed of the random start.
    pub seed: u64,
}

impl Default for AlsSettings {
    fn default() -> Self {
        Self { rank: 64, alpha: 10.0, ridge: 3.0, iterations: 8, recency: 0.1, seed: 42 }
    }
}

impl Fields for AlsSettings {
    const FIELDS: &'static [Field<Self>] = &[
        Field::whole("rank", 1.0, 1024.0, |s| s.rank as f64, |s, x| s.rank = x as usize),
        Field::real("alpha", 0.0, 1e6, |s| s.alpha, |s, x| s.alpha = x),
        Field::real("ridge", 1e-6, 1e9, |s| s.ridge, |s, x| s.ridge = x),
        Field::whole("iterations", 1.0, 1000.0, |s| s.iterations as f64, |s, x| s.iterations = x as usize),
        Field::real("recency", 0.0, 100.0, |s| s.recency, |s, x| s.recency = x),
    ];
}

/// A fitted model: the items' side only; people are solved for when they come.
#[derive(Debug, Clone)]
pub struct Als {
    settings: AlsSettings,
    popularity: Arc<Vec<f32>>,
    /// One row an item.
    factors: Arc<Array2<f32>>,
    panels: Arc<Panels>,
    /// YᵀY + λI.
    shared: Arc<Array2<f64>>,
}

pub(super) fn fit(histories: &Histories, settings: &AlsSettings, watch: Watch) -> Result<Als, FitError> {
    let matrix = histories.matrix()?;
    let plan = AlsPlan {
        rank: settings.rank.min(matrix.rows()).min(matrix.cols()),
        alpha: settings.alpha as f32,
        ridge: settings.ridge as f32,
        iterations: settings.iterations,
        seed: settings.seed,
    };
    let factors = alternating_least_squares(&matrix, plan, watch, &mut |_, _| {})?.columns;
    let popularity = matrix.column_counts().into_iter().map(|count| count as f32).collect();
    Ok(Als::new(settings.clone(), popularity, factors))
}

impl Als {
    /// The model that was stored.
    pub(super) fn read(settings: AlsSettings, stored: &StoredTensors) -> Result<Self, NotAModel> {
        let factors = stored.matrix("factors")?;
        let popularity = stored.vector("popularity", factors.nrows())?;
        Ok(Self::new(settings, popularity, factors))
    }

    fn new(settings: AlsSettings, popularity: Vec<f32>, factors: Array2<f32>) -> Self {
        let wide = factors.mapv(f64::from);
        let mut shared = wide.t().dot(&wide);
        shared.diag_mut().mapv_inplace(|value| value + settings.ridge);
        let panels = Panels::new(&factors, &vec![1.0; factors.nrows()]);
        Self {
            settings,
            popularity: Arc::new(popularity),
            factors: Arc::new(factors),
            panels: Arc::new(panels),
            shared: Arc::new(shared),
        }
    }

    fn row(&self, item: u32) -> Array1<f64> {
        self.factors.row(item as usize).mapv(f64::from)
    }

    /// (item, the part of its confidence above 1, its preference) of a past, and the normal matrix they make.
    ///
    /// A dislike is a confident preference of 0.
    fn normal(&self, past: &[Past]) -> (Vec<(u32, f64, f64)>, Array2<f64>) {
        let entries = recent(past, self.items()).into_iter().map(|one| {
            let weight = f64::from(one.weight) * (-self.settings.recency * f64::from(one.age)).exp();
            (one.item, self.settings.alpha * weight.abs(), if weight > 0.0 { weight.signum() } else { 0.0 })
        });
        let entries: Vec<(u32, f64, f64)> = entries.collect();
        let mut normal = self.shared.as_ref().clone();
        for &(item, extra, _) in &entries {
            let row = self.row(item);
            for (mut target, x) in normal.rows_mut().into_iter().zip(&row) {
                target.scaled_add(extra * x, &row);
            }
        }
        (entries, normal)
    }

    /// A person's factor; eq. 4.
    fn person(&self, past: &[Past]) -> Option<Array1<f32>> {
        let (entries, normal) = self.normal(past);
        let mut right = Array2::zeros((self.factors.ncols(), 1));
        for (item, extra, preference) in entries {
            right.column_mut(0).scaled_add((1.0 + extra) * preference, &self.row(item));
        }
        Some(Self::solve(normal, right)?.column(0).mapv(|value| value as f32))
    }

    /// The shares of the scores of items with these factors; eq. 7.
    fn shares_of(&self, past: &[Past], rows: &[Array1<f64>]) -> Vec<Vec<Share>> {
        let (entries, normal) = self.normal(past);
        let mut right = Array2::zeros((self.factors.ncols(), rows.len()));
        for (mut column, row) in right.columns_mut().into_iter().zip(rows) {
            column.assign(row);
        }
        let Some(solved) = Self::solve(normal, right) else { return vec![Vec::new(); rows.len()] };
        let share = |through: ArrayView1<f64>| {
            let parts = entries.iter().map(|&(past, extra, preference)| Share {
                cause: Cause::Item(past),
                value: ((1.0 + extra) * preference * self.row(past).dot(&through)) as f32,
            });
            sorted(parts.collect())
        };
        solved.columns().into_iter().map(share).collect()
    }

    /// A⁻¹·right; `None` where the person's matrix cannot be factorised, which a ridge above 0 keeps from happening.
    fn solve(mut normal: Array2<f64>, mut right: Array2<f64>) -> Option<Array2<f64>> {
        normal.solvec_inplace(&mut right).ok()?;
        Some(right)
    }
}

impl Model for Als {
    fn settings(&self) -> Settings {
        Settings::Als(self.settings.clone())
    }

    fn popularity(&self) -> &[f32] {
        &self.popularity
    }

    fn score_into(&self, past: &[Past], out: &mut [f32]) {
        match self.person(past) {
            Some(person) => self.panels.score_into(&person.to_vec(), out),
            None => out.fill(0.0),
        }
    }

    fn shares(&self, past: &[Past], items: &[u32]) -> Vec<Vec<Share>> {
        let known: Vec<u32> = items.iter().copied().filter(|&item| (item as usize) < self.items()).collect();
        let rows = known.iter().map(|&item| self.row(item)).collect::<Vec<_>>();
        let mut shares = known.iter().zip(self.shares_of(past, &rows));
        // In the order of `known`, which is that of `items`.
        let mut next = shares.next();
        let share = |item: &u32| match next.take_if(|(known, _)| *known == item) {
            Some((_, told)) => {
                next = shares.next();
                told
            }
            None => Vec::new(),
        };
        items.iter().map(share).collect()
    }

    fn person_factors(&self, past: &[Past]) -> Option<Array1<f32>> {
        self.person(past)
    }

    fn shares_of_row(&self, past: &[Past], row: ArrayView1<f32>) -> Vec<Share> {
        self.shares_of(past, &[row.mapv(f64::from)]).pop().unwrap_or_default()
    }

    fn similar(&self, item: u32, limit: usize, listed: &dyn Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let mut alike = cosines(self.factors.view(), item);
        alike.retain(|(other, _)| listed(*other));
        leading(alike, limit)
    }

    fn factors(&self) -> Option<ArrayView2<'_, f32>> {
        Some(self.factors.view())
    }

    fn with_recency(&self, recency: f64) -> Box<dyn Model> {
        Box::new(Self { settings: AlsSettings { recency, ..self.settings.clone() }, ..self.clone() })
    }

    fn store(&self, tensors: &mut Tensors) {
        tensors.matrix("factors", &self.factors);
        tensors.vector("popularity", &self.popularity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_the_solution_of_the_normal_equations() {
        let factors = Array2::from_shape_fn((9, 4), |(i, j)| ((i * 5 + j * 3) % 7) as f32 / 7.0 - 0.3);
        let model = Als::new(AlsSettings::default(), vec![1.0; 9], factors);
        let past: Vec<Past> = (0..6).map(|step| Past { item: step, weight: 9.0, step }).collect();
        let (_, normal) = model.normal(&past);
        let right = Array2::from_shape_fn((4, 2), |(i, j)| (i + 2 * j) as f64 - 1.5);
        let solved = Als::solve(normal.clone(), right.clone()).expect("positive definite");
        let worst = (normal.dot(&solved) - right).iter().fold(0.0_f64, |worst, x| worst.max(x.abs()));
        assert!(worst < 1e-9, "{worst}");
    }
}
