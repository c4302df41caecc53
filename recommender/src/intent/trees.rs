//! Decision trees laid out flat: what boosting, forests and single trees predict with.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::log_odds;

/// Marks a leaf.
pub(super) const LEAF: u32 = u32::MAX;

/// One node; rows whose feature is at most `at` go left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    /// Column, or [`LEAF`].
    pub(super) feature: u32,
    /// The threshold; of a leaf its value.
    pub(super) at: f64,
    /// Place of the left child; the right one follows it.
    pub(super) left: u32,
}

impl Node {
    pub(super) fn leaf(value: f64) -> Self {
        Self { feature: LEAF, at: value, left: 0 }
    }
}

/// What the leaves of all trees make together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Link {
    /// Log-odds that add up.
    Sum,
    /// Probabilities whose mean counts.
    Mean,
}

/// Trees and how they vote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trees {
    pub(super) roots: Vec<u32>,
    pub(super) nodes: Vec<Node>,
    /// What is added to the sum.
    pub(super) base: f64,
    pub(super) link: Link,
}

impl Trees {
    pub(super) fn new(link: Link, base: f64) -> Self {
        Self { roots: Vec::new(), nodes: Vec::new(), base, link }
    }

    /// Adds a tree whose children are places in `tree` itself, its root first.
    pub(super) fn push(&mut self, tree: &[Node]) {
        let offset = self.nodes.len() as u32;
        self.roots.push(offset);
        self.nodes.extend(tree.iter().map(|node| Node { left: node.left + offset, ..*node }));
    }

    /// Place of the leaf `row` falls into, from the node at `from`.
    pub(super) fn leaf(&self, from: u32, row: &[f64]) -> u32 {
        let mut place = from;
        loop {
            let node = self.nodes[place as usize];
            if node.feature == LEAF {
                return place;
            }
            place = node.left + u32::from(row[node.feature as usize] > node.at);
        }
    }

    /// Log-odds, one a row of encoded values.
    pub(super) fn log_odds(&self, rows: ArrayView2<'_, f64>) -> Vec<f64> {
        let rows = rows.as_standard_layout();
        let of = |row: ndarray::ArrayView1<'_, f64>| {
            let row = row.to_slice().unwrap_or_default();
            let sum: f64 = self.roots.iter().map(|root| self.nodes[self.leaf(*root, row) as usize].at).sum();
            match self.link {
                Link::Sum => self.base + sum,
                Link::Mean => log_odds(sum / self.roots.len().max(1) as f64),
            }
        };
        rows.rows().into_iter().map(of).collect()
    }
}
