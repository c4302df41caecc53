use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Objective;
use crate::matrix::Matrix;

/// Where a node sends a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fork {
    /// The feature looked at.
    pub feature: u32,
    /// Values up to and including this go left.
    pub threshold: f64,
    /// Whether a missing value goes left.
    pub missing_left: bool,
    /// Node on the left.
    pub left: u32,
    /// Node on the right.
    pub right: u32,
    /// What the fork took off the training loss, twice over.
    pub gain: f64,
}

/// A node: a leaf where it has no fork.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What the tree adds for a row that ends here.
    pub value: f64,
    /// Where it sends a row on.
    pub fork: Option<Fork>,
}

/// A tree; the first node is the root.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// What the tree adds for a row.
    pub fn value(&self, row: &[f64]) -> f64 {
        self.walk(row, |_, _, _| ())
    }

    /// Walks to the row's leaf and tells each fork as (feature, value before, value after).
    fn walk(&self, row: &[f64], mut tell: impl FnMut(usize, f64, f64)) -> f64 {
        let mut node = &self.nodes[0];
        while let Some(fork) = node.fork {
            let value = row[fork.feature as usize];
            let left = if value.is_nan() { fork.missing_left } else { value <= fork.threshold };
            let next = &self.nodes[if left { fork.left } else { fork.right } as usize];
            tell(fork.feature as usize, node.value, next.value);
            node = next;
        }
        node.value
    }
}

/// A boosted model: plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    /// What was minimised.
    pub objective: Objective,
    /// Where the score starts.
    pub base: f64,
    /// Number of features a row has.
    pub columns: usize,
    /// The trees, in the order they were grown.
    pub trees: Vec<Tree>,
}

impl Trees {
    /// Sum of the trees for a row of `columns` features: the mean, or the log odds.
    pub fn score(&self, row: &[f64]) -> f64 {
        self.base + self.trees.iter().map(|tree| tree.value(row)).sum::<f64>()
    }

    /// The prediction for a row on the target's scale.
    pub fn predict(&self, row: &[f64]) -> f64 {
        self.objective.mean(self.score(row))
    }

    /// The predictions for all rows.
    pub fn predict_all(&self, features: &Matrix) -> Vec<f64> {
        (0..features.rows()).into_par_iter().map(|row| self.predict(features.row(row))).collect()
    }

    /// What each feature adds to the score of a row, by the change of node values along its paths (Saabas 2014). With
    /// what the returned bias holds they sum to [`Self::score`].
    pub fn contributions(&self, row: &[f64]) -> (f64, Vec<f64>) {
        let (mut bias, mut by_feature) = (self.base, vec![0.0; self.columns]);
        for tree in &self.trees {
            bias += tree.nodes[0].value;
            tree.walk(row, |feature, before, after| by_feature[feature] += after - before);
        }
        (bias, by_feature)
    }

    /// Share of the gain of all forks that each feature made; all 0 where nothing was forked.
    pub fn importance(&self) -> Vec<f64> {
        let mut gains = vec![0.0; self.columns];
        for fork in self.trees.iter().flat_map(|tree| &tree.nodes).filter_map(|node| node.fork) {
            gains[fork.feature as usize] += fork.gain;
        }
        let total: f64 = gains.iter().sum();
        if total > 0.0 {
            for gain in &mut gains {
                *gain /= total;
            }
        }
        gains
    }
}
