//! Gradient boosting of trees on histograms: Friedman (2001) with second-order steps (Chen and Guestrin 2016), grown
//! best leaf first (Ke and others 2017), on a sample of rows and columns each round (Friedman 2002).

mod bins;
mod grow;

use ndarray::{Array2, ArrayView2};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::measure::log_loss;
use super::trees::{Link, Trees};
use super::{log_odds, probability};
use bins::Bins;
use grow::{Gradients, Grower};

/// What trees are grown with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BoostSettings {
    /// Trees at most.
    pub(super) rounds: usize,
    /// Rounds without a better validation loss before growing ends.
    pub(super) patience: usize,
    /// Share of each tree's step that is taken.
    pub(super) rate: f64,
    /// Leaves of a tree at most.
    pub(super) leaves: usize,
    /// Rows a leaf has at least.
    pub(super) least_rows: u32,
    /// Ridge on the leaves' values.
    pub(super) ridge: f64,
    /// Share of the rows each tree sees.
    pub(super) rows: f64,
    /// Share of the columns each tree sees.
    pub(super) columns: f64,
}

impl Default for BoostSettings {
    fn default() -> Self {
        Self {
            rounds: 600,
            patience: 40,
            rate: 0.04,
            leaves: 12,
            least_rows: 20,
            ridge: 5.0,
            rows: 0.7,
            columns: 0.6,
        }
    }
}

/// Encoded rows with their outcomes.
pub(super) struct Rows<'a> {
    pub(super) values: ArrayView2<'a, f64>,
    pub(super) outcomes: &'a [bool],
}

/// Grows trees on `train` until `validation` gains no more; says how many were best.
pub(super) fn rounds(train: &Rows<'_>, validation: &Rows<'_>, settings: BoostSettings, seed: u64) -> usize {
    let mut scores: Vec<f64> = Vec::new();
    let (mut best, mut lowest) = (0, f64::INFINITY);
    grow(train, settings, seed, &mut |trees| {
        if scores.is_empty() {
            scores = vec![trees.base; validation.outcomes.len()];
        }
        let root = trees.roots[trees.roots.len() - 1];
        for (score, row) in scores.iter_mut().zip(validation.values.rows()) {
            *score += row.to_slice().map_or(0.0, |row| trees.nodes[trees.leaf(root, row) as usize].at);
        }
        let told: Vec<f64> = scores.iter().map(|score| probability(*score)).collect();
        let loss = log_loss(&told, validation.outcomes);
        if loss < lowest {
            (best, lowest) = (trees.roots.len(), loss);
        }
        trees.roots.len() < best + settings.patience
    });
    best.max(1)
}

/// Grows `settings.rounds` trees.
pub(super) fn fit(train: &Rows<'_>, settings: BoostSettings, seed: u64) -> Trees {
    grow(train, settings, seed, &mut |_| true)
}

fn grow(
    train: &Rows<'_>,
    settings: BoostSettings,
    seed: u64,
    goes_on: &mut dyn FnMut(&Trees) -> bool,
) -> Trees {
    let n = train.outcomes.len();
    let bins = Bins::of(train.values);
    let binned: Array2<u8> = bins.encode(train.values);
    let rate = train.outcomes.iter().filter(|came| **came).count() as f64 / n.max(1) as f64;
    let mut trees = Trees::new(Link::Sum, log_odds(rate));
    let mut scores = vec![trees.base; n];
    let mut random = StdRng::seed_from_u64(seed);
    let mut order: Vec<u32> = (0..n as u32).collect();
    let mut columns: Vec<usize> = (0..train.values.ncols()).collect();
    let mut gradients = Gradients { first: vec![0.0; n], second: vec![0.0; n] };
    let mut grower = Grower::new(&binned, &bins, settings);
    for _ in 0..settings.rounds {
        for (row, score) in scores.iter().enumerate() {
            let p = probability(*score);
            gradients.first[row] = (p - f64::from(train.outcomes[row])) as f32;
            gradients.second[row] = (p * (1.0 - p)) as f32;
        }
        order.shuffle(&mut random);
        columns.shuffle(&mut random);
        let rows = ((n as f64 * settings.rows).ceil() as usize).clamp(1, n);
        let width = ((columns.len() as f64 * settings.columns).ceil() as usize).clamp(1, columns.len());
        let tree = grower.grow(&order[..rows], &columns[..width], &gradients);
        trees.push(&tree);
        let root = trees.roots[trees.roots.len() - 1];
        for (score, row) in scores.iter_mut().zip(train.values.rows()) {
            *score += row.to_slice().map_or(0.0, |row| trees.nodes[trees.leaf(root, row) as usize].at);
        }
        if !goes_on(&trees) {
            break;
        }
    }
    trees
}
